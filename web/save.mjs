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

/** Save all rounds in one .zip; false where one of them could not be fetched. */
export async function saveAll(take, clip, rounds) {
  try {
    const files = await Promise.all(
      rounds
        .filter((round) => round.address)
        .map(async (round) => {
          const answer = await fetch(round.address);
          if (!answer.ok) throw new Error(`status ${answer.status}`);
          const bytes = new Uint8Array(await answer.arrayBuffer());
          return { name: fileName(take, clip, round), bytes };
        }),
    );
    const address = URL.createObjectURL(zip(files));
    const name = clip === null ? `take${take + 1}.zip` : `take${take + 1}_clip${clip + 1}.zip`;
    make("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    return true;
  } catch {
    return false;
  }
}
