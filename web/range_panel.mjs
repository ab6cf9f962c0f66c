/* The panel of Edit Range: a waveform with its words, over which a part is chosen.

   What it shows is its widget's value: [{ words: [{ text, start, end, confidence }], why, before:
   { file, seconds, loudness }, after: null or { ...as before, start, end, range: { first, end,
   end_before }, lost: [place of a word], score } }]. What is chosen lives in the node's own widgets
   phrase, start and end, so a saved workflow and an API call have it. */

import { WIDGETS, chosenIn, keepChoice } from "./choice.mjs";
import { fit, keepEvents, make, sheet } from "./dom.mjs";
import { addPanel, storedOf } from "./panel.mjs";
import { RoundPlayer } from "./player.mjs";
import { placesIn, textOf, wordAt } from "./timeline.mjs";
import { Waveform, peaks } from "./waveform.mjs";
import { WordRow } from "./word_row.mjs";
import { panelWord } from "./words.mjs";

const KEY = "stepedit_range";
const HEIGHT = 270;
const EMPTY = 60;
const STEP_SECONDS = 0.1;
const SAME_SECONDS = 0.002;
const panels = new Map();

/** Give an Edit Range node its panel. */
export function addRangePanel(app, api, node) {
  const panel = new RangePanel(app, api, node);
  const configured = () => panel.refresh();
  const place = { panels, name: "part", kind: "STEPEDIT_RANGE", watched: WIDGETS, configured };
  addPanel(node, panel, place);
}

/** The panel of a node, if it has one. */
export function rangePanelOf(node) {
  return panels.get(node);
}

/** Show results that the editor kept, for example after a change of the workflow tab. */
export function showStoredRanges(outputs) {
  for (const [node, panel] of panels) {
    const told = storedOf(outputs, node, KEY);
    if (told && told !== panel.told) panel.tell(told);
  }
}

class RangePanel {
  constructor(app, api, node) {
    Object.assign(this, { app, api, node });
    this.word = panelWord(app);
    this.told = [];
    this.line = "";
    this.anchor = -1; // the word from which Shift extends
    this.player = new RoundPlayer(() => this.refresh());
    this.wave = new Waveform({
      pressed: (event, seconds) => this.press(event, seconds),
      dragged: (from, to) => this.drag(from, to),
      moved: () => this.place(),
    });
    this.element = make("div", {
      className: "stepedit part",
      role: "group",
      "aria-label": this.word("part"),
      "data-capture-wheel": "true", // Nodes 2.0: the wheel is ours while the focus is inside
    });
    keepEvents(this.element);
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.build();
    this.tell([]);
  }

  get words() {
    return this.told[0]?.words ?? [];
  }

  /** The sounds that can be heard: before, and after where something was edited. */
  get rounds() {
    const { before, after: made } = this.told[0] ?? {};
    if (!before) return [];
    const sounds = [{ ...before, places: [] }];
    if (made) {
      const { first, end, end_before: old } = made.range;
      sounds.push({ ...made, places: [[first, first], [old, end]] });
    }
    return sounds.map((one) => ({ ...one, address: this.address(one) }));
  }

  /** Least height; in a higher node the waveform grows. */
  get height() {
    return this.told.length ? HEIGHT : EMPTY;
  }

  address({ file }) {
    return file ? this.api.apiURL(`/view?${new URLSearchParams(file)}`) : "";
  }

  /** What is chosen, in seconds of the recording; null where nothing is. */
  get chosen() {
    return chosenIn(this.node, this.words);
  }

  /** First and last place of the words that are chosen; null where none is. */
  get places() {
    const { chosen } = this;
    return chosen && placesIn(this.words, ...chosen);
  }

  choose(start, end) {
    keepChoice(this.app, this.node, start, end);
    this.line = "";
    this.refresh();
  }

  chooseWords(from, to) {
    const [first, last] = [Math.min(from, to), Math.max(from, to)];
    this.choose(this.words[first].start, this.words[last].end);
    const shown = [this.words[first].start, this.words[last].end].map((one) => this.toShown(one));
    this.wave.reveal(...shown);
  }

