/* What the server keeps of a panel in a file in its temp folder, under a name that the node carries
   among its properties: the takes of Iterative Edit, what every run has made, or the last result. */

import { isKnown, numberOf, openWorkflow } from "./runs.mjs";

const PROPERTY = "stepedit_takes";
const MOST_NAMES = 4;
const MOST_RUNS = 8; // of the server's history, to look through
const claims = new Map(); // name -> the place that uses it: a workflow and the number of a node

/** The names of a node: its own, then those it had as a copy of another node. */
export function names(node) {
  const all = String(node.properties?.[PROPERTY] ?? "").split(" ");
  return all.filter((one) => /^[0-9a-f]{32}$/.test(one));
}

/** Before a run: give a node a name of its own, also where it is a copy of one that has a name. */
export function claimName(app, node) {
  const workflow = openWorkflow(app);
  const number = `${node.graph?.id}:${node.id}`;
  const old = names(node);
  const claim = claims.get(old[0]);
  const taken = claim && (claim.workflow !== workflow || claim.number !== number);
  if (!old.length || taken) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const name = Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
    node.properties[PROPERTY] = [name, ...old].slice(0, MOST_NAMES).join(" ");
  }
  claims.set(names(node)[0], { workflow, number });
}

/** { takes, last } of a node, oldest take first; `last` says how its last run ended. */
export async function loadTakes(api, node) {
  const files = await Promise.all(names(node).map((name) => file(api, `takes_${name}`, "takes")));
  const takes = files.reverse().flatMap((one) => one.takes);
  return { takes, last: files.at(-1)?.last ?? null };
}

/** { told, last } of a node: its last result, a list, and how its last run ended. */
export async function loadShown(app, api, node, key) {
  const files = await Promise.all(names(node).map((name) => file(api, `shown_${name}`, "told")));
  const kept = files.find((one) => one.told.length)?.told;
  const told = kept ?? (await fromHistory(app, api, node, key));
  return { told, last: files[0]?.last ?? null };
}

/** The result of a run in which the node itself did not run, because the server had it already. */
async function fromHistory(app, api, node, key) {
  try {
    const answer = await api.fetchApi(`/history?max_items=${MOST_RUNS}`, { cache: "no-store" });
    const runs = Object.values(answer.ok ? await answer.json() : {});
    const name = names(node)[0];
    const mine = runs.reverse().find(({ prompt }) => JSON.stringify(prompt?.[3] ?? "").includes(name));
    const told = mine?.outputs?.[numberOf(app, node)]?.[key];
    return Array.isArray(told) ? told : [];
  } catch {
    return [];
  }
}

async function file(api, name, key) {
  const query = { filename: `${name}.json`, subfolder: "stepedit", type: "temp" };
  const nothing = { [key]: [], last: null };
  try {
    const address = api.apiURL(`/view?${new URLSearchParams(query)}`);
    const answer = await fetch(address, { cache: "no-store" });
    const kept = answer.ok ? await answer.json() : nothing;
    return Array.isArray(kept[key]) ? kept : nothing;
  } catch {
    return nothing; // the server is away
  }
}

/** Whether a take has all sounds of a list of clips. */
export function hasSounds(take, clips) {
  return clips.every((clip, number) =>
    clip.rounds.every(
      (round, at) => take.clips[number]?.rounds[at]?.file?.filename === round.file?.filename,
    ),
  );
}

/** Whether a run of another page, or of this one before it was loaded anew, still runs. */
export function isForeignRun(last) {
  return last?.state === "running" && !isKnown(last.prompt);
}
