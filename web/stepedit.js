/* StepEdit in the browser: a panel to listen to rounds, and palettes for tags and options.

   Only hooks of the frontend are used; without this file every node works with its plain widgets.
   Helpers are .mjs files, because ComfyUI loads each .js file by itself. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { addRoundsPanel, panelOf, showStoredRounds } from "./rounds_panel.mjs";
import { showLine } from "./line.mjs";
import { addOptionPalette, addSoundPalette } from "./palette.mjs";
import { listen, watchRuns } from "./runs.mjs";
import { loadWords } from "./words.mjs";

const OPTIONS = {
  StepEdit_Emotion: "emotion",
  StepEdit_SpeakingStyle: "style",
  StepEdit_Speed: "speed",
  StepEdit_IterativeEdit: "prompt",
};

// a second copy of the pack in custom_nodes brings this file once more
const known = app.extensions?.some((one) => one.name === "stepedit.panels");
if (!known)
  app.registerExtension({
    name: "stepedit.panels",

    async init() {
      watchRuns(app, api, () => {});
      listen(app, api, "stepedit.line", (node, { text }) => {
        const panel = panelOf(node);
        if (panel) panel.say(text);
        else showLine(node, text);
      });
      listen(app, api, "executed", (node, { output }) => {
        const told = output?.stepedit_rounds;
        if (Array.isArray(told)) panelOf(node)?.tell(told);
      });
      await loadWords(api);
    },

    nodeCreated(node) {
      const kind = OPTIONS[node.comfyClass];
      if (kind) addOptionPalette(app, node, kind, node.comfyClass !== "StepEdit_IterativeEdit");
      if (node.comfyClass === "StepEdit_NonverbalSounds") addSoundPalette(app, node);
      if (node.comfyClass === "StepEdit_IterativeEdit") addRoundsPanel(app, api, node);
    },

    onNodeOutputsUpdated(outputs) {
      showStoredRounds(outputs);
    },
  });
