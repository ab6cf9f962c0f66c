/* Which options the model of a graph can do. The server knows; a palette greys the others out. */

import { after } from "./dom.mjs";

const MODELS = "StepEdit_LoadModel";
const answers = new Map(); // bundle and options -> { option: reason }, as a promise
const watched = new WeakSet();

/** Call `show(reasons, bundle)` now and whenever the model changes; reasons are by option. */
export function watchOffers(app, api, node, { kind, options, show }) {
  let bundle = null;
  const look = async () => {
    const loaders = loadersFor(app, node);
    for (const loader of loaders) watch(loader);
    const names = new Set(loaders.map((one) => valueOf(one, "bundle")));
    const name = names.size === 1 ? [...names][0] : ""; // of two models one may do it
    if (name === bundle) return;
    bundle = name;
    const reasons = name ? await ask(api, name, kind, options) : {};
    if (bundle === name) show(reasons, name);
  };
  const timer = setInterval(look, 1000); // links change without a word to nodes further up
  after(node, "onRemoved", () => clearInterval(timer));
  const watch = (loader) => {
    const widget = loader.widgets?.find((one) => one.name === "bundle");
    if (!widget || watched.has(widget)) return;
    watched.add(widget);
    after(widget, "callback", look);
  };
  setTimeout(look, 0);
}

/** The loaders whose model works on this node's edit; all of its graph while it leads nowhere. */
function loadersFor(app, node) {
  const found = new Set();
  const seen = new Set();
  const follow = (one) => {
    if (!one || seen.has(one)) return;
    seen.add(one);
    for (const input of one.inputs ?? []) {
      const source = input.type === "STEPEDIT_MODEL" && sourceOf(one, input);
      if (source) found.add(source);
    }
    for (const output of one.outputs ?? [])
      if (output.type === "STEPEDIT_EDIT" || output.type === "*")
        for (const link of output.links ?? []) follow(target(one, link));
  };
  follow(node);
  const loaders = [...found].filter((one) => one.comfyClass === MODELS);
  if (found.size) return loaders;
  return (node.graph ?? app.graph).nodes.filter((one) => one.comfyClass === MODELS);
}

function linkOf(node, id) {
  return node.graph?.getLink?.(id) ?? node.graph?.links?.[id];
}

function target(node, id) {
  return node.graph?.getNodeById(linkOf(node, id)?.target_id);
}

/** The node that gives an input its value, through reroutes. */
function sourceOf(node, input) {
  let source = node.graph?.getNodeById(linkOf(node, input.link)?.origin_id);
  while (source?.type === "Reroute" && source.inputs?.[0]?.link != null)
    source = source.graph.getNodeById(linkOf(source, source.inputs[0].link)?.origin_id);
  return source;
}

function valueOf(node, name) {
  return node.widgets?.find((one) => one.name === name)?.value ?? "";
}

function ask(api, bundle, kind, options) {
  const query = new URLSearchParams({ bundle, kind });
  for (const option of options) query.append("option", option);
  const address = `/stepedit/offers?${query}`;
  if (!answers.has(address)) answers.set(address, fetchReasons(api, address));
  return answers.get(address);
}

async function fetchReasons(api, address) {
  try {
    const answer = await api.fetchApi(address);
    return answer.ok ? ((await answer.json()).reasons ?? {}) : {};
  } catch {
    answers.delete(address); // the server is away; ask again later
    return {};
  }
}
