"""Words inside an edited range, by a recogniser that had no part in it; what flags the lost ones.

    WHISPER_BASE=FOLDER python -m tools.inside --clips FOLDER --independent FOLDER \
        --judge emotion.safetensors --out runs/inside

One range in each recording: as few words as last a second, two seconds at most. Edits take turns.
The words' times, and the product's check after the edit, are $WHISPER_BASE's, as a user's own
faster-whisper folder would be; right or wrong is said by the folder of --independent, beside what
that hears in the recording itself. Effects are those of the range, beside the same words in the
whole window's round. Rows are kept, and a stopped run resumes; `--share 0 2` beside
`--share 1 2` are two processes.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import torch

import stepedit_core as stepedit
from stepedit_core.audio.recordings import Recording, read_recording, write_recording
from stepedit_core.evaluate.functionals import AcousticJudge, changes, load_judge
from stepedit_core.evaluate.intervals import interval
from stepedit_core.measure.listening import places
from stepedit_core.measure.pitch import median_pitch_hz
from stepedit_core.measure.timeline import Recogniser, Word, words_between
from stepedit_core.pipelines.chosen_part import unheard_words, words_in_span
from stepedit_core.pipelines.inside import Part
from stepedit_core.pipelines.range_edit import RangeResult, edit_range, part_of
from stepedit_core.registry.handle import Bundle
from stepedit_core.text.units import bare
from stepedit_core.types import Clip, Decoding, EditRequest, Round
from tools.long_speech import ears_of
from tools.removal import chosen

EDITS = (
    ("emotion", "happy"),
    ("emotion", "sad"),
    ("emotion", "excited"),
    ("speed", "faster"),
    ("speed", "slower"),
)
LEAST_S, MOST_S = 1.0, 2.0


def main() -> None:
    """Edit, listen, print the bar."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--independent", type=Path, required=True)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bundle", default="nano")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--share", type=int, nargs=2, default=(0, 1), metavar=("K", "N"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    turn, turns = args.share
    file = args.out / f"inside-{turn}.jsonl"
    rows = read_rows(file)
    done = {row["clip"] for row in rows}
    bundle = stepedit.load(args.bundle, device="cpu")
    ears, other = ears_of(os.environ["WHISPER_BASE"]), ears_of(args.independent)
    judge = None if args.judge is None else load_judge(args.judge)
    for number, path in enumerate(chosen(args.clips, 99, 0)):
        if len(rows) * turns >= args.count:
            break
        if path.stem in done or number % turns != turn:
            continue
        try:
            row = judged(bundle, read_recording(path), (ears, other), number, args, judge)
        except ValueError as error:
            row = {"failed": str(error)}
        if row is None:
            continue
        rows.append({"clip": path.stem, **row})
        print(json.dumps(rows[-1]), flush=True)
        file.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    print(
        table([row for path in sorted(args.out.glob("inside-*.jsonl")) for row in read_rows(path)])
    )


def read_rows(file: Path) -> list[dict[str, Any]]:
    """What an earlier run left; empty where there was none."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def judged(
    bundle: Bundle,
    recording: Recording,
    both: tuple[Recogniser, Recogniser],
    number: int,
    args: argparse.Namespace,
    judge: AcousticJudge | None,
) -> dict[str, Any] | None:
    """The row of one clip; None where no range of words is 1 to 2 s long."""
    ears, other = both
    words = ears.transcribe(recording.clip())
    span = phrase(words, number)
    if span is None:
        return None
    kind, option = EDITS[number % len(EDITS)]
    rate = recording.sample_rate
    part = part_of(recording, *span)
    text = words_between(words, part.window_start / rate, part.window_end / rate)
    request = EditRequest(kind=kind, option=option, text=text)
    settings = {
        "seed": number,
        "decoding": Decoding(way="difference", strength=args.strength),
    }
    made = edit_range(bundle, recording, part, [request], settings=settings)
    write_recording(args.out / f"{number:02d}-{option}.wav", made.recording)
    window = (part.window_start / rate, part.window_end / rate)
    heard = {
        name: lost_in(recogniser, recording, made, part, known)
        for name, recogniser, known in (
            ("own", ears, words),
            ("independent", other, other.transcribe(recording.clip())),
        )
    }
    taken = made.rounds.rounds[made.number]
    clips = sides(bundle, recording, made, part)
    row = {
        "edit": option,
        "range": [round(s, 2) for s in span],
        "window": [round(s, 2) for s in window],
        "words": words_between(words, *span),
        **heard,
        "faults": list(taken.notes),
        "measures": None
        if taken.measures is None
        else {
            "misfit": taken.measures.misfit,
            "codes": taken.measures.words,
            "similarity": taken.measures.similarity,
        },
        "seconds": [round(clip.seconds, 3) for clip in clips],
        "pitch": [median_pitch_hz(clip) for clip in clips],
    }
    if judge is not None and option in judge.labels:
        row["judged"] = [heard_as(judge, clips[0], clip, option) for clip in clips[1:]]
    return row


def phrase(words: Sequence[Word], number: int) -> tuple[float, float] | None:
    """Start and end of a random run of words, the shortest that lasts LEAST_S, inside the clip."""
    found = []
    for first in range(1, len(words) - 1):
        for last in range(first, len(words) - 1):
            length = words[last].end - words[first].start
            if length >= LEAST_S:
                found += [(first, last)] if length <= MOST_S else []
                break
    if not found:
        return None
    first, last = found[int(np.random.default_rng(number).integers(len(found)))]
    return words[first].start, words[last].end


def lost_in(
    ears: Recogniser, before: Recording, made: RangeResult, part: Part, words: Sequence[Word]
) -> dict[str, Any]:
    """The range's words, and those not heard in the result: as the node Edit Range asks."""
    rate = before.sample_rate
    longer = made.recording.samples.shape[1] - before.samples.shape[1]
    window = made.recording.samples[:, part.window_start : part.window_end + longer]
    heard = ears.transcribe(replace(made.recording, samples=window).clip())
    chosen_s = (part.start / rate, part.end / rate)
    window_s = (part.window_start / rate, part.window_end / rate)
    lost = unheard_words(words, heard, chosen_s, window_s)
    inside = [k for k in words_in_span(words, *chosen_s) if bare(words[k].text)]
    around = [k for k in words_in_span(words, *window_s) if k not in inside]
    ours = [bare(words[k].text) for k in words_in_span(words, *window_s)]
    theirs = [bare(word.text) for word in heard]
    matcher = SequenceMatcher(a=ours, b=theirs, autojunk=False)
    kept = sum(block.size for block in matcher.get_matching_blocks())
    return {
        "words": [words[k].text for k in inside],
        "lost": [words[k].text for k in lost],
        "outside": len(around),
        "outside_lost": len(ours) - kept - len(lost),
        "heard": " ".join(word.text for word in heard),
    }


def sides(
    bundle: Bundle, recording: Recording, made: RangeResult, part: Part
) -> tuple[Clip, Clip, Clip]:
    """The range as recorded, in the result, and in the whole window's round."""
    rate = recording.sample_rate
    longer = made.recording.samples.shape[1] - recording.samples.shape[1]
    rounds = made.rounds.rounds
    window = part.window_start / rate
    begin, end = ((place / rate) - window for place in part.start_end)
    pairs = [(0.0, 0.0), *places(bundle, rounds[0], rounds[made.number])]
    here = [float(np.interp(place, *zip(*pairs, strict=True))) for place in (begin, end)]
    return (
        recording.clip(part.start, part.end),
        made.recording.clip(part.start, part.end + longer),
        _cut(rounds[made.number], *here),
    )


def _cut(made: Round, start: float, end: float) -> Clip:
    rate = made.clip.sample_rate
    wave = made.clip.wave[
        round(start * rate) : max(round(end * rate), round(start * rate) + rate // 5)
    ]
    return Clip(wave=wave, sample_rate=rate)


def heard_as(judge: AcousticJudge, before: Clip, after: Clip, option: str) -> dict[str, Any]:
    """The judge's label of a change, and how likely the right one is."""
    chances = judge.probabilities(changes(before, after)[None])[0]
    return {
        "label": judge.labels[int(chances.argmax())],
        "chance": round(float(chances[judge.labels.index(option)]), 3),
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The bar with intervals over clips, and what flags the clips that lost a word."""
    made = [row for row in rows if "failed" not in row]
    lines = [f"{len(made)} ranges, {len(rows) - len(made)} not put in"]
    for name in ("independent", "own"):
        good = [float(not row[name]["lost"]) for row in made]
        words = [1 - len(r[name]["lost"]) / max(1, len(r[name]["words"])) for r in made]
        lines.append(
            f"{name}: all words of the range right {interval(good)}; words {interval(words)}"
        )
    for name, flag in FLAGS.items():
        for lost in (True, False):
            among = [row for row in made if bool(row["independent"]["lost"]) == lost]
            hit = sum(flag(row) for row in among)
            lines.append(f"flagged by {name}, {'lost' if lost else 'kept'}: {hit} of {len(among)}")
    lines += effects(made)
    return "\n".join(lines)


FLAGS = {
    "the round's faults": lambda row: bool(row["faults"]),
    "the words heard after": lambda row: bool(row["own"]["lost"]),
    "either": lambda row: bool(row["faults"] or row["own"]["lost"]),
}
"""Name -> whether the product would say that words may be lost."""


def effects(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Change of pitch and length in the range and in the whole window's round, by edit."""
    for _, option in EDITS:
        mine = [row for row in rows if row["edit"] == option]
        pitched = [row["pitch"] for row in mine if all(row["pitch"])]
        if not mine or not pitched:
            continue
        rise = [[12 * np.log2(p[k] / p[0]) for p in pitched] for k in (1, 2)]
        length = [[r["seconds"][k] / r["seconds"][0] for r in mine] for k in (1, 2)]
        line = (
            f"{option}, {len(mine)}: pitch {interval(rise[0])} semitones in the range, "
            f"{interval(rise[1])} in the whole edit; length {interval(length[0])}, "
            f"{interval(length[1])}"
        )
        heard = [row["judged"] for row in mine if "judged" in row]
        if heard:
            right = [sum(h[k]["label"] == option for h in heard) for k in (0, 1)]
            chance = [interval([h[k]["chance"] for h in heard]) for k in (0, 1)]
            line += f"; judged right {right[0]} and {right[1]}, chance {chance[0]} and {chance[1]}"
        yield line


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
