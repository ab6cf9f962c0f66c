/* Small helpers for elements. Text goes in as text, never as markup. */

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

const LEAST_WIDTH = 300;

/** Make a node as large as its widgets need; it never shrinks. */
export function fit(node) {
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width, LEAST_WIDTH), Math.max(node.size[1], height)]);
  node.graph?.setDirtyCanvas?.(true, true);
}

const STYLE = `
.stepedit { box-sizing: border-box; width: 100%; height: 100%; overflow: auto; contain: layout;
  font: 12px/1.35 sans-serif; color: var(--input-text, #ddd); background: var(--comfy-input-bg, #222);
  border-radius: 6px; padding: 6px; }
.stepedit:focus-visible, .stepedit :focus-visible { outline: 2px solid #6aa7ff; outline-offset: 1px; }
.stepedit button, .stepedit select { font: inherit; color: inherit; cursor: pointer;
  background: var(--comfy-menu-bg, #333); border: 1px solid var(--border-color, #555);
  border-radius: 4px; padding: 1px 6px; }
.stepedit .row { display: grid; grid-template-columns: 1fr 30px; gap: 4px; margin-bottom: 3px; }
.stepedit .listen { display: grid; grid-template-columns: 72px 1fr 36px 36px; gap: 6px;
  align-items: center; text-align: left; padding: 2px 6px; min-height: 28px; }
.stepedit .listen > span { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.stepedit .listen[aria-checked="true"] { border-color: #6aa7ff; background: rgba(80, 140, 255, 0.2); }
.stepedit .head { display: grid; grid-template-columns: 72px 1fr 36px 36px 30px; gap: 6px;
  padding: 0 0 2px 7px; color: var(--descrip-text, #999); font-size: 10px; }
.stepedit .wave { position: relative; height: 22px; }
.stepedit .wave svg { width: 100%; height: 100%; display: block; }
.stepedit .wave path { fill: currentColor; opacity: 0.75; }
.stepedit .cursor { position: absolute; top: 0; bottom: 0; width: 1px; background: #ff9d4d; }
.stepedit .mark[aria-pressed="true"] { background: #b8860b; color: #fff; }
.stepedit .transport { display: grid; grid-template-columns: 30px 1fr 84px; gap: 6px;
  align-items: center; }
.stepedit .transport input { width: 100%; }
.stepedit .note { color: var(--descrip-text, #999); font-size: 10px; margin-top: 3px; }
.stepedit .clip { display: grid; grid-template-columns: 1fr 22px; gap: 0 6px; align-items: center;
  height: 46px; }
.stepedit .clip > .note { grid-column: 1 / 3; margin: 0; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; }
.stepedit .clip audio { width: 100%; height: 28px; }
.stepedit .clip a { color: inherit; text-align: center; text-decoration: none; font-size: 16px; }
.stepedit .chips { display: flex; flex-wrap: wrap; gap: 3px; }
.stepedit .chips button[aria-pressed="true"] { border-color: #6aa7ff; background: rgba(80, 140, 255, 0.3); }
`;

/** The panels' style sheet; it lies in each panel and goes with it, the page's head is shared. */
export function sheet() {
  return make("style", { text: STYLE });
}
