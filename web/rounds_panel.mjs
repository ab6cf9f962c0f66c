/* The listening panel of Iterative Edit.

   What it shows is its widget's value: for each clip of the batch
   { seed, asked, voice, best, rounds: [{ round, edit, seconds, score, voice_similarity, file,
   peaks }] }. The marked round lives in the node's own widget best_round, 0 for "by score". */

import { after, fit, keepEvents, make, setWidget, sheet } from "./dom.mjs";
import { keepSettings } from "./mark.mjs";
import { RoundPlayer } from "./player.mjs";
import { panelWord } from "./words.mjs";

const KEY = "stepedit_rounds";
const ROW = 33;
const AROUND = 96;
const STEP = 0.02;
const panels = new Map();

/** Give an Iterative Edit node its panel. */
export function addRoundsPanel(app, api, node) {
  const panel = new RoundsPanel(app, api, node);
  const widget = node.addDOMWidget("listen", "STEPEDIT_ROUNDS", panel.element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => panel.height,
    getValue: () => panel.told,
    setValue: (value) => panel.tell(value),
  });
  widget.serialize = false;
  panels.set(node, { panel, widget });
  after(node, "onRemoved", () => {
    panel.close();
    panels.delete(node);
  });
  after(node, "onConfigure", () => fit(node));
  fit(node);
  const mark = node.widgets.find((other) => other.name === "best_round");
  if (mark) after(mark, "callback", () => panel.refresh());
}

/** The panel of a node, if it has one. */
export function panelOf(node) {
  return panels.get(node)?.panel;
}

/** Show results that the editor kept, for example after a change of the workflow tab. */
export function showStoredRounds(outputs) {
  for (const [node, { widget }] of panels) {
    const graph = node.graph;
    const place = !graph || graph.isRootGraph ? String(node.id) : `${graph.id}:${node.id}`;
    const told = outputs?.[place]?.[KEY];
    if (Array.isArray(told) && told !== widget.value) widget.value = told;
  }
}

class RoundsPanel {
  constructor(app, api, node) {
    this.app = app;
    this.api = api;
    this.node = node;
    this.word = panelWord(app);
    this.told = [];
    this.line = "";
    this.status = make("div", { className: "note", role: "status", "aria-live": "polite" });
    this.clip = 0;
    this.player = null;
    this.element = make("div", {
      className: "stepedit",
      tabIndex: 0,
      role: "group",
      "aria-label": this.word("rounds"),
    });
    keepEvents(this.element);
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.build();
  }

  get rounds() {
    return this.told[this.clip]?.rounds ?? [];
  }

  get height() {
    return this.rounds.length ? Math.min(AROUND + ROW * this.rounds.length, 460) : 44;
  }

  get markWidget() {
    return this.node.widgets?.find((widget) => widget.name === "best_round");
  }

  /** New results. */
  tell(told) {
    this.told = Array.isArray(told) ? told : [];
    if (this.told.length) this.line = "";
    this.clip = Math.min(this.clip, Math.max(this.told.length - 1, 0));
    this.build();
    if (this.told.length) fit(this.node);
  }

  /** What the run does now. */
  say(line) {
    this.line = line;
    this.refresh();
  }

  close() {
    this.player?.close();
    cancelAnimationFrame(this.frame);
  }

  /** Build everything anew for the clip that is chosen. */
  build() {
    const index = this.player?.index ?? 0;
    this.player?.close();
    this.player = null;
    this.element.style.minHeight = `${this.height}px`;
    this.rows = [];
    if (!this.rounds.length) {
      const empty = make("div", { className: "note", text: this.word("empty") });
      this.element.replaceChildren(sheet(), empty, this.status);
      this.refresh();
      return;
    }
    const addresses = this.rounds.map((round) =>
      this.api.apiURL(`/view?${new URLSearchParams(round.file)}`),
    );
    this.player = new RoundPlayer(addresses, () => this.refresh());
    this.player.index = Math.min(index, addresses.length - 1);
    this.rows = this.rounds.map((round, number) => this.row(round, number));
    const list = make("div", { role: "radiogroup", "aria-label": this.word("rounds") });
    list.append(...this.rows.map((row) => row.element));
    this.element.replaceChildren(
      sheet(),
      ...this.clipChoice(),
      this.head(),
      list,
      this.transport(),
      this.status,
      make("div", { className: "note", text: this.word("keys") }),
    );
    this.refresh();
  }