  build() {
    this.before = this.choice("before", 0);
    this.after = this.choice("after", 1);
    this.versions = make(
      "div",
      { className: "chips", role: "radiogroup", "aria-label": this.word("part") },
      this.before,
      this.after,
    );
    this.button = this.act("▶", "play", () => this.player.toggle());
    this.partButton = this.act("▶ [ ]", "play_part", () => this.playPart());
    const tools = [
      this.button,
      this.partButton,
      this.act("−", "zoom_out", () => this.wave.zoomOut()),
      this.act("+", "zoom_in", () => this.wave.zoomIn()),
      this.act("↔", "zoom_all", () => this.wave.setZoom(1)),
    ];
    const equal = make("input", { type: "checkbox", checked: this.player.equal });
    equal.addEventListener("change", () => this.player.setEqual(equal.checked));
    const loud = make("label", { title: this.word("equal_means") }, equal, this.word("equal"));
    this.clock = make("span", { className: "note" });
    this.bar = make("div", { className: "below" }, this.versions, ...tools, loud, this.clock);
    this.band = make("div", { className: "chosen" });
    this.changed = make("div", { className: "changed", title: this.word("changed") });
    this.cursor = make("div", { className: "cursor" });
    this.wave.sound.append(this.changed, this.band, this.cursor);
    this.row = new WordRow(this.wave, this.word);
    this.wave.view.tabIndex = 0;
    // its elements are made anew while the pointer moves, so this is asked when it goes down
    this.wave.view.addEventListener("pointerdown", ({ target }) => {
      this.onWords = this.row.element.contains(target);
    });
    this.note = make("div", { className: "note" });
    this.lost = make("div", { className: "error" });
    this.status = make("div", { className: "said", role: "status", "aria-live": "polite" });
    this.error = make("div", { className: "error", role: "alert" });
    this.keys = make("div", { className: "note", text: this.word("part_keys") });
    this.element.append(
      sheet(),
      this.bar,
      this.wave.view,
      this.status,
      this.lost,
      this.note,
      this.error,
      this.keys,
    );
  }

  act(text, name, done) {
    const title = this.word(name);
    const button = make("button", { type: "button", text, title, "aria-label": title });
    button.addEventListener("click", done);
    return button;
  }

  choice(name, index) {
    const button = make("button", { type: "button", role: "radio", text: this.word(name) });
    button.addEventListener("click", () => this.player.choose(index));
    return button;
  }

  /** The result of a run. */
  tell(told) {
    const one = Array.isArray(told) ? told[0] : null;
    this.told = one?.before ? told : [];
    this.line = "";
    this.error.textContent = "";
    this.shown = "";
    const { rounds } = this;
    this.player.setRounds(rounds);
    if (rounds.length > 1) this.player.choose(1);
    for (const part of [this.bar, this.wave.view, this.keys]) part.hidden = !rounds.length;
    this.versions.hidden = rounds.length < 2;
    this.row.name(this.words.length > 0);
    const known = this.words.length || !rounds.length;
    this.note.textContent = known ? "" : [this.word("no_words"), one.why].join(" ");
    const lost = (one?.after?.lost ?? []).map((place) => this.words[place]?.text).filter(Boolean);
    this.lost.textContent = lost.length ? `${this.word("lost_words")}: ${lost.join(" ")}` : "";
    this.element.style.minHeight = `${this.height}px`;
    this.refresh();
    fit(this.node);
  }

  /** What the run does now. */
  say(line) {
    this.line = line;
    this.error.textContent = "";
    this.refresh();
  }

  /** Why the run did not begin, or failed. */
  fail(sentence) {
    this.line = "";
    this.error.textContent = sentence;
    this.refresh();
  }

  close() {
    this.player.close();
    this.wave.close();
    cancelAnimationFrame(this.frame);
  }

  get round() {
    return this.player.rounds[this.player.index];
  }

  /** Seconds of the recording -> of the sound that is shown. */
  toShown(seconds) {
    return this.round ? this.player.toRound(this.round, seconds) : seconds;
  }

  /** Seconds of the sound that is shown -> of the recording. */
  toInput(seconds) {
    return this.round ? this.player.toInput(this.round, seconds) : seconds;
  }

  /** A click: on a word it chooses, on the sound it moves the playhead; Shift extends. */
  press(event, shown) {
    this.wave.view.focus({ preventScroll: true });
    const seconds = this.toInput(shown);
    const { chosen } = this;
    if (this.onWords) {
      const place = wordAt(this.words, seconds);
      if (place < 0) return;
      if (!event.shiftKey || this.anchor < 0) this.anchor = place;
      this.chooseWords(this.anchor, place);
    } else if (event.shiftKey && chosen) {
      const middle = (chosen[0] + chosen[1]) / 2;
      if (seconds < middle) this.choose(seconds, chosen[1]);
      else this.choose(chosen[0], seconds);
    } else this.player.seek(seconds);
  }

  /** A drag: over words it chooses whole words, over the sound seconds. */
  drag(from, to) {
    this.wave.view.focus({ preventScroll: true });
    const [start, end] = [from, to].map((one) => this.toInput(one));
    if (this.onWords && this.words.length) {
      this.anchor = wordAt(this.words, start);
      const last = wordAt(this.words, end);
      const [a, b] = [Math.min(this.anchor, last), Math.max(this.anchor, last)];
      this.choose(this.words[a].start, this.words[b].end); // without scrolling below the pointer
    } else this.choose(Math.min(start, end), Math.max(start, end));
  }

