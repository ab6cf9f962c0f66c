/* Palettes: buttons that choose an option of a list, or put a sound tag into the words. */

import { MARGINS, after, fit, keepEvents, make, setWidget, sheet } from "./dom.mjs";
import { watchOffers } from "./offers.mjs";
import { panelWord, words } from "./words.mjs";

const PADDING = 12;
const FIRST_HEIGHT = 44;
const RELEASE_2025 = [
  "Breathing", "Laughter", "Surprise-oh", "Confirmation-en", "Uhm",
  "Surprise-ah", "Surprise-wa", "Sigh", "Question-ei", "Dissatisfaction-hnn",
];
const RELEASE_2026 = [
  "sigh", "inhale", "laugh", "chuckle", "exhale", "clears throat", "snort", "giggle", "cough",
  "breath", "uhm", "Confirmation-en", "Surprise-oh", "Surprise-ah", "Surprise-wa", "Surprise-yo",
  "Dissatisfaction-hnn", "Question-ei", "Question-ah", "Question-en", "Question-yi", "Question-oh",
];

/** Readable names in a list, which keeps the model's keys, and below it the same as buttons. */
export function addOptionPalette(app, api, node, name, withButtons) {
  const widget = node.widgets?.find((other) => other.name === name);
  const table = words(app, "options")[name];
  if (!widget || !table) return;
  const label = (value) => table[value]?.name ?? value ?? "";
  widget.options.getOptionLabel = label; // the canvas; Nodes 2.0 of newer frontends too
  widget.options.optionLabel = label; // Nodes 2.0 of 1.32.9 hands the options on to its list
  if (!withButtons) return;
  const chips = make("div", {
    className: "chips",
    role: "group",
    "aria-label": panelWord(app)("choices"),
  });
  const buttons = []; // [option, button]
  for (const option of widget.options.values ?? []) {
    const entry = table[option] ?? { name: option, meaning: option };
    const button = chip(entry.name, `${entry.name}: ${entry.meaning} [${option}]`);
    button.addEventListener("click", () => {
      if (!isOff(button)) setWidget(app, node, widget, option);
    });
    buttons.push([option, button]);
    chips.append(button);
  }
  const show = () => {
    for (const [option, button] of buttons)
      button.setAttribute("aria-pressed", String(option === widget.value));
  };
  after(widget, "callback", show);
  after(node, "onConfigure", show);
  show();
  add(node, "choose", chips);
  greyOut(app, api, node, name, buttons);
}

/** Grey out the buttons of what the model cannot do, with the reason. */
function greyOut(app, api, node, kind, buttons) {
  const show = (reasons, bundle) => {
    const taught = `${panelWord(app)("cannot")} (${bundle}).`;
    for (const [option, button] of buttons) {
      button.setAttribute("aria-disabled", String(option in reasons));
      const why = option in reasons ? `\n${taught}\n${reasons[option]}` : "";
      button.title = button.getAttribute("aria-label") + why;
    }
  };
  const options = [...new Set(buttons.map(([option]) => option))];
  watchOffers(app, api, node, { kind, options, show });
}

function isOff(button) {
  return button.getAttribute("aria-disabled") === "true";
}

/** Buttons that insert a sound tag where the caret is, else at the end. */
export function addSoundPalette(app, api, node) {
  const widget = node.widgets?.find((other) => other.name === "text_with_sounds");
  const table = words(app, "sounds");
  if (!widget || !Object.keys(table).length) return;
  const word = panelWord(app);
  const box = make("div", {});
  const caret = new Caret(widget);
  box.addEventListener("pointerdown", () => caret.note(document.activeElement), true);
  box.addEventListener("focusin", (event) => caret.note(event.relatedTarget));
  // the editor takes the focus away on any press, and may draw the words anew
  const moved = () => caret.note(document.activeElement);
  document.addEventListener("selectionchange", moved);
  after(node, "onRemoved", () => document.removeEventListener("selectionchange", moved));
  const buttons = []; // [option, button]
  for (const [release, tags] of [
    ["release_2025", RELEASE_2025],
    ["release_2026", RELEASE_2026],
  ]) {
    const chips = make("div", { className: "chips", role: "group", "aria-label": word(release) });
    for (const tag of tags) {
      const entry = table[tag] ?? { name: tag, meaning: "" };
      const said = `${word("sounds")}: ${entry.name}, ${entry.meaning} [${tag}]`;
      const button = chip(entry.name, said);
      button.addEventListener("click", () => {
        if (!isOff(button)) caret.insert(app, node, `[${tag}]`);
      });
      buttons.push([tag, button]);
      chips.append(button);
    }
    box.append(make("div", { className: "note", text: word(release) }), chips);
  }
  add(node, "sounds", box);
  greyOut(app, api, node, "sounds", buttons);
}

function chip(text, title) {
  return make("button", { type: "button", text, title, "aria-label": title });
}

/** Put buttons on a node; it is as high as they need in its width, so that none is cut off. */
function add(node, name, content) {
  const element = make("div", { className: "stepedit palette" }, sheet(), content);
  let height = FIRST_HEIGHT;
  keepEvents(element);
  const widget = node.addDOMWidget(name, `STEPEDIT_${name.toUpperCase()}`, element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => height + MARGINS,
    getValue: () => "",
    setValue: () => {},
  });
  widget.serialize = false;
  const watch = new ResizeObserver(() => {
    const needed = content.offsetHeight + PADDING;
    if (!content.offsetHeight || needed === height) return;
    height = needed;
    element.style.minHeight = `${height}px`;
    fit(node);
  });
  watch.observe(content);
  after(node, "onRemoved", () => watch.disconnect());
  after(node, "onConfigure", () => fit(node));
  fit(node);
}

/** Where the user was in the words. Both renderers draw them as a text area with the same text. */
class Caret {
  constructor(widget) {
    this.widget = widget;
    this.area = null;
    this.at = null;
    this.text = ""; // in which `at` is a place
  }

  note(element) {
    if (element?.tagName !== "TEXTAREA" || element.value !== this.widget.value) return;
    this.area = element;
    this.at = [element.selectionStart, element.selectionEnd];
    this.text = element.value;
  }

  insert(app, node, tag) {
    const text = String(this.widget.value ?? "");
    const [start, end] = this.at && this.text === text ? this.at : [text.length, text.length];
    const before = text.slice(0, start);
    const rest = text.slice(end);
    const left = before && !/\s$/.test(before) ? " " : "";
    const right = rest && !/^\s/.test(rest) ? " " : "";
    this.text = before + left + tag + right + rest;
    setWidget(app, node, this.widget, this.text);
    const place = start + left.length + tag.length;
    this.at = [place, place];
    requestAnimationFrame(() => {
      if (this.area?.isConnected && this.area.value === this.widget.value)
        this.area.setSelectionRange(place, place);
    });
  }
}
