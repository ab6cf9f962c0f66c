/* The players of Play and Save Audio: one below the other, each with its number and a download.

   What they show is their widget's value: [{ file, seconds }] in the order of the list. */

import { after, fit, keepEvents, make, sheet } from "./dom.mjs";
import { reload, reloadAll, storedOf } from "./panel.mjs";
import { claimName } from "./takes.mjs";
import { panelWord } from "./words.mjs";

const KEY = "stepedit_players";
const ROW = 46;
const MOST_ROWS = 8;
const players = new Map();

/** Give a Play and Save Audio node its players. */
export function addPlayers(app, api, node) {
  const word = panelWord(app);
  const element = make("div", {
    className: "stepedit",
    role: "group",
    "aria-label": word("players"),
  });
  keepEvents(element);
  let told = [];
  const height = () => (told.length ? ROW * Math.min(told.length, MOST_ROWS) + 14 : 44);
  const show = () => {
    const rows = told.map((clip, place) => row(api, word, clip, place + 1, told.length));
    const empty = make("div", { className: "note", text: word("no_clips") });
    element.style.minHeight = `${height()}px`;
    element.replaceChildren(sheet(), ...(rows.length ? rows : [empty]));
    fit(node);
  };
  const widget = node.addDOMWidget("players", "STEPEDIT_PLAYERS", element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: height,
    getValue: () => told,
    setValue: (value) => {
      told = Array.isArray(value) ? value : [];
      show();
    },
  });
  widget.serialize = false;
  widget.beforeQueued = () => claimName(app, node);
  const panel = {
    key: KEY,
    get told() {
      return told;
    },
    tell: (clips) => {
      widget.value = clips;
    },
    load: () => reload(app, api, node, panel),
  };
  players.set(node, panel);
  after(node, "onRemoved", () => players.delete(node));
  after(node, "onConfigure", () => {
    fit(node);
    panel.load();
  });
  show();
}

/** Show the clips of a run. */
export function showPlayers(node, clips) {
  players.get(node)?.tell(clips);
}

/** Read the last clips of a name again, or, without a name, of all nodes. */
export function reloadPlayers(name) {
  reloadAll(players, name);
}

/** Show results that the editor kept, for example after a change of the workflow tab. */
export function showStoredPlayers(outputs) {
  for (const [node, panel] of players) {
    const told = storedOf(outputs, node, KEY);
    if (told && told !== panel.told) panel.tell(told);
  }
}

function row(api, word, { file, seconds }, number, count) {
  const address = api.apiURL(`/view?${new URLSearchParams(file)}`);
  const name = file.type === "output" ? file.filename : `${number} / ${count}`;
  const said = `${name}, ${Number(seconds).toFixed(1)} s`;
  const player = make("audio", { controls: true, src: address, preload: "metadata" });
  player.setAttribute("aria-label", said);
  const download = make("a", {
    href: address,
    download: file.filename,
    text: "⤓",
    title: word("download"),
    "aria-label": `${word("download")}: ${said}`,
  });
  return make(
    "div",
    { className: "clip" },
    make("span", { className: "note", text: said, title: said }),
    player,
    download,
  );
}
