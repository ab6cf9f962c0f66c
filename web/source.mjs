/* Which sound an input leads to, as a short name: it is another one when the recording is another,
   or what happens to it before it arrives. */

import { outerOf } from "./runs.mjs";

const NOT_SENT = ["control_after_generate", "audioUI"];

/** The name for an input of a node; empty where nothing is connected. */
export function sourceOf(app, node, name) {
  const input = node.inputs?.find((one) => one.name === name);
  const found = [];
  follow(app, node.graph, input?.link, { found, seen: new Set() });
  return found.length ? digest(found.join("\n")) : "";
}

function follow(app, graph, id, way) {
  const link = id == null ? undefined : (graph?.getLink?.(id) ?? graph?.links?.[id]);
  if (!link) return;
  const node = graph.getNodeById(link.origin_id);
  if (node) {
    way.found.push(`${link.origin_slot}`);
    describe(app, node, way);
    return;
  }
  const outer = outerOf(app, graph); // the link comes through the border of a subgraph
  follow(app, outer?.graph, outer?.inputs?.[link.origin_slot]?.link, way);
}

/** What a node is set to, and all that leads into it. */
function describe(app, node, way) {
  if (way.seen.has(node)) return;
  way.seen.add(node);
  way.found.push(node.type, String(node.mode));
  for (const { name, type, value, serialize } of node.widgets ?? []) {
    const isSent = serialize !== false && type !== "button" && !NOT_SENT.includes(name);
    // a button of a loaded graph has null where that of a new node has an empty text
    if (isSent && typeof value !== "object" && value !== "") way.found.push(`${name}=${value}`);
  }
  for (const inner of node.subgraph?.nodes ?? []) describe(app, inner, way);
  for (const { link } of node.inputs ?? []) follow(app, node.graph, link, way);
}

/** 64 bits as 16 digits (FNV-1a, twice from different beginnings). */
function digest(text) {
  const half = (start) => {
    let sum = start;
    for (let k = 0; k < text.length; k++) sum = Math.imul(sum ^ text.charCodeAt(k), 0x01000193);
    return (sum >>> 0).toString(16).padStart(8, "0");
  };
  return half(0x811c9dc5) + half(0x050c5d1f);
}
