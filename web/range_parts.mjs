/* The elements of the panel of Edit Range. */

import { make, sheet } from "./dom.mjs";

/** Elements by name; all but those inside the waveform are put into the panel's own. */
export function rangeParts({ element, word, player, wave, playPart }) {
  const act = (text, name, done) => {
    const title = word(name);
    const button = make("button", { type: "button", text, title, "aria-label": title });
    button.addEventListener("click", done);
    return button;
  };
  const choice = (name, index) => {
    const button = make("button", { type: "button", role: "radio", text: word(name) });
    button.addEventListener("click", () => player.choose(index));
    return button;
  };
  const sounds = [choice("before", 0), choice("after", 1)];
  const versions = make(
    "div",
    { className: "chips", role: "radiogroup", "aria-label": word("part") },
    ...sounds,
  );
  const play = act("▶", "play", () => player.toggle());
  const part = act("▶ [ ]", "play_part", playPart);
  const zooms = [
    act("−", "zoom_out", () => wave.zoomBy(-1)),
    act("+", "zoom_in", () => wave.zoomBy(1)),
    act("↔", "zoom_all", () => wave.zoomBy(0)),
  ];
  const equal = make("input", { type: "checkbox", checked: player.equal });
  equal.addEventListener("change", () => player.setEqual(equal.checked));
  const loud = make("label", { title: word("equal_means") }, equal, word("equal"));
  const clock = make("span", { className: "note" });
  const bar = make("div", { className: "below" }, versions, play, part, ...zooms, loud, clock);
  const band = make("div", { className: "chosen" });
  const changed = make("div", { className: "changed", title: word("changed") });
  const cursor = make("div", { className: "cursor" });
  wave.sound.append(changed, band, cursor);
  wave.view.tabIndex = 0;
  const warning = make("div", { className: "warning", role: "status" });
  const status = make("div", { className: "said", role: "status", "aria-live": "polite" });
  const lost = make("div", { className: "error" });
  const note = make("div", { className: "note" });
  const error = make("div", { className: "error", role: "alert" });
  const keys = make("div", { className: "note", text: word("part_keys") });
  element.append(sheet(), warning, bar, wave.view, status, lost, note, error, keys);
  const inWave = { band, changed, cursor };
  return { bar, versions, sounds, play, part, clock, warning, status, lost, note, error, keys, inWave };
}
