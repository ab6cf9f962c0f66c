/* The panel of Edit Range: a waveform with its words, over which a part is chosen.

   What it shows is its widget's value: [{ words: [{ text, start, end, confidence }], why, before:
   { file, seconds, loudness }, after: null or { ...as before, start, end, range: { first, end,
   end_before }, lost: [place of a word], score, notes: [sentence] }, source }]; `source` is the name
   of the sound that the audio input led to when the run was asked for. What is chosen lives in the
   node's own widgets phrase, start and end, so a saved workflow and an API call have it. */

import { WIDGETS, chosenIn, keepChoice } from "./choice.mjs";
import { fit, keepEvents, make } from "./dom.mjs";
import { addPanel, reload, reloadAll, storedOf } from "./panel.mjs";
import { RoundPlayer } from "./player.mjs";
import { Choosing } from "./range_choosing.mjs";
import { rangeParts } from "./range_parts.mjs";
import { sourceOf } from "./source.mjs";
import { claimName } from "./takes.mjs";
import { placesIn, textOf } from "./timeline.mjs";
import { Waveform, peaks } from "./waveform.mjs";
import { WordRow } from "./word_row.mjs";
import { panelWord } from "./words.mjs";

const KEY = "stepedit_range";
const HEIGHT = 270;
const EMPTY = 60;
const WARNING = 36;
const SAME_SECONDS = 0.002;
const SOURCE = "stepedit_source";
const LOOK_MS = 1000; // links change without a word to nodes further down
const panels = new Map();

/** Give an Edit Range node its panel. */
export function addRangePanel(app, api, node) {
  const panel = new RangePanel(app, api, node);
  const configured = () => {
    panel.refresh();
    panel.load();
  };
  const place = { panels, name: "part", kind: "STEPEDIT_RANGE", watched: WIDGETS, configured };
  const widget = addPanel(node, panel, place);
  widget.beforeQueued = () => {
    claimName(app, node);
    node.properties[SOURCE] = sourceOf(app, node, "audio"); // comes back with the result
  };
}

/** The panel of a node, if it has one. */
export function rangePanelOf(node) {
  return panels.get(node);
}