  key(event) {
    if (!this.told.length || event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = ["BUTTON", "INPUT"].includes(event.target.tagName);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const end = { Home: 0, End: this.words.length - 1 }[event.key];
    if (step) this.step(step, event.shiftKey);
    else if (end >= 0) this.chooseWords((this.anchor = end), end);
    else if (event.key === "Enter" && !onButton) this.playPart();
    else if (event.key === " " && !onButton) this.player.toggle();
    else if (event.key === "Escape") this.clear();
    else if (event.key === "0" || event.key === "1") this.player.choose(Number(event.key));
    else if (event.key === "+") this.wave.zoomIn();
    else if (event.key === "-") this.wave.zoomOut();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  clear() {
    this.anchor = -1;
    this.choose(0, 0);
  }

  /** Choose the next word, or add it to those that are chosen. */
  step(step, extend) {
    const { places, words } = this;
    if (!words.length) {
      this.nudge(step, extend);
      return;
    }
    const inside = (place) => Math.min(Math.max(place, 0), words.length - 1);
    if (!places) {
      this.anchor = wordAt(words, this.player.position);
      this.chooseWords(this.anchor, this.anchor);
    } else if (extend) {
      if (!places.includes(this.anchor)) this.anchor = places[step > 0 ? 0 : 1];
      const other = this.anchor === places[0] ? places[1] : places[0];
      this.chooseWords(this.anchor, inside(other + step));
    } else {
      this.anchor = inside(places[step > 0 ? 1 : 0] + step);
      this.chooseWords(this.anchor, this.anchor);
    }
  }

  /** Without words: move the playhead, or the end of what is chosen. */
  nudge(step, extend) {
    const place = this.player.position;
    if (!extend) this.player.seek(place + step * STEP_SECONDS);
    else {
      const [start, end] = this.chosen ?? [place, place];
      const last = Math.min(end + step * STEP_SECONDS, this.player.rounds[0].seconds);
      this.choose(start, Math.max(last, start));
    }
  }

  async playPart() {
    const { chosen } = this;
    if (!chosen) await this.player.toggle();
    else await this.player.play(...chosen);
  }

  /** Show the state: which sound, what is chosen, what the run does. */
  refresh() {
    const { player, chosen } = this;
    if (!this.told.length) {
      const text = this.line || (this.error.textContent ? "" : this.word("part_empty"));
      if (this.status.textContent !== text) this.status.textContent = text;
      return;
    }
    [this.before, this.after].forEach((button, index) =>
      button.setAttribute("aria-checked", String(index === player.index)),
    );
    this.button.textContent = player.isPlaying ? "❚❚" : "▶";
    this.button.setAttribute("aria-label", this.word(player.isPlaying ? "pause" : "play"));
    this.partButton.setAttribute("aria-disabled", String(!chosen));
    const text = player.failed ? this.word("failed") : this.line || this.said();
    if (this.status.textContent !== text) this.status.textContent = text;
    this.showSound();
    this.place();
    this.move();
  }

  /** The choice as a sentence. */
  said() {
    const { chosen, places } = this;
    if (!chosen) return this.word("part_none");
    const words = places ? `“${textOf(this.words, ...places)}”, ` : "";
    const times = chosen.map((one) => one.toFixed(2)).join(" - ");
    const made = this.told[0].after;
    const isMade =
      made &&
      Math.abs(made.start - chosen[0]) < SAME_SECONDS &&
      Math.abs(made.end - chosen[1]) < SAME_SECONDS;
    const next = isMade ? "" : ` ${this.word("part_run")}`;
    return `${this.word("part_chosen")}: ${words}${times} s.${next}`;
  }

  /** Show the waveform of the sound that is chosen, once for each. */
  async showSound() {
    const { round } = this;
    if (!round || this.shown === round.address) return;
    this.shown = round.address;
    this.wave.show(round.seconds, new Float32Array(0));
    if (!round.address) return;
    try {
      const data = await peaks(round.address);
      if (this.shown === round.address) this.wave.show(round.seconds, data);
    } catch {
      if (this.shown === round.address) this.fail(this.word("failed"));
    }
  }

  /** Put words, choice and marks where they belong in the view. */
  place() {
    const { round, chosen, wave } = this;
    if (!round || !this.told.length) return;
    this.band.hidden = !chosen;
    if (chosen) wave.span(this.band, ...chosen.map((one) => this.toShown(one)));
    const made = this.told[0].after;
    const { first, end, end_before: old } = made?.range ?? {};
    this.changed.hidden = !made || (end <= first && old <= first); // at strength 0 nothing changed
    if (made) {
      wave.span(this.changed, first, this.player.index ? end : old);
    }
    this.row.show(this.words, {
      places: this.places,
      anchor: this.anchor,
      lost: made?.lost ?? [],
      shown: (seconds) => this.toShown(seconds),
    });
  }

  /** Move the playhead and the clock; again and again while it plays. */
  move() {
    const { player, round } = this;
    cancelAnimationFrame(this.frame);
    if (!round) return;
    const seconds = this.toShown(player.position);
    this.cursor.style.left = `${this.wave.percent(seconds)}%`;
    this.clock.textContent = `${seconds.toFixed(1)} / ${round.seconds.toFixed(1)} s`;
    if (player.isPlaying) this.frame = requestAnimationFrame(() => this.move());
  }
}
