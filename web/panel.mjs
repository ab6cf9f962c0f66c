/* What the panels of nodes share: their place in the node, and results that the editor kept. */

import { MARGINS, after, fit } from "./dom.mjs";
import { adopt } from "./runs.mjs";
import { isForeignRun, loadShown, names } from "./takes.mjs";

/** Put a panel with `element`, `height`, `told`, `tell` and `close` into a node, until it goes.

    `watched` are widgets after whose change the panel is refreshed; `configured` runs once a saved
    node has its values. */
export function addPanel(node, panel, { panels, name, kind, watched, configured }) {
  const widget = node.addDOMWidget(name, kind, panel.element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => panel.height + MARGINS,
    getValue: () => panel.told,
    setValue: (value) => panel.tell(value),
  });
  widget.serialize = false;
  panels.set(node, panel);
  after(node, "onRemoved", () => {
    panel.close();
    panels.delete(node);
  });
  after(node, "onConfigure", () => {
    fit(node);
    configured();
  });
  for (const one of watched) {
    const input = node.widgets.find((other) => other.name === one);
    if (input) after(input, "callback", () => panel.refresh());
  }
  fit(node);
  return widget;
}

/** What the editor kept of a node under a key, a list; undefined where it kept none. */
export function storedOf(outputs, node, key) {
  const graph = node.graph;
  const place = !graph || graph.isRootGraph ? String(node.id) : `${graph.id}:${node.id}`;
  const told = outputs?.[place]?.[key];
  return Array.isArray(told) ? told : undefined;
}

/** Show the last result of a node again, from the file that the server keeps, and how its newest
    run ended. */
export async function reload(app, api, node, panel) {
  if (!names(node).length) return;
  const before = panel.told;
  const { told, last } = await loadShown(app, api, node, panel.key);
  if (panel.told !== before) return; // told meanwhile
  if (isForeignRun(last)) adopt(app, last.prompt);
  if (told.length && JSON.stringify(told) !== JSON.stringify(before)) panel.tell(told);
  if (last?.error) panel.fail?.(last.error);
}

/** Read the last results of a name again, or, without a name, of all nodes. */
export function reloadAll(panels, name) {
  for (const [node, panel] of panels)
    if (!name || names(node)[0] === name) panel.load();
}
