/* What the server refused of a prompt before it ran, each sentence once: ComfyUI repeats what a node
   says of several of its widgets for each of them. */

/** Sentences by number of a node, from the server's answer { error, node_errors }. The editor shows
    that answer too, so what is said twice goes from it. */
export function refusals(answer) {
  const gone = new Set();
  const said = Object.entries(answer?.node_errors ?? {}).map(([number, entry]) => {
    const found = Array.isArray(entry.errors) ? entry.errors : [];
    const ours = String(entry.class_type).startsWith("StepEdit_");
    const kept = ours ? found.filter((one) => one === namedBy(found, sentence(one))) : found;
    for (const one of found) if (!kept.includes(one)) gone.add(`${one.message}: ${one.details}`);
    entry.errors = kept;
    return [number, kept.map(sentence)];
  });
  const { error } = answer ?? {};
  if (typeof error?.details === "string" && gone.size) {
    const lines = error.details.split("\n");
    error.details = lines.filter((line) => !gone.has(line)).join("\n");
  }
  return said;
}

/** Of the errors with a sentence the one whose widget the sentence names first. */
function namedBy(errors, said) {
  const place = (one) => {
    const at = said.indexOf(one.extra_info?.input_name);
    return at < 0 ? said.length : at;
  };
  const same = errors.filter((one) => sentence(one) === said);
  return same.reduce((best, one) => (place(one) < place(best) ? one : best), same[0]);
}

/** What an error says; a check of the node's own puts the widget's name before its sentence. */
function sentence({ message, details, extra_info: about }) {
  const before = `${about?.input_name} - `;
  if (details?.startsWith(before)) return details.slice(before.length);
  return details?.includes(" ") ? details : `${message} (${details}).`;
}
