/* Rounds as files of the user's computer, by names that can be read. */

import { zip } from "./archive.mjs";
import { make } from "./dom.mjs";

/** Like take2_clip1_round3_happy.flac; the clip only where there are several. */
export function fileName(take, clip, { round, kind, option, file }) {
  const edit = round ? option || kind || "edit" : "input";
  const parts = [`take${take + 1}`, clip === null ? "" : `clip${clip + 1}`, `round${round}`, edit];
  const suffix = /\.\w+$/.exec(file?.filename ?? "")?.[0] ?? "";
  return parts.filter(Boolean).join("_").replace(/[^\w.-]+/g, "-") + suffix;
}

/** Save a file under a name; false where it could not be fetched. The server would give its own. */
export async function saveOne(address, name) {
  const answer = await fetch(address).catch(() => null);
  if (!answer?.ok) return false;
  keep(await answer.blob(), name);
  return true;
}

/** Save all rounds in one .zip; false where one of them could not be fetched. */
export async function saveAll(take, clip, rounds) {
  const files = [];
  for (const round of rounds) {
    const answer = round.address && (await fetch(round.address).catch(() => null));
    if (!answer?.ok) return false;
    const bytes = new Uint8Array(await answer.arrayBuffer());
    files.push({ name: fileName(take, clip, round), bytes });
  }
  keep(zip(files), clip === null ? `take${take + 1}.zip` : `take${take + 1}_clip${clip + 1}.zip`);
  return true;
}

function keep(blob, name) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
