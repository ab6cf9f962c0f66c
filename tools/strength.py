"""Does more strength give more of the effect? One answer of each clip, decoded at seven strengths.

    python -m tools.strength --clips FOLDER --ears FOLDER --judge emotion.safetensors --out DIR

Emotions of the judge take turns. Per strength: how likely the judge hears the emotion, distance of
the median pitch, words that the ears hear otherwise than in the recording; beside them the
resynthesis. Rows are kept, and a stopped run resumes; `--share 0 2` beside `--share 1 2` are two
processes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

import stepedit_core as stepedit
from stepedit_core.audio.files import read_clip
from stepedit_core.evaluate.functionals import AcousticJudge, changes, load_judge
from stepedit_core.evaluate.intervals import Interval, interval
from stepedit_core.files.chart import lines, save_png
from stepedit_core.measure.holding import edit_distance
from stepedit_core.measure.pitch import median_pitch_hz
from stepedit_core.measure.recogniser import plain_words
from stepedit_core.measure.whisper import FasterWhisper
from stepedit_core.pipelines.difference import difference_decode
from stepedit_core.pipelines.own_sound import sound_of
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.resynthesize import resynthesize
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.pipelines.tokenize import voice_of
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Clip, Decoding, EditRequest
from tools.inside import read_rows

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
EMOTIONS = ("happy", "sad", "angry", "fear", "surprised")
SECONDS = (2.5, 6.0)
RESYNTHESIS = "resynthesis"


def main() -> None:
    """Edit, judge, print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--ears", type=Path, required=True)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--share", type=int, nargs=2, default=(0, 1), metavar=("K", "N"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    turn, turns = args.share
    file = args.out / f"strength-{turn}.jsonl"
    rows = read_rows(file)
    done = {row["clip"] for row in rows}
    bundle = stepedit.load("nano", device="cpu")
    ears, judge = FasterWhisper(args.ears, threads=1), load_judge(args.judge)
    for number, path in enumerate(short_clips(args.clips, args.count)):
        if path.stem in done or number % turns != turn:
            continue
        emotion = EMOTIONS[number % len(EMOTIONS)]
        rows.append(judged(bundle, read_clip(path), emotion, number, (ears.transcribe, judge)))
        rows[-1] |= {"clip": path.stem, "emotion": emotion}
        print(json.dumps(rows[-1]), flush=True)
        file.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    report(
        [row for path in sorted(args.out.glob("strength-*.jsonl")) for row in read_rows(path)],
        args.out,
    )


def short_clips(folder: Path, count: int) -> list[Path]:
    """Clips of SECONDS, one of each person in turn."""
    people: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.flac")):
        if SECONDS[0] <= soundfile.info(path).duration <= SECONDS[1]:
            people.setdefault(path.stem.split("-")[0], []).append(path)
    turns = [paths[n] for n in range(99) for paths in people.values() if n < len(paths)]
    return turns[:count]


def judged(
    bundle: Bundle,
    clip: Clip,
    emotion: str,
    seed: int,
    judges: tuple[Callable[[Clip], str], AcousticJudge],
) -> dict[str, Any]:
    """Figures of the recording's resynthesis and of one answer at every strength."""
    hear, judge = judges
    text = hear(clip)
    said, pitch = plain_words(text), median_pitch_hz(clip)

    def figures(made: Clip) -> dict[str, Any]:
        chances = judge.probabilities(changes(clip, made)[None])[0]
        hertz = median_pitch_hz(made)
        moved = None if not (hertz and pitch) else abs(12 * float(np.log2(hertz / pitch)))
        wrong = edit_distance(said, plain_words(hear(made))) / max(1, len(said))
        return {
            "chance": round(float(chances[judge.labels.index(emotion)]), 4),
            "heard": judge.labels[int(chances.argmax())] == emotion,
            "moved": moved,
            "words": round(wrong, 4),
        }

    request = EditRequest(kind="emotion", option=emotion, text=text)
    plan = make_plan(bundle, clip, [request], seed=seed, decoding=Decoding(way="difference"))
    made = iterate(bundle, clip, plan).rounds
    voice = voice_of(bundle, clip, made[0].codes, recorded=True)
    row: dict[str, Any] = {RESYNTHESIS: figures(resynthesize(bundle, clip, seed=seed).clip)}
    for strength in STRENGTHS:
        # at strength 0 an emotion leaves the codes and the time as they are
        codes = made[-1].codes if strength else voice.codes
        how = Decoding(way="difference", strength=strength)
        draws = plan.draws(1)
        decoded = difference_decode(bundle, codes, voice, draws=draws, decoding=how)
        row[str(strength)] = figures(sound_of(bundle, decoded, voice, draws=draws))
    return row


def report(rows: Sequence[dict[str, Any]], out: Path) -> None:
    """The table, how many clips rise, and strength.png."""
    print(f"{len(rows)} clips")
    columns: dict[str, list[Interval]] = {"chance": [], "moved": [], "words": []}
    for name in (RESYNTHESIS, *map(str, STRENGTHS)):
        cells = []
        for what, kept in columns.items():
            values = [row[name][what] for row in rows if row[name][what] is not None]
            kept.append(interval(values))
            cells.append(f"{what} {kept[-1]}")
        heard = sum(row[name]["heard"] for row in rows)
        print(f"{name}: heard {heard}, " + ", ".join(cells))
    for what, kept in columns.items():
        means = [found.mean for found in kept[1:]]
        rises = sum(b >= a for a, b in pairwise(means))
        print(f"{what}: the mean rises in {rises} of {len(means) - 1} steps")
    series = {
        f"{label}": [
            (strength, factor * f.mean, factor * f.low, factor * f.high)
            for strength, f in zip(STRENGTHS, columns[what][1:], strict=True)
        ]
        for what, label, factor in (
            ("chance", "likely to be heard, %", 100),
            ("moved", "semitones x 10", 10),
            ("words", "words wrong, %", 100),
        )
    }
    title = f"{len(rows)} clips of held-out people"
    save_png(lines(series, title, x_name="strength", y_name="effect"), out / "strength.png")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
