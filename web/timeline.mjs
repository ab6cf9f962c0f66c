/* Words of a recording with their times: [{ text, start, end, confidence }], in order. */

/** A word for comparing, as stepedit_core/text/units.py does: letters and digits in lower case. */
function bare(text) {
  return text.normalize("NFKC").toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
}

/** A phrase as words: between spaces, and each Chinese character alone. */
function split(phrase) {
  return phrase
    .replace(/(\p{Script=Han})/gu, " $1 ")
    .split(/\s+/)
    .map(bare)
    .filter(Boolean);
}

/** First and last place of a phrase among the words; null where it is not there exactly once. */
export function phrasePlaces(words, phrase) {
  const sought = split(phrase);
  const ours = words.map((word, place) => [bare(word.text), place]).filter(([text]) => text);
  const found = [];
  for (let at = 0; sought.length && at + sought.length <= ours.length; at++)
    if (sought.every((text, k) => ours[at + k][0] === text))
      found.push([ours[at][1], ours[at + sought.length - 1][1]]);
  return found.length === 1 ? found[0] : null;
}

/** Place of the word that is said at a time, or nearest to it; -1 where there are no words. */
export function wordAt(words, seconds) {
  const away = words.map(({ start, end }) => Math.max(start - seconds, seconds - end, 0));
  return away.indexOf(Math.min(...away));
}

/** First and last place of the words whose middle lies in a span; null where there is none. */
export function placesIn(words, start, end) {
  const inside = words
    .map((word, place) => [(word.start + word.end) / 2, place])
    .filter(([middle]) => middle >= start && middle < end)
    .map(([, place]) => place);
  return inside.length ? [inside[0], inside.at(-1)] : null;
}

/** The words from one place to another as a text; Chinese characters stand without spaces. */
export function textOf(words, first, last) {
  const texts = words.slice(first, last + 1).map((word) => word.text);
  return texts
    .join(" ")
    .replace(/(\p{Script=Han}) (?=\p{Script=Han})/gu, "$1");
}
