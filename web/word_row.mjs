/* The words below a waveform: a list to choose from, each word where it is said.

   A word is never cut: where its letters need more room than its time has, its neighbours lie in a
   second and a third line. What has no room there either is a mark, until the view is closer. */

import { make } from "./dom.mjs";

const MOST = 300; // in the view; of more, which nobody could read, only the chosen ones
const SURE = 0.5;
const FONT = "bold 11px sans-serif"; // of style.mjs; lost words are bold
const MARGIN = 7; // pixels beside the letters
const MOST_LINES = 3;
const LINE = 19; // pixels
const CLOSER = 1.25;
let count = 0;
let pen = null;
const widths = new Map(); // text -> pixels

function widthOf(text) {
  pen ??= document.createElement("canvas").getContext("2d");
  pen.font = FONT;
  if (!widths.has(text)) widths.set(text, Math.ceil(pen.measureText(text).width) + MARGIN);
  return widths.get(text);
}

/** The line of each word, -1 where no line has room; `spans` are [start, end] in pixels. */
function linesOf(words, spans, width) {
  const ends = [];
  return words.map(({ text }, place) => {
    const wide = widthOf(text);
    const left = Math.min(spans[place][0], width - wide);
    let line = 0;
    while (line < ends.length && ends[line] > left) line++;
    if (line >= MOST_LINES || left < 0) return -1;
    ends[line] = left + wide;
    return line;
  });
}

/** Words inside the view of a waveform. */
export class WordRow {
  constructor(wave, word) {
    Object.assign(this, { wave, word });
    this.number = ++count; // names of elements must differ between panels
    this.lines = [];
    this.element = make("div", { className: "words" });
    wave.inner.append(this.element);
  }

  /** Say to a screen reader what the view is: a list of words, or a sound alone. */
  name(hasWords) {
    const { view } = this.wave;
    view.setAttribute("role", hasWords ? "listbox" : "group");
    view.setAttribute("aria-label", this.word(hasWords ? "word_list" : "waveform"));
    if (hasWords) view.setAttribute("aria-multiselectable", "true");
    else view.removeAttribute("aria-multiselectable");
  }

  /** Pixels above those of one line. */
  get more() {
    return LINE * Math.max(...this.lines, 0);
  }

  /** The widest view in which all words can be read; 1, the whole, where none is close enough. */
  readableZoom(words, shown) {
    const times = words.map((one) => [shown(one.start), shown(one.end)]);
    const { wave } = this;
    for (let zoom = 1; zoom <= wave.mostZoom; zoom *= CLOSER) {
      const [width, scale] = [wave.width(zoom), wave.width(zoom) / wave.seconds];
      const spans = times.map((pair) => pair.map((one) => one * scale));
      if (!linesOf(words, spans, width).includes(-1)) return zoom;
    }
    return 1;
  }

  /** Show the words that are seen. `places` are the first and last chosen one or null, `lost`
   *  places of words that the edit has lost, `shown` turns seconds into those of the sound. */
  show(words, { places, anchor, lost, shown }) {
    const [first, last] = this.wave.seen;
    const gone = new Set(lost);
    const times = words.map((one) => [shown(one.start), shown(one.end)]);
    const spans = times.map((pair) => pair.map((one) => this.wave.pixels(one)));
    this.lines = linesOf(words, spans, this.wave.width());
    this.element.style.flexBasis = `${LINE + 5 + this.more}px`;
    const isSeen = (place) => {
      const left = times[place][0];
      return times[place][1] >= first && left <= last;
    };
    const isChosen = (place) => Boolean(places) && place >= places[0] && place <= places[1];
    const seen = words.map((_, place) => place).filter(isSeen);
    const drawn = seen.length <= MOST ? seen : seen.filter(isChosen);
    const options = drawn.map((place) => {
      const option = this.option(words[place], place, spans[place]);
      option.setAttribute("aria-selected", String(isChosen(place)));
      if (gone.has(place)) {
        option.classList.add("lost");
        option.setAttribute("aria-label", `${words[place].text}, ${this.word("lost")}`);
      }
      return option;
    });
    this.element.replaceChildren(...options);
    const { view } = this.wave;
    if (!places) view.removeAttribute("aria-activedescendant");
    else view.setAttribute("aria-activedescendant", this.id(places[anchor === places[0] ? 1 : 0]));
  }

  option(word, place, [start, end]) {
    const line = this.lines[place];
    const kinds = ["word", word.confidence < SURE && "unsure", line < 0 && "mark"];
    const option = make("div", {
      className: kinds.filter(Boolean).join(" "),
      role: "option",
      id: this.id(place),
      text: word.text,
      title: `${word.text}, ${word.start.toFixed(2)} - ${word.end.toFixed(2)} s`,
      "data-place": String(place),
    });
    const wide = line < 0 ? 2 : Math.max(end - start, widthOf(word.text));
    option.style.left = `${Math.min(start, this.wave.width() - wide)}px`;
    option.style.width = `${wide}px`;
    if (line >= 0) option.style.top = `${2 + LINE * line}px`;
    return option;
  }

  /** Place of the word under a pointer; -1 where there is none. */
  under({ clientX, clientY }) {
    const found = document.elementFromPoint(clientX, clientY)?.closest(".word");
    return found && this.element.contains(found) ? Number(found.dataset.place) : -1;
  }

  id(place) {
    return `stepedit-word-${this.number}-${place}`;
  }
}
