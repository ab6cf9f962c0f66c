/* A marked round is to come out of the next run as it sounds now, so the node gets the settings that
   made it. On "randomize" the editor has drawn another seed since. */

import { setWidget } from "./dom.mjs";

const CONTROL = "control_after_generate";
const VOICES = { original: "stay with the original", previous: "follow the previous round" };

/** Set seed, rounds and voice of a node to those of a run, and keep the seed from changing. */
export function keepSettings(app, node, used) {
  const put = (name, value) => {
    const widget = node.widgets?.find((one) => one.name === name);
    if (!widget || value === undefined || widget.value === value) return;
    setWidget(app, node, widget, value);
  };
  put("rounds", used.asked);
  put("voice", VOICES[used.voice]);
  put("seed", used.seed);
  if (used.seed !== undefined) put(CONTROL, "fixed");
}
