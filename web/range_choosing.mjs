/* Choosing a part in the panel of Edit Range, by pointer and by keys. */

import { wordAt } from "./timeline.mjs";

const STEP_SECONDS = 0.1;

/** Turns presses, drags and keys into the choice of a panel. */
export class Choosing {
  constructor(panel) {
    this.panel = panel;
    this.anchor = -1; // the word from which Shift extends
    this.onWords = false; // whether the pointer went down on the words
    this.from = -1; // the word that it went down on
    // the words' elements are made anew while it moves, so this is asked when it goes down
    panel.wave.view.addEventListener("pointerdown", (event) => {
      this.onWords = panel.row.element.contains(event.target);
      this.from = panel.row.under(event);
    });
  }

  /** Choose from one word to another. */
  chooseWords(from, to, isDrag = false) {
    const { panel } = this;
    const [first, last] = [Math.min(from, to), Math.max(from, to)];
    const span = [panel.words[first].start, panel.words[last].end];
    panel.choose(...span);
    // a drag leaves the view where it is, below the pointer
    if (!isDrag) panel.wave.reveal(...span.map((one) => panel.toShown(one)));
  }

  /** A click: on a word it chooses, on the sound it moves the playhead; Shift extends. */
  press(event, shown) {
    const { panel } = this;
    panel.wave.view.focus({ preventScroll: true });
    const seconds = panel.toInput(shown);
    const { chosen } = panel;
    if (this.onWords) {
      const place = this.from >= 0 ? this.from : wordAt(panel.words, seconds);
      if (place < 0) return;
      if (!event.shiftKey || this.anchor < 0) this.anchor = place;
      this.chooseWords(this.anchor, place);
    } else if (event.shiftKey && chosen) {
      const middle = (chosen[0] + chosen[1]) / 2;
      if (seconds < middle) panel.choose(seconds, chosen[1]);
      else panel.choose(chosen[0], seconds);
    } else panel.player.seek(seconds);
  }

  /** A drag: over words it chooses whole words, over the sound seconds. */
  drag(from, to, event) {
    const { panel } = this;
    panel.wave.view.focus({ preventScroll: true });
    const [start, end] = [from, to].map((one) => panel.toInput(one));
    if (this.onWords && panel.words.length) {
      const under = panel.row.under(event);
      this.anchor = this.from >= 0 ? this.from : wordAt(panel.words, start);
      this.chooseWords(this.anchor, under >= 0 ? under : wordAt(panel.words, end), true);
    } else panel.choose(Math.min(start, end), Math.max(start, end));
  }

  key(event) {
    const { panel } = this;
    if (!panel.told.length || event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = ["BUTTON", "INPUT"].includes(event.target.tagName);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const end = { Home: 0, End: panel.words.length - 1 }[event.key];
    if (step) this.step(step, event.shiftKey);
    else if (end >= 0) this.chooseWords((this.anchor = end), end);
    else if (event.key === "Enter" && !onButton) panel.playPart();
    else if (event.key === " " && !onButton) panel.player.toggle();
    else if (event.key === "Escape") this.clear();
    else if (event.key === "0" || event.key === "1") panel.player.choose(Number(event.key));
    else if (event.key === "+") panel.wave.zoomBy(1);
    else if (event.key === "-") panel.wave.zoomBy(-1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  clear() {
    this.anchor = -1;
    this.panel.choose(0, 0);
  }

  /** Choose the next word, or add it to those that are chosen. */
  step(step, extend) {
    const { places, words, player } = this.panel;
    if (!words.length) {
      this.nudge(step, extend);
      return;
    }
    const inside = (place) => Math.min(Math.max(place, 0), words.length - 1);
    if (!places) {
      this.anchor = wordAt(words, player.position);
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
    const { panel } = this;
    const { player } = panel;
    const place = player.position;
    if (!extend) player.seek(place + step * STEP_SECONDS);
    else {
      const [start, end] = panel.chosen ?? [place, place];
      const last = Math.min(end + step * STEP_SECONDS, player.rounds[0].seconds);
      panel.choose(start, Math.max(last, start));
    }
  }
}
