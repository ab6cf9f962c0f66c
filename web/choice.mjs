/* The chosen part of a recording in a node's own widgets: a phrase, else start and end in seconds. */

import { setWidget } from "./dom.mjs";
import { phrasePlaces } from "./timeline.mjs";

export const WIDGETS = ["phrase", "start", "end"];

function widgetOf(node, name) {
  return node.widgets?.find((one) => one.name === name);
}

/** Start and end in seconds of what is chosen among some words; null where nothing is. */
export function chosenIn(node, words) {
  const phrase = String(widgetOf(node, "phrase")?.value ?? "").trim();
  if (phrase) {
    const places = phrasePlaces(words, phrase);
    return places && [words[places[0]].start, words[places[1]].end];
  }
  const [start, end] = ["start", "end"].map((name) => Number(widgetOf(node, name)?.value));
  return end > start ? [start, end] : null;
}

/** Write seconds into the widgets, to the millisecond; those that a link fills stay. */
export function keepChoice(app, node, start, end) {
  const [first, last] = [start, end].map((one) => Math.round(1000 * one) / 1000);
  for (const [name, value] of Object.entries({ phrase: "", start: first, end: last })) {
    const widget = widgetOf(node, name);
    const linked = node.inputs?.some((one) => one.name === name && one.link != null);
    if (widget && !linked && widget.value !== value) setWidget(app, node, widget, value);
  }
}
