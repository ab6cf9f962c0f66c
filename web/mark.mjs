/* A marked round is to come out of the next run as it sounds now, so the node gets the settings that
   made it. On "randomize" the editor has drawn another seed since. */

import { setWidget } from "./dom.mjs";

const CONTROL = "control_after_generate";
const VOICES = { original: "stay with the original", previous: "follow the previous round" };

/** By the names of the widgets; a take of an older version has no strength, which was 1 then. */
function settings({ seed, asked, voice, strength = 1 }) {
  return Object.entries({ rounds: asked, voice: VOICES[voice], seed, strength }).filter(
    ([, value]) => value !== undefined,
  );
}

function widgetOf(node, name) {
  const linked = node.inputs?.some((one) => one.name === name && one.link != null);
  return linked ? undefined : node.widgets?.find((one) => one.name === name);
}

/** Set seed, rounds, voice and strength of a node to those of a take, and keep the seed fixed. */
export function keepSettings(app, node, take) {
  for (const [name, value] of settings(take)) {
    const widget = widgetOf(node, name);
    if (widget && widget.value !== value) setWidget(app, node, widget, value);
  }
  const control = node.widgets?.find((one) => one.name === CONTROL);
  if (control && take.seed !== undefined && control.value !== "fixed")
    setWidget(app, node, control, "fixed");
}

/** Whether seed, voice and strength of a node are those of a take; rounds may have been added. */
export function madeBy(node, take) {
  return !take || settings(take).every(([name, value]) => {
    const widget = name === "rounds" ? undefined : widgetOf(node, name);
    return !widget || widget.value === value;
  });
}
