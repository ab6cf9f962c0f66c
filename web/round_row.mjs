/* One round in the listening panel: its name, waveform, figures, star and download. */

import { make } from "./dom.mjs";

/** Figures at which words and voice hold; stepedit_core/measure/holding.py has the lower ones. */
const WORDS = { good: 0.16, fair: 0.25 }; // distance, 0 is the same
const VOICE = { good: 0.7, fair: 0.5 }; // likeness, 1 is the same

/** Elements of a round: { element, listen, mark, save, cursor, wave }. `name` is its readable name. */
export function roundRow(round, { name, address, fileName, word }) {
  const figures = [
    figure(round.score, 1, "", word("score"), word("score_means")),
    figure(round.word_distance, 2, wordsLevel(round), word("words"), wordsTip(round, word)),
    figure(round.voice_similarity, 2, voiceLevel(round), word("voice"), word("voice_means")),
  ];
  const cursor = make("div", { className: "cursor" });
  const wave = make("div", { className: "wave" }, waveform(round.peaks ?? []), cursor);
  const seconds = `${round.seconds.toFixed(1)} s`;
  const spoken = [name, seconds, ...figures.map((one) => one.spoken)].join(", ");
  const notes = [spoken, ...(round.notes ?? [])].join("\n");
  const listen = make(
    "button",
    { className: "listen", type: "button", role: "radio", title: notes, "aria-label": spoken },
    make("span", { text: name }),
    wave,
    ...figures.map((one) => one.element),
  );
  const mark = make("button", {
    className: "mark",
    type: "button",
    text: "★",
    "aria-label": `${word("mark")}: ${round.round}`,
  });
  if (!round.round) mark.style.visibility = "hidden";
  const save = make("a", {
    className: "save",
    href: address,
    download: fileName,
    text: "⤓",
    title: word("download"),
    "aria-label": `${word("download")}: ${name}`,
  });
  if (!address) save.style.visibility = "hidden";
  const element = make("div", { className: "row" }, listen, mark, save);
  return { element, listen, mark, save, cursor, wave };
}

function figure(value, digits, level, name, title) {
  const text = Number.isFinite(value) ? value.toFixed(digits) : "-";
  const element = make("span", { className: `figure ${level}`, text, title });
  return { element, spoken: `${name} ${text}` };
}

function wordsLevel({ word_distance: away, words_hold: hold, round }) {
  // null: the transcript does not fit the recording, so nothing is known of the words
  if (!round || !Number.isFinite(away) || hold === null) return "";
  if (hold === false) return "bad";
  if (away <= WORDS.good) return "good";
  return away <= WORDS.fair ? "fair" : "bad";
}

function wordsTip({ heard }, word) {
  return heard ? `${word("words_mean")}\n${word("heard")}: ${heard}` : word("words_mean");
}

function voiceLevel({ voice_similarity: like, round }) {
  if (!round || !Number.isFinite(like)) return "";
  if (like >= VOICE.good) return "good";
  return like >= VOICE.fair ? "fair" : "bad";
}

/** Bars of a waveform, from loudness 0 to 100 of equal parts. */
function waveform(peaks) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${peaks.length || 1} 100`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const bar = (peak, x) => `M${x} ${50 - peak / 2}h0.7v${Math.max(peak, 1)}h-0.7z`;
  path.setAttribute("d", peaks.map((peak, x) => bar(Number(peak) || 0, x)).join(""));
  svg.append(path);
  return svg;
}
