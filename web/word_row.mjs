/* The words below a waveform: a list to choose from, each word where it is said. */

import { make } from "./dom.mjs";

const MOST = 300; // in the view; of more, which nobody could read, only the chosen ones
const SURE = 0.5;
const SIZE = 11; // pixels of the letters
const LEAST_SIZE = 7; // in a short word
const LETTER = 0.55; // width of a letter beside its size
let count = 0;

/** Words inside the view of a waveform. */
export class WordRow {
  constructor(wave, word) {
    Object.assign(this, { wave, word });
    this.number = ++count; // names of elements must differ between panels
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

  /** Show the words that are seen. `places` are the first and last chosen one or null, `lost`
   *  places of words that the edit has lost, `shown` turns seconds into those of the sound. */
  show(words, { places, anchor, lost, shown }) {
    const [first, last] = this.wave.seen;
    const gone = new Set(lost);
    const seen = words
      .map((word, place) => ({ word, place, times: [shown(word.start), shown(word.end)] }))
      .filter(({ times }) => times[1] >= first && times[0] <= last);
    const isChosen = (place) => Boolean(places) && place >= places[0] && place <= places[1];
    const drawn = seen.length <= MOST ? seen : seen.filter(({ place }) => isChosen(place));
    const options = drawn.map(({ word, place, times }) =>
      this.option(word, place, { times, isChosen: isChosen(place), isLost: gone.has(place) }),
    );
    this.element.replaceChildren(...options);
    const { view } = this.wave;
    if (!places) view.removeAttribute("aria-activedescendant");
    else view.setAttribute("aria-activedescendant", this.id(places[anchor === places[0] ? 1 : 0]));
  }

  option(word, place, { times, isChosen, isLost }) {
    const kinds = ["word", word.confidence < SURE && "unsure", isLost && "lost"];
    const option = make("div", {
      className: kinds.filter(Boolean).join(" "),
      role: "option",
      id: this.id(place),
      text: word.text,
      title: `${word.text}, ${word.start.toFixed(2)} - ${word.end.toFixed(2)} s`,
      "aria-selected": String(isChosen),
    });
    if (isLost) option.setAttribute("aria-label", `${word.text}, ${this.word("lost")}`);
    this.wave.span(option, ...times);
    const room = this.wave.pixels(times[1] - times[0]) / Math.max(word.text.length, 1);
    option.style.fontSize = `${Math.min(Math.max(room / LETTER, LEAST_SIZE), SIZE)}px`;
    return option;
  }

  id(place) {
    return `stepedit-word-${this.number}-${place}`;
  }
}
