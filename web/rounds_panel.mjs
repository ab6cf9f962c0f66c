/* The listening panel of Iterative Edit.

   It shows takes, one a run: { seed, asked, voice, strength, clips: [{ best, warnings: [sentence],
   rounds: [{ round, kind, option, seconds, score, word_distance, words_hold, voice_similarity, holds, notes,
   loudness, places, file, peaks }] }] }. They come from the file that takes.mjs reads, and of the newest run from the widget's value: its clips. The
   marked round lives in the node's own widget best_round, 0 for "the strongest that holds". */

import { fit, keepEvents, make, setWidget, sheet } from "./dom.mjs";
import { keepSettings, madeBy } from "./mark.mjs";
import { addPanel, reloadAll, storedOf } from "./panel.mjs";
import { RoundPlayer } from "./player.mjs";
import { roundRow } from "./round_row.mjs";
import { adopt } from "./runs.mjs";
import { fileName, saveAll, saveOne } from "./save.mjs";
import { claimName, hasSounds, isForeignRun, loadTakes, names } from "./takes.mjs";
import { editName, panelWord } from "./words.mjs";

const KEY = "stepedit_rounds";
const ROW = 33;
const AROUND = 140;
const CHOICE = 26;
const EMPTY = 60;
const WARNING = 36;
const MOST = 520;
const STEP_SECONDS = 0.2;
const panels = new Map();

/** Give an Iterative Edit node its panel. */
export function addRoundsPanel(app, api, node) {
  const panel = new RoundsPanel(app, api, node);
  const watched = ["best_round", "seed", "voice", "strength"];
  const configured = () => panel.load();
  const place = { panels, name: "listen", kind: "STEPEDIT_ROUNDS", watched, configured };
  const widget = addPanel(node, panel, place);
  widget.beforeQueued = () => claimName(app, node);
}

/** The panel of a node, if it has one. */
export function panelOf(node) {
  return panels.get(node);
}

/** Read the takes of a name again, or, without a name, of all nodes. */
export function reloadPanels(name) {
  reloadAll(panels, name);
}

/** Show results that the editor kept and whose takes the server has no more. */
export function showStoredRounds(outputs) {
  for (const [node, panel] of panels) {
    const told = storedOf(outputs, node, KEY);
    // a node that never ran may have been given those of another workflow's node
    if (told && names(node).length && !panel.takes.length) panel.tell(told);
  }
}

class RoundsPanel {
  constructor(app, api, node) {
    Object.assign(this, { app, api, node });
    this.word = panelWord(app);
    this.saved = []; // takes of the server
    this.told = []; // clips of the newest run
    this.at = 0; // the take that is shown
    this.clip = 0;
    this.line = ""; // what the run does
    this.wrong = ""; // why it did not
    this.rows = [];
    this.player = new RoundPlayer(() => this.refresh());
    this.element = make("div", {
      className: "stepedit rounds",
      tabIndex: 0,
      role: "group",
      "aria-label": this.word("rounds"),
    });
    this.warning = make("div", { className: "warning", role: "status" });
    this.status = make("div", { className: "note", role: "status", "aria-live": "polite" });
    this.error = make("div", { className: "error", role: "alert" });
    keepEvents(this.element);
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.build();
  }

  get takes() {
    const clips = this.told;
    if (!clips.length || this.saved.some((take) => hasSounds(take, clips))) return this.saved;
    const { seed, asked, voice, strength } = clips[0];
    return [...this.saved, { seed, asked, voice, strength, clips, state: "done" }];
  }

  get take() {
    return this.takes[this.at];
  }

  get rounds() {
    return this.take?.clips[this.clip]?.rounds ?? [];
  }

  /** What is wrong with the run; before its end what is known of the recording. */
  get warnings() {
    return this.take?.clips[this.clip]?.warnings ?? this.rounds[0]?.notes ?? [];
  }

  /** Least height; in a higher node the rows grow. */
  get height() {
    if (!this.rounds.length) return EMPTY;
    const choices = (this.takes.length > 1) + (this.take.clips.length > 1);
    const around = AROUND + CHOICE * choices + (this.warnings.length ? WARNING : 0);
    return Math.min(around + ROW * this.rounds.length, MOST);
  }

  get markWidget() {
    return this.node.widgets?.find((widget) => widget.name === "best_round");
  }

  /** The clips of a run that is over. */
  tell(told) {
    this.told = Array.isArray(told) ? told : [];
    this.wrong = "";
    this.showNewest();
  }