  clipChoice() {
    if (this.told.length < 2) return [];
    const select = make("select", { "aria-label": this.word("clip") });
    this.told.forEach((_, number) =>
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
    return make(
      "div",
      { className: "head", "aria-hidden": "true" },
      make("span"),
      make("span"),
      make("span", { text: this.word("score") }),
      make("span", { text: this.word("voice") }),
      make("span", { text: this.word("best") }),
    );
  }

  row(round, number) {
    const edit = number ? round.edit : this.word("input");
    const name = `${number} · ${edit}`;
    const short = `${number} · ${edit.split(" ").slice(1).join(" ") || edit}`;
    const score = round.score === null ? "-" : round.score.toFixed(1);
    const voice = round.voice_similarity.toFixed(2);
    const cursor = make("div", { className: "cursor" });
    const wave = make("div", { className: "wave" }, waveform(round.peaks), cursor);
    const spoken = [
      name,
      `${round.seconds.toFixed(1)} s`,
      `${this.word("score")} ${score}`,
      `${this.word("voice")} ${voice}`,
    ].join(", ");
    const listen = make(
      "button",
      { className: "listen", type: "button", role: "radio", title: spoken, "aria-label": spoken },
      make("span", { text: short }),
      wave,
      make("span", { text: score }),
      make("span", { text: voice }),
    );
    listen.addEventListener("click", async (event) => {
      const box = wave.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      if (event.detail && share >= 0 && share <= 1) this.player.share = share;
      if (event.detail && share >= 0 && share <= 1 && this.player.isPlaying)
        await this.player.seek(share);
      await this.player.choose(number);
    });
    const mark = make("button", {
      className: "mark",
      type: "button",
      text: "★",
      "aria-label": `${this.word("mark")}: ${number}`,
    });
    mark.addEventListener("click", () => this.mark(number));
    if (!number) mark.style.visibility = "hidden";
    const element = make("div", { className: "row" }, listen, mark);
    return { element, listen, mark, cursor };
  }

  transport() {
    this.button = make("button", { type: "button" });
    this.button.addEventListener("click", () => this.player.toggle());
    this.slider = make("input", { type: "range", min: 0, max: 1, step: 0.001, value: 0 });
    this.slider.setAttribute("aria-label", this.word("position"));
    this.slider.addEventListener("input", () => this.player.seek(Number(this.slider.value)));
    this.clock = make("span", { text: "" });
    return make("div", { className: "transport" }, this.button, this.slider, this.clock);
  }

  /** Mark a round as the best, or take the mark back. */
  mark(number) {
    const widget = this.markWidget;
    if (!widget || number < 1 || number >= this.rounds.length) return;
    const mark = widget.value === number ? 0 : number;
    setWidget(this.app, this.node, widget, mark);
    if (mark) keepSettings(this.app, this.node, this.told[this.clip]);
    this.refresh();
  }

  key(event) {
    const number = /^[0-9]$/.test(event.key) ? Number(event.key) : -1;
    if (!this.player || event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target.tagName;
    if (number >= 0) this.player.choose(number);
    else if (event.key === " " && (on !== "BUTTON" || event.target.className === "listen"))
      this.player.toggle();
    else if (event.key === "ArrowLeft" && on !== "INPUT")
      this.player.seek(this.player.position - STEP);
    else if (event.key === "ArrowRight" && on !== "INPUT")
      this.player.seek(this.player.position + STEP);
    else if (event.key === "b" || event.key === "B") this.mark(this.player.index);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Show the state: which round, where, which is best. */
  refresh() {
    const { player } = this;
    if (!player) {
      this.status.textContent = this.line;
      return;
    }
    const marked = Number(this.markWidget?.value) || 0;
    const sent = this.told[this.clip].best;
    const best = marked || sent;
    this.rows.forEach((row, number) => {
      const active = number === player.index;
      row.listen.setAttribute("aria-checked", String(active));
      row.listen.tabIndex = active ? 0 : -1;
      row.mark.setAttribute("aria-pressed", String(number === best));
      row.mark.title = this.word(number === marked ? "unmark" : "mark");
    });
    this.button.textContent = player.isPlaying ? "❚❚" : "▶";
    this.button.setAttribute("aria-label", this.word(player.isPlaying ? "pause" : "play"));
    let status = this.line;
    if (player.failed) status = this.word("failed");
    else if (marked && marked !== sent) status = this.word("stale");
    if (this.status.textContent !== status) this.status.textContent = status;
    this.move();
  }

  /** Move playhead, slider and clock; again and again while it plays. */
  move() {
    const { player } = this;
    cancelAnimationFrame(this.frame);
    if (!player) return;
    const share = player.position;
    const seconds = this.rounds[player.index].seconds;
    for (const row of this.rows) row.cursor.style.left = `${100 * share}%`;
    this.slider.value = share;
    this.clock.textContent = `${(share * seconds).toFixed(1)} / ${seconds.toFixed(1)} s`;
    this.slider.setAttribute("aria-valuetext", this.clock.textContent);
    if (player.isPlaying) this.frame = requestAnimationFrame(() => this.move());
  }
}

/** Bars of a waveform, from loudness 0 to 100 of equal parts. */
function waveform(peaks) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${peaks.length} 100`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const bar = (peak, x) => `M${x} ${50 - peak / 2}h0.7v${Math.max(peak, 1)}h-0.7z`;
  path.setAttribute("d", peaks.map((peak, x) => bar(Number(peak) || 0, x)).join(""));
  svg.append(path);
  return svg;
}
