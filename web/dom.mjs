/* Small helpers for elements. Text goes in as text, never as markup. */

import { STYLE } from "./style.mjs";

/** An element with properties; `text` becomes its text, `aria-` and `data-` keys attributes. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "text") element.textContent = value;
    else if (key.includes("-") || key === "role") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

/** Keep clicks, wheel and keys of a panel from moving the graph below it. */
export function keepEvents(element) {
  for (const kind of ["pointerdown", "pointerup", "wheel", "dblclick", "contextmenu"])
    element.addEventListener(kind, (event) => event.stopPropagation());
}

/** Chain a callback after one that a node or widget already has. */
export function after(target, name, callback) {
  const before = target[name];
  target[name] = function (...values) {
    const result = before?.apply(this, values);
    callback.apply(this, values);
    return result;
  };
}

/** Set a widget's value as a user would. */
export function setWidget(app, node, widget, value) {
  widget.value = value;
  widget.callback?.(value, app.canvas, node);
  node.graph?.setDirtyCanvas?.(true, true);
}

/** Pixels above and below an element of ours, which the editor takes from its height. */
export const MARGINS = 20;
const LEAST_WIDTH = 340;

/** Make a node as large as its widgets need; it never shrinks. */
export function fit(node) {
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width, LEAST_WIDTH), Math.max(node.size[1], height)]);
  node.graph?.setDirtyCanvas?.(true, true);
}

/** The panels' style sheet; it lies in each panel and goes with it, the page's head is shared. */
export function sheet() {
  return make("style", { text: STYLE });
}
