/* The line on a node that says what its run does. Iterative Edit shows it inside its panel. */

import { fit, make, sheet } from "./dom.mjs";

const HEIGHT = 46;
const lines = new WeakMap();

/** Show a line on a node. */
export function showLine(node, text) {
  if (!lines.has(node)) addLine(node);
  lines.get(node).textContent = text;
}

function addLine(node) {
  const line = make("div", { className: "note", role: "status", "aria-live": "polite" });
  const element = make("div", { className: "stepedit line" }, sheet(), line);
  const widget = node.addDOMWidget("line", "STEPEDIT_LINE", element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => HEIGHT,
    getMaxHeight: () => HEIGHT,
    getValue: () => "",
    setValue: () => {},
  });
  widget.serialize = false;
  lines.set(node, line);
  fit(node);
}
