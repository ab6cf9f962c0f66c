/* StepEdit in the browser: panels to listen to rounds and lists, and palettes for tags and
   options.

   Only hooks of the frontend are used; without this file every node works with its plain widgets.
   Helpers are .mjs files, because ComfyUI loads each .js file by itself. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { addRoundsPanel, panelOf, reloadPanels, showStoredRounds } from "./rounds_panel.mjs";
import { addRangePanel, rangePanelOf, reloadRanges, showStoredRanges } from "./range_panel.mjs";
import { colourWires } from "./colours.mjs";
import { clearFailures, showFailure, showLine } from "./line.mjs";
import { addPlayers, reloadPlayers, showPlayers, showStoredPlayers } from "./players.mjs";
import { addOptionPalette, addSoundPalette } from "./palette.mjs";
import { refusals } from "./refused.mjs";
import { listen, nodeAt, watchRuns } from "./runs.mjs";
import { loadWords } from "./words.mjs";

const OPTIONS = {
  StepEdit_Emotion: "emotion",
  StepEdit_SpeakingStyle: "style",
  StepEdit_Speed: "speed",
  StepEdit_IterativeEdit: "voice",
};

// a second copy of the pack in custom_nodes brings this file once more
const known = app.extensions?.some((one) => one.name === "stepedit.panels");
if (!known)
  app.registerExtension({
    name: "stepedit.panels",

    async init() {
      watchRuns(app, api, (answer) => showRefused(app, answer));
      listen(app, api, "stepedit.line", (node, { text }) => {
        const panel = panelOf(node) ?? rangePanelOf(node);
        if (panel) panel.say(text);
        else showLine(node, text);
      });
      const reload = (node) => panelOf(node)?.load();
      listen(app, api, "stepedit.takes", reload, ({ panel }) => reloadNamed(panel));
      listen(app, api, "executed", (node, { output }) => {
        const { stepedit_rounds: rounds, stepedit_players: players } = output ?? {};
        const { stepedit_range: parts } = output ?? {};
        if (Array.isArray(rounds)) panelOf(node)?.tell(rounds);
        if (Array.isArray(parts)) rangePanelOf(node)?.tell(parts);
        if (Array.isArray(players)) showPlayers(node, players);
      });
      listen(app, api, "execution_error", (node, { exception_message: why }) =>
        showWhy(node, String(why ?? "").trim()),
      );
      api.addEventListener("reconnected", () => reloadNamed());
      await loadWords(api);
    },

    setup() {
      colourWires(app);
    },

    afterConfigureGraph() {
      colourWires(app);
    },

    nodeCreated(node) {
      if (node.comfyClass?.startsWith("StepEdit_")) colourWires(app);
      const kind = OPTIONS[node.comfyClass];
      if (kind) addOptionPalette(app, api, node, kind, node.comfyClass !== "StepEdit_IterativeEdit");
      if (node.comfyClass === "StepEdit_NonverbalSounds") addSoundPalette(app, api, node);
      if (node.comfyClass === "StepEdit_IterativeEdit") addRoundsPanel(app, api, node);
      if (node.comfyClass === "StepEdit_EditRange") addRangePanel(app, api, node);
      if (node.comfyClass === "StepEdit_PlayAndSave") addPlayers(app, api, node);
    },

    onNodeOutputsUpdated(outputs) {
      showStoredRounds(outputs);
      showStoredRanges(outputs);
      showStoredPlayers(outputs);
    },
  });

/** Show again what the server keeps under a name, or, without a name, of all nodes. */
function reloadNamed(name) {
  for (const again of [reloadPanels, reloadRanges, reloadPlayers]) again(name);
}

/** What the server refused of a prompt before it ran, on the nodes that it is about. */
function showRefused(app, answer) {
  clearFailures();
  for (const [number, sentences] of refusals(answer)) {
    const node = nodeAt(app, number);
    if (node && sentences.length) showWhy(node, sentences.join(" "));
  }
}

/** Why a run did not begin, or failed, on the node of ours that it is about. */
function showWhy(node, sentence) {
  const panel = panelOf(node) ?? rangePanelOf(node);
  if (panel) panel.fail(sentence);
  else if (node.comfyClass?.startsWith("StepEdit_")) showFailure(node, sentence);
}