  /** Read the takes; `last` says how the newest run ended. */
  async load() {
    const ask = (this.asking = {});
    const { takes, last } = await loadTakes(this.api, this.node);
    if (ask !== this.asking) return; // asked again meanwhile
    this.saved = takes;
    if (isForeignRun(last)) adopt(this.app, last.prompt);
    if (last?.state === "cancelled") this.line = this.word("cancelled");
    this.wrong = last?.error ?? "";
    this.showNewest();
  }

  /** What the run does now. */
  say(line) {
    this.line = line;
    this.wrong = "";
    this.refresh();
  }

  /** Why the run did not begin. */
  fail(sentence) {
    this.wrong = sentence;
    this.refresh();
  }

  close() {
    this.player.close();
    cancelAnimationFrame(this.frame);
  }

  /** Show the newest take, unless another one is heard. */
  showNewest() {
    if (!this.player.isPlaying) this.at = Math.max(this.takes.length - 1, 0);
    this.build();
    fit(this.node);
  }

  /** Build everything anew for the take and the clip that are chosen. */
  build() {
    const hadFocus = this.element.contains(document.activeElement);
    this.clip = Math.min(this.clip, Math.max((this.take?.clips.length ?? 1) - 1, 0));
    const rounds = this.rounds;
    const addresses = rounds.map((round) => this.address(round));
    this.player.setRounds(rounds.map((round, k) => ({ ...round, address: addresses[k] })));
    this.element.style.minHeight = `${this.height}px`;
    if (!rounds.length) {
      this.rows = [];
      const empty = make("div", { className: "note", text: this.word("empty") });
      this.element.replaceChildren(sheet(), empty, this.status, this.error);
      this.refresh();
      return;
    }
    this.rows = rounds.map((round, number) => this.row(round, number, addresses[number]));
    const list = make("div", {
      className: "list",
      role: "radiogroup",
      "aria-label": this.word("rounds"),
    });
    list.append(...this.rows.map((row) => row.element));
    this.element.replaceChildren(
      sheet(),
      this.warning,
      ...this.takeChoice(),
      ...this.clipChoice(),
      this.head(),
      list,
      this.transport(),
      this.below(),
      this.status,
      this.error,
      make("div", { className: "note", text: this.word("keys") }),
    );
    this.refresh();
    if (hadFocus) this.element.focus({ preventScroll: true });
  }

  address({ file }) {
    return file ? this.api.apiURL(`/view?${new URLSearchParams(file)}`) : "";
  }

  takeChoice() {
    if (this.takes.length < 2) return [];
    const chips = make("div", { className: "chips", role: "group" });
    chips.setAttribute("aria-label", this.word("takes"));
    this.takes.forEach((take, number) => {
      const text = `${this.word("take")} ${number + 1}`;
      const title = take.seed === undefined ? text : `${text}, ${this.word("seed")} ${take.seed}`;
      const button = make("button", { type: "button", text, title });
      button.setAttribute("aria-pressed", String(number === this.at));
      button.addEventListener("click", () => {
        this.at = number;
        this.build();
      });
      chips.append(button);
    });
    return [chips];
  }

  clipChoice() {
    const { clips } = this.take;
    if (clips.length < 2) return [];
    const select = make("select", { "aria-label": this.word("clip") });
    clips.forEach((_, number) =>
      select.append(make("option", { value: number, text: `${this.word("clip")} ${number + 1}` })),
    );
    select.value = this.clip;
    select.addEventListener("change", () => {
      this.clip = Number(select.value);
      this.build();
    });
    return [select];
  }

  head() {
    const titles = ["", "", "score", "words", "voice", "best", ""];
    const means = { score: "score_means", words: "words_mean", voice: "voice_means" };
    const spans = titles.map((one) =>
      make("span", { text: one && this.word(one), title: means[one] ? this.word(means[one]) : "" }),
    );
    return make("div", { className: "head", "aria-hidden": "true" }, ...spans);
  }

  row(round, number, address) {
    const name = `${number} · ${number ? editName(this.app, round) : this.word("input")}`;
    const file = fileName(this.at, this.take.clips.length > 1 ? this.clip : null, round);
    const row = roundRow(round, { name, address, fileName: file, word: this.word });
    row.listen.addEventListener("click", (event) => this.press(event, row, number));
    row.mark.addEventListener("click", () => this.mark(number));
    row.save.addEventListener("click", async (event) => {
      event.preventDefault();
      if (!(await saveOne(address, file))) this.fail(this.word("failed"));
    });
    return row;
  }

  /** A press plays: on the waveform from there, else from where the playhead is. */
  async press(event, { wave }, number) {
    const { player } = this;
    const box = wave.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    const onWave = event.detail > 0 && share >= 0 && share <= 1;
    if (!onWave && player.isPlaying && player.index === number) {
      player.pause();
      return;
    }
    await player.choose(number);
    const round = player.rounds[number];
    if (onWave) await player.seek(player.toInput(round, share * round.seconds));
    if (!player.isPlaying) await player.play();
  }

