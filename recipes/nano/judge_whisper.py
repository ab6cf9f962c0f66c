r"""Whispers by signal processing on people that nothing was trained on, beside WORLD's.

    WHISPER_BASE=FOLDER WHISPER_TINY=FOLDER python -m recipes.nano.judge_whisper --people DIR \
        --plain plain_dsp.py --out runs/whisper

DIR has `<person>-...flac`. Each finished recording is written to DIR of --out with its rows in
judged.jsonl, and a second call continues; the table is printed at the end. Words are those that an
ear reads otherwise than in the recording itself. *Likeness* is nano's own speaker network's: what
the guard of a round would see.
"""

from __future__ import annotations

import argparse
import logging
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recipes.nano.judge_people import Row, add, judge_functions, plain_edit, rows_of
from recipes.nano.over_people import cell, rate
from recipes.nano.training import log, setup
from stepedit_core.audio.files import read_clip, write_wav
from stepedit_core.audio.resample import resample
from stepedit_core.measure.holding import edit_distance
from stepedit_core.measure.recogniser import plain_words
from stepedit_core.measure.voice import speaker_vector, voice_similarity
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.types import SAMPLE_RATE, Clip, EditRequest, SilentHooks

LONGEST_S = 12.0
EARS = ("tiny", "base")
WHISPER = EditRequest(kind="style", option="whisper", engine="signal")


def chosen(folder: Path, count: int) -> list[tuple[str, Path]]:
    """Person and recording of at most 12 s, everybody once before anybody twice."""
    people: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.glob("*.flac")):
        if read_clip(path).seconds <= LONGEST_S:
            people[path.name.split("-")[0]].append(path)
    turns = [
        (who, paths[k])
        for k in range(max(map(len, people.values())))
        for who, paths in people.items()
        if k < len(paths)
    ]
    return turns[:count]


def ways(bundle: Bundle, plain: Any, clip: Clip) -> dict[str, Clip]:
    """The recording and what is made of it, at 24 kHz."""
    wave = resample(clip.wave, clip.sample_rate, SAMPLE_RATE)
    at_24 = Clip(wave=wave, sample_rate=SAMPLE_RATE)

    def world(kind: str, option: str) -> Clip:
        made = plain(clip.wave.numpy(), clip.sample_rate, kind, option, 1.0)
        return replace(at_24, wave=torch.from_numpy(np.array(made, np.float32)))

    return {
        "recording": at_24,
        "WORLD copy": world("copy", ""),
        "WORLD whisper": world("style", "whisper"),
        "signal": iterate(bundle, clip, make_plan(bundle, clip, [WHISPER], seed=1)).final.clip,
    }


def judged(bundle: Bundle, hear: dict[str, Any], made: dict[str, Clip]) -> list[Row]:
    """What each judge says of each way, beside the recording."""
    rows = []
    said = {ear: plain_words(hear[ear](made["recording"])) for ear in EARS}
    first = hear["voice"](made["recording"])
    own = speaker_vector(bundle, made["recording"], hooks=SilentHooks())
    for way, clip in made.items():
        voice = hear["voice"](clip)
        vector = speaker_vector(bundle, clip, hooks=SilentHooks())
        row: Row = {
            "way": way,
            "voiced": voice["pitch"][2] * clip.seconds,
            "of": first["pitch"][2] * made["recording"].seconds,
            "similarity": float(np.dot(first["speaker"], voice["speaker"])),
            "likeness": voice_similarity(vector, own),
            "mos": hear["mos"](clip),
        }
        for ear in EARS:
            words = said[ear] if way == "recording" else plain_words(hear[ear](clip))
            row[ear] = (edit_distance(said[ear], words), len(said[ear]))
        rows.append(row)
    return rows


def table(rows: list[Row]) -> str:
    """Means with 95 % intervals over people and their recordings, as Markdown."""
    lines = [
        "| way | n | voiced time | WER, tiny.en, % | WER, base, % | similarity | DistillMOS | "
        "likeness by nano |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way in dict.fromkeys(row["way"] for row in rows):
        some = [row for row in rows if row["way"] == way]
        who = [row["who"] for row in some]
        cells = [cell([(row["voiced"], row["of"]) for row in some], who, rate, digits=3)]
        cells += [cell([row[ear] for row in some], who, rate, factor=100, digits=1) for ear in EARS]
        cells += [
            cell([row[key] for row in some], who, digits=2)
            for key in ("similarity", "mos", "likeness")
        ]
        lines.append(f"| {way} | {len(some)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Make, judge, write; then the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("people", "plain", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--count", type=int, default=24)
    args = parser.parse_args()
    setup(1)
    logging.getLogger("faster_whisper").setLevel(logging.WARNING)
    args.out.mkdir(parents=True, exist_ok=True)
    rows, bundle, plain = rows_of(args.out / "judged.jsonl"), Registry().load("nano"), None
    opened = judge_functions()
    hear: dict[str, Any] = {}
    for number, (who, path) in enumerate(chosen(args.people, args.count)):
        if any(row["clip"] == path.stem for row in rows):
            continue
        hear = hear or {name: opened[name]() for name in ("voice", "mos", *EARS)}
        plain = plain or plain_edit(args.plain)
        made = ways(bundle, plain, read_clip(path))
        for way in ("WORLD whisper", "signal"):
            name = f"{path.stem}-{way.replace(' ', '-')}.wav"
            write_wav(args.out / name, replace(made[way], wave=made[way].wave.clamp(-1, 1)))
        new = [
            {"clip": path.stem, "who": who, "seconds": made["recording"].seconds, **row}
            for row in judged(bundle, hear, made)
        ]
        add(args.out / "judged.jsonl", new)
        rows += new
        log.info("%d %s", number, path.stem)
    print(table(rows))


if __name__ == "__main__":
    main()
