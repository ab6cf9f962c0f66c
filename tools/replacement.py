"""Replace Words with an oracle for a model: everything after the language model, on real voices.

    python -m tools.replacement --clips RAVDESS --recogniser FOLDER --independent FOLDER --out DIR

The model shipped here cannot say new words. Each actor of RAVDESS says two sentences in the same
mood; in a recording of one, three words become those of the other. Where the pipeline asks the
language model, it gets the codes of the actor's own recording of the other sentence. Beside it:
that recording resynthesized, its codes decoded as a whole in the voice of the first, as a clone is,
which is the most that new words can be; a plain paste of its samples; and the pipeline with its
mel in the place of what the decoder draws, which leaves finding, vocoder and splice.
Names: 03-01-mood-intensity-sentence-take-actor.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

import stepedit_core as stepedit
from stepedit_core.audio.patches import Patch, patched
from stepedit_core.audio.recordings import Recording, read_recording, write_recording
from stepedit_core.evaluate.intervals import interval
from stepedit_core.measure.timeline import Recogniser, Word
from stepedit_core.measure.voice import speaker_vector, voice_similarity
from stepedit_core.pipelines import replace_words as pipeline
from stepedit_core.pipelines.flow_decode import flow_decode
from stepedit_core.pipelines.infill import Kept
from stepedit_core.pipelines.plan import Plan, make_plan
from stepedit_core.pipelines.replace_words import Replacement, replace_words
from stepedit_core.pipelines.resynthesize import resynthesize
from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.pipelines.vocode import vocode
from stepedit_core.registry.handle import Bundle
from stepedit_core.text.units import bare
from stepedit_core.types import Clip, Draws, DualCodes, EditRequest, EditResult, Hooks, Round, Voice
from stepedit_core.vocab import MEL_FRAMES_PER_GROUP
from tools.joins import judged as joins_of
from tools.long_speech import ears_of

SENTENCES = {
    "01": "Kids are talking by the door",
    "02": "Dogs are sitting by the door",
}
COUNT = 3
"""Words that are replaced: the first of each sentence."""
FADE_S = 0.01
"""Fades of the plain paste."""


@dataclass(frozen=True)
class Take:
    """A recording of one sentence, and its words."""

    recording: Recording
    sentence: str
    words: tuple[Word, ...]

    @property
    def phrase(self) -> str:
        """The words that are replaced, or that replace."""
        return " ".join(self.sentence.split()[:COUNT])


def main() -> None:
    """Replace, listen, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--recogniser", type=Path, required=True, help="of the product's user")
    parser.add_argument("--independent", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bundle", default="nano")
    parser.add_argument("--count", type=int, default=40)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    bundle = stepedit.load(args.bundle, device="cpu")
    both = {"base": ears_of(args.recogniser), "tiny": ears_of(args.independent)}
    rows = []
    for number, (path, other) in enumerate(pairs_of(args.clips, args.count)):
        old, new = (take(both["base"], file) for file in (path, other))
        row = {"clip": path.stem, **compared(bundle, (old, new), both, args.out / path.stem)}
        rows.append(row | {"seed": number})
        print(json.dumps(rows[-1]), flush=True)
        (args.out / "replacement.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    print(table(rows))


def pairs_of(folder: Path, count: int) -> list[tuple[Path, Path]]:
    """A recording and that of the other sentence in the same mood; actors and sentences in turn."""
    by: dict[str, list[tuple[Path, Path]]] = {}
    for path in sorted(folder.rglob("*-*-*-*-01-*-*.flac")):
        names = path.stem.split("-")
        other = path.with_name("-".join([*names[:4], "02", *names[5:]]) + path.suffix)
        if other.exists():
            found = by.setdefault(names[6], [])
            found.append((path, other) if len(found) % 2 == 0 else (other, path))
    turns = [pairs[n] for n in range(99) for pairs in by.values() if n < len(pairs)]
    return turns[:count]


def take(ears: Recogniser, path: Path) -> Take:
    """A recording with the times of its known words."""
    recording, sentence = read_recording(path), SENTENCES[path.stem.split("-")[4]]
    return Take(recording, sentence, ears.align(recording.clip(), sentence))


def compared(
    bundle: Bundle, takes: tuple[Take, Take], both: dict[str, Recogniser], out: Path
) -> dict[str, Any]:
    """What is measured of the product's result, of the whole decoded, and of the plain paste."""
    old, new = takes
    source = old.recording
    decoded = resynthesize(bundle, new.recording.clip(), seed=0).clip
    row: dict[str, Any] = {"recorded": heard(both, new.recording.clip(), new.phrase)}
    for name, clip in (("decoded", decoded), ("cloned", cloned(bundle, old, new))):
        row |= {
            name: heard(both, clip, new.phrase),
            f"{name} voice": likeness(bundle, source.clip(), clip),
        }
    results = {"pasted": pasted(old, new)}
    try:
        results["replaced"] = oracle_patch(bundle, old, new)
        results["given mel"] = oracle_patch(bundle, old, new, mel=True)
    except ValueError as error:
        row["failed"] = str(error)
    for name, patch in results.items():
        made = patched(source, [patch])
        write_recording(out.with_name(f"{out.name}-{name}.wav"), made)
        inside = replace(made, samples=patch.samples).clip()
        joins = list(joins_of(source, made, (patch,)))
        row[name] = heard(both, made.clip(), new.phrase)
        row[f"{name} voice"] = likeness(bundle, source.clip(), inside)
        row[f"{name} joins"] = joins
        after = made.samples.shape[1] - (source.samples.shape[1] - patch.stop)
        row[f"{name} outside"] = torch.equal(
            made.samples[:, : patch.start], source.samples[:, : patch.start]
        ) and torch.equal(made.samples[:, after:], source.samples[:, patch.stop :])
    return row


def cloned(bundle: Bundle, old: Take, new: Take) -> Clip:
    """The codes of the new sentence in the voice of the old one."""
    codes, draws = tokenize(bundle, new.recording.clip())[0], Draws(seed=0)
    voice = tokenize(bundle, old.recording.clip())[1]
    return vocode(bundle, flow_decode(bundle, codes, voice, draws=draws), draws=draws)


def oracle_patch(bundle: Bundle, old: Take, new: Take, *, mel: bool = False) -> Patch:
    """What the pipeline puts in where the language model answers with the other recording.

    With `mel` the decoder is an oracle too: it draws what was recorded there.
    """
    codes, spoken = tokenize(bundle, new.recording.clip())
    find, draw, found = pipeline.found_between, pipeline.infill_decode, [0, 0]

    def noted(*given: Any) -> tuple[int, int]:
        found[:] = find(*given)
        return found[0], found[1]

    def drawn(bundle: Bundle, codes: DualCodes, kept: Kept, voice: Voice, **how: Any) -> Tensor:
        made = draw(bundle, codes, kept, voice, **how) if not mel else kept.mel.clone()
        if mel:
            hole = torch.nonzero(~kept.known).flatten()
            count = MEL_FRAMES_PER_GROUP * (found[1] - found[0])
            # frames that the recording lacks at its ends are open too: the longest run is the hole
            first = max(hole.tolist(), key=lambda k: int((~kept.known[k : k + count]).sum()))
            place = round(spoken.lead) + MEL_FRAMES_PER_GROUP * found[0] + torch.arange(count)
            made[:, first : first + count] = spoken.mel[:, place.clamp(0, spoken.mel.shape[1] - 1)]
        return made

    def planned(bundle: Bundle, clip: Clip, text: str, *_: str, **settings: Any) -> Plan:
        return make_plan(
            bundle, clip, [EditRequest(kind="emotion", option="happy", text=text)], **settings
        )

    def answered(
        bundle: Bundle, clip: Clip, plan: Plan, *, hooks: Hooks | None = None
    ) -> EditResult:
        heard, _ = tokenize(bundle, clip)
        rounds = [
            Round(clip=clip, codes=said, request=None, score=None, seconds_elapsed=0.0)
            for said in (heard, codes)
        ]
        return EditResult(rounds=tuple(rounds), best_number=1)

    with mock.patch.multiple(
        pipeline,
        check_clones=lambda bundle: None,
        clone_plan=planned,
        iterate=answered,
        found_between=noted,
        infill_decode=drawn,
    ):
        which = Replacement(old=old.phrase, new=new.phrase)
        return replace_words(bundle, old.recording, old.words, which).patch


def pasted(old: Take, new: Take) -> Patch:
    """The new words' own samples in the place of the old ones, with short fades."""
    rate = old.recording.sample_rate
    (a, b), (c, d) = (
        (round(take.words[0].start * rate), round(take.words[COUNT - 1].end * rate))
        for take in (old, new)
    )
    mine, theirs = old.recording.samples[:, a:b].double(), new.recording.samples[:, c:d].double()
    fade = min(round(FADE_S * rate), mine.shape[1] // 2, theirs.shape[1] // 2)
    up = torch.linspace(0, 1, fade, dtype=torch.float64)
    made = theirs.clone()
    made[:, :fade] = up * theirs[:, :fade] + (1 - up) * mine[:, :fade]
    made[:, -fade:] = up.flip(0) * theirs[:, -fade:] + up * mine[:, -fade:]
    kind = old.recording.samples.dtype
    samples = made.to(kind) if kind.is_floating_point else made.round().to(kind)
    return Patch(start=a, stop=b, samples=samples)


def heard(both: dict[str, Recogniser], clip: Clip, phrase: str) -> dict[str, int]:
    """How many words of a phrase each recogniser hears, in order, at the beginning of a clip."""
    return {
        name: right(phrase, [word.text for word in ears.transcribe(clip)])
        for name, ears in both.items()
    }


def right(phrase: str, words: Sequence[str]) -> int:
    """Words of a phrase that are among the first words heard, in order."""
    found, at = 0, 0
    said = [bare(word) for word in words][: COUNT + 2]
    for wanted in map(bare, phrase.split()):
        if wanted in said[at:]:
            at, found = said.index(wanted, at) + 1, found + 1
    return found


def likeness(bundle: Bundle, one: Clip, other: Clip) -> float:
    """Cosine of the speaker vectors of two clips."""
    return voice_similarity(speaker_vector(bundle, one), speaker_vector(bundle, other))


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Shares and means over all pairs."""
    lines = [f"{len(rows)} pairs, {sum('failed' in row for row in rows)} could not be replaced"]
    for name in ("recorded", "decoded", "cloned", "pasted", "replaced", "given mel"):
        lines.append(f"{name}: " + "; ".join(_figures(rows, name)))
    return "\n".join(lines)


def _figures(rows: Sequence[dict[str, Any]], name: str) -> Iterator[str]:
    here = [row for row in rows if name in row]
    if not here:
        return
    for ears in here[0][name]:
        shares = [row[name][ears] / COUNT for row in here]
        yield f"{ears} {interval(shares)} of the words, all {sum(s == 1 for s in shares)}"
    if f"{name} voice" in here[0]:
        yield f"voice {interval([row[f'{name} voice'] for row in here])}"
    if f"{name} joins" in here[0]:
        yield f"outside equal {sum(row[f'{name} outside'] for row in here)} of {len(here)}"
        for what in ("step", "change"):
            over = [join[what] for row in here for join in row[f"{name} joins"]]
            yield f"{what} under the bar {sum(v <= 1 for v in over)} of {len(over)} joins"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