/** Read the last result of a name again, or, without a name, of all nodes. */
export function reloadRanges(name) {
  reloadAll(panels, name);
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
    Object.assign(this, { app, api, node, key: KEY });
    this.word = panelWord(app);
    this.told = [];
    this.line = "";
    this.player = new RoundPlayer(() => this.refresh());
    this.wave = new Waveform({
      pressed: (event, seconds) => this.choosing.press(event, seconds),
      dragged: (from, to, event) => this.choosing.drag(from, to, event),
      moved: () => this.place(),
    });
    this.element = make("div", {
      className: "stepedit part",
      role: "group",
      "aria-label": this.word("part"),
      "data-capture-wheel": "true", // Nodes 2.0: the wheel is ours while the focus is inside
    });
    keepEvents(this.element);
    this.element.addEventListener("keydown", (event) => this.choosing.key(event));
    const { element, word, player, wave } = this;
    this.parts = rangeParts({ element, word, player, wave, playPart: () => this.playPart() });
    this.row = new WordRow(wave, word);
    this.choosing = new Choosing(this);
    this.timer = setInterval(() => this.look(), LOOK_MS);
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
    const warned = this.parts.warning.textContent ? WARNING : 0;
    return this.told.length ? HEIGHT + this.row.more + warned : EMPTY;
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

  /** The result of a run. */
  tell(told) {
    const one = Array.isArray(told) ? told[0] : null;
    const before = this.told[0]?.before?.file?.filename;
    this.told = one?.before ? told : [];
    if (before !== one?.before?.file?.filename) this.wave.byHand = false;
    this.line = "";
    this.shown = "";
    const { rounds, parts } = this;
    parts.error.textContent = "";
    this.player.setRounds(rounds);
    if (rounds.length > 1) this.player.choose(1);
    for (const part of [parts.bar, this.wave.view, parts.keys]) part.hidden = !rounds.length;
    parts.versions.hidden = rounds.length < 2;
    this.row.name(this.words.length > 0);
    const known = this.words.length || !rounds.length;
    parts.note.textContent = known ? "" : [this.word("no_words"), one.why].join(" ");
    const lost = (one?.after?.lost ?? []).map((place) => this.words[place]?.text).filter(Boolean);
    parts.lost.textContent = lost.length ? `${this.word("lost_words")}: ${lost.join(" ")}` : "";
    this.look();
    this.readable = ""; // for which sound and width the zoom was set
    this.refresh();
    this.grow();
  }

  /** The last result, after the page was loaded anew. */
  load() {
    return reload(this.app, this.api, this.node, this);
  }

  /** Say what is wrong with what is shown: another recording than now, or a run with warnings. */
  look() {
    const { source, after: made } = this.told[0] ?? {};
    const isOlder = Boolean(source) && source !== sourceOf(this.app, this.node, "audio");
    this.element.classList.toggle("older", isOlder);
    const said = [isOlder && this.word("older_clip"), ...(made?.notes ?? [])];
    const text = said.filter(Boolean).join(" ");
    const { warning } = this.parts;
    if (warning.textContent === text) return;
    warning.textContent = text;
    this.grow();
  }

  /** As high as what it shows needs. */
  grow() {
    const height = `${this.height}px`;
    if (this.element.style.minHeight === height) return;
    this.element.style.minHeight = height;
    fit(this.node);
  }

  /** What the run does now. */
  say(line) {
    this.line = line;
    this.parts.error.textContent = "";
    this.refresh();
  }

  /** Why the run did not begin, or failed. */
  fail(sentence) {
    this.line = "";
    this.parts.error.textContent = sentence;
    this.refresh();
  }

  close() {
    this.player.close();
    this.wave.close();
    clearInterval(this.timer);
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

  async playPart() {
    const { chosen } = this;
    if (!chosen) await this.player.toggle();
    else await this.player.play(...chosen);
  }

  /** Show the state: which sound, what is chosen, what the run does. */
  refresh() {
    const { player, chosen, parts } = this;
    const { status } = parts;
    if (!this.told.length) {
      const text = this.line || (parts.error.textContent ? "" : this.word("part_empty"));
      if (status.textContent !== text) status.textContent = text;
      return;
    }
    parts.sounds.forEach((button, index) =>
      button.setAttribute("aria-checked", String(index === player.index)),
    );
    parts.play.textContent = player.isPlaying ? "❚❚" : "▶";
    parts.play.setAttribute("aria-label", this.word(player.isPlaying ? "pause" : "play"));
    parts.part.setAttribute("aria-disabled", String(!chosen));
    const text = player.failed ? this.word("failed") : this.line || this.said();
    if (status.textContent !== text) status.textContent = text;
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
    const { band, changed } = this.parts.inWave;
    if (!round || !this.told.length) return;
    this.open();
    band.hidden = !chosen;
    if (chosen) wave.span(band, ...chosen.map((one) => this.toShown(one)));
    const made = this.told[0].after;
    const { first, end, end_before: old } = made?.range ?? {};
    changed.hidden = !made || (end <= first && old <= first); // at strength 0 nothing changed
    if (made) wave.span(changed, first, this.player.index ? end : old);
    this.row.show(this.words, {
      places: this.places,
      anchor: this.choosing.anchor,
      lost: made?.lost ?? [],
      shown: (seconds) => this.toShown(seconds),
    });
    this.grow();
  }

  /** Look so closely that the words can be read, until a user has chosen how closely. */
  open() {
    const { wave, chosen } = this;
    const sight = `${wave.width(1)} ${this.player.rounds[0].seconds}`;
    if (wave.byHand || !wave.width(1) || sight === this.readable) return;
    this.readable = sight;
    const shown = (seconds) => this.toShown(seconds);
    wave.setZoom(this.row.readableZoom(this.words, shown));
    if (chosen) wave.reveal(...chosen.map(shown));
  }

  /** Move the playhead and the clock; again and again while it plays. */
  move() {
    const { player, round } = this;
    const { clock, inWave } = this.parts;
    cancelAnimationFrame(this.frame);
    if (!round) return;
    const seconds = this.toShown(player.position);
    inWave.cursor.style.left = `${this.wave.percent(seconds)}%`;
    clock.textContent = `${seconds.toFixed(1)} / ${round.seconds.toFixed(1)} s`;
    if (player.isPlaying) this.frame = requestAnimationFrame(() => this.move());
  }
}
