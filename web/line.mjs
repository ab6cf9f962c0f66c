/* The line on a node that says what its run does, or why there was none. Nodes with a panel show it
   there. Nodes 2.0 of 0.3.75 does not draw a widget that comes after a link to the node. */

import { fit, make, sheet } from "./dom.mjs";

const HEIGHT = 46;
const FAILED_HEIGHT = 120; // a sentence with its remedy
const lines = new WeakMap();
const failed = new Set();

/** Show a line on a node. */
export function showLine(node, text) {
  show(node, text, "");
}

/** Show why a node's run did not begin, or failed. */
export function showFailure(node, sentence) {
  show(node, "", sentence);
  failed.add(node);
}

/** Before the next run: what failed is past. */
export function clearFailures() {
  for (const node of failed) lines.get(node).error.textContent = "";
  failed.clear();
}

function show(node, text, sentence) {
  if (!lines.has(node)) addLine(node);
  const { line, error } = lines.get(node);
  line.textContent = text;
  error.textContent = sentence;
  fit(node);
}

function addLine(node) {
  const line = make("div", { className: "note", role: "status", "aria-live": "polite" });
  const error = make("div", { className: "error", role: "alert" });
  const element = make("div", { className: "stepedit line" }, sheet(), line, error);
  const height = () => (error.textContent ? FAILED_HEIGHT : HEIGHT);
  const widget = node.addDOMWidget("line", "STEPEDIT_LINE", element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: height,
    getMaxHeight: height,
    getValue: () => "",
    setValue: () => {},
  });
  widget.serialize = false;
  lines.set(node, { line, error });
}