  transport() {
    this.button = make("button", { type: "button" });
    this.button.addEventListener("click", () => this.player.toggle());
    const most = this.rounds[0].seconds;
    this.slider = make("input", { type: "range", min: 0, max: most, step: 0.001, value: 0 });
    this.slider.setAttribute("aria-label", this.word("position"));
    this.slider.addEventListener("input", () => this.player.seek(Number(this.slider.value)));
    this.clock = make("span", { text: "" });
    return make("div", { className: "transport" }, this.button, this.slider, this.clock);
  }

  below() {
    const equal = make("input", { type: "checkbox", checked: this.player.equal });
    equal.addEventListener("change", () => this.player.setEqual(equal.checked));
    const loud = make("label", { title: this.word("equal_means") }, equal, this.word("equal"));
    const all = make("button", { type: "button", text: `⤓ ${this.word("download_all")}` });
    all.addEventListener("click", async () => {
      const clip = this.take.clips.length > 1 ? this.clip : null;
      const saved = await saveAll(this.at, clip, this.player.rounds);
      if (!saved) this.fail(this.word("failed"));
    });
    return make("div", { className: "below" }, loud, all);
  }

  /** Mark a round as the best, or take the mark back. */
  mark(number) {
    const widget = this.markWidget;
    if (!widget || number < 1 || number >= this.rounds.length) return;
    const mark = this.marked === number ? 0 : number;
    setWidget(this.app, this.node, widget, mark);
    if (mark) keepSettings(this.app, this.node, this.take);
    this.refresh();
  }

  /** The round of this take that is marked, else 0; the mark means what the node's settings make. */
  get marked() {
    return madeBy(this.node, this.take) ? Number(this.markWidget?.value) || 0 : 0;
  }

  key(event) {
    const { player } = this;
    const number = /^[0-9]$/.test(event.key) ? Number(event.key) : -1;
    if (!this.rounds.length || event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target.tagName;
    const step = { ArrowLeft: -STEP_SECONDS, ArrowRight: STEP_SECONDS }[event.key];
    if (number >= 0) player.choose(number);
    else if (event.key === " " && (on === "DIV" || event.target.className === "listen"))
      player.toggle();
    else if (step && on !== "INPUT") player.seek(player.position + step);
    else if (event.key === "b" || event.key === "B") this.mark(player.index);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Show the state: which round, where, which is best, what the run does. */
  refresh() {
    const { player, marked } = this;
    const sent = this.take?.clips[this.clip]?.best;
    let status = this.line;
    if (player.failed) status = this.word("failed");
    else if (marked && marked !== sent) status = this.word("stale");
    if (this.status.textContent !== status) this.status.textContent = status;
    const warning = this.warnings.join(" ");
    if (this.warning.textContent !== warning) this.warning.textContent = warning;
    if (this.error.textContent !== this.wrong) this.error.textContent = this.wrong;
    if (!this.rows.length) return;
    this.rows.forEach((row, number) => {
      const active = number === player.index;
      row.listen.setAttribute("aria-checked", String(active));
      row.listen.tabIndex = active ? 0 : -1;
      // the star of a round that does not hold is the user's own
      const holds = this.rounds[number].holds !== false;
      const isBest = number === (marked || (holds ? sent : 0));
      row.mark.setAttribute("aria-pressed", String(isBest));
      row.mark.classList.toggle("broken", !holds);
      row.mark.title = this.word(number === marked ? "unmark" : "mark");
    });
    this.button.textContent = player.isPlaying ? "❚❚" : "▶";
    this.button.setAttribute("aria-label", this.word(player.isPlaying ? "pause" : "play"));
    this.move();
  }

  /** Move playheads, slider and clock; again and again while it plays. */
  move() {
    const { player } = this;
    cancelAnimationFrame(this.frame);
    if (!this.rows.length) return;
    const place = player.position;
    this.rows.forEach((row, number) => {
      const round = player.rounds[number];
      row.cursor.style.left = `${(100 * player.toRound(round, place)) / round.seconds}%`;
    });
    const round = player.rounds[player.index];
    const seconds = player.toRound(round, place);
    this.slider.value = place;
    this.clock.textContent = `${seconds.toFixed(1)} / ${round.seconds.toFixed(1)} s`;
    this.slider.setAttribute("aria-valuetext", this.clock.textContent);
    if (player.isPlaying) this.frame = requestAnimationFrame(() => this.move());
  }
}
