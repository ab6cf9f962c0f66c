"""Figures of a bundle on held-out real recordings: words, speaker, quality, F0, length.

Nothing judged here is trained on. WHISPER_BASE names a folder with a CTranslate2 Whisper-base;
the other judges come inside their packages.

    python -m recipes.nano.judge --bundle nano --clips DIR --out runs/nano/judged.json

DIR holds `ljspeech/` with transcripts.tsv and `editx_examples/` with text.txt (English clips).
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recipes.nano.export import as_taught
from recipes.nano.training import log, setup
from stepedit_core.audio.files import read_clip, write_wav
from stepedit_core.evaluate.judges import quality, speaker_vectors, wave16
from stepedit_core.measure.recogniser import word_error_rate
from stepedit_core.measure.whisper import RATE, FasterWhisper
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.resynthesize import resynthesize
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.registry.registry import Registry
from stepedit_core.types import Clip, EditRequest

EDITS = {
    "happy": ("emotion", "happy"),
    "sad": ("emotion", "sad"),
    "whisper": ("style", "whisper"),
    "faster": ("speed", "faster"),
    "slower": ("speed", "slower"),
}


class Judges:
    """The core's judges and a pitch tracker; each is loaded when it is first asked."""

    @cached_property
    def recogniser(self) -> FasterWhisper:
        """Whisper-base."""
        return FasterWhisper(threads=2)

    @cached_property
    def speaker(self) -> Callable[[Clip], np.ndarray]:
        """Clip to Resemblyzer vector, length 1."""
        return speaker_vectors()

    @cached_property
    def mos(self) -> Callable[[Clip], float]:
        """Clip to DistillMOS; clips under 5 s are repeated, short clips read low."""
        return quality()

    @cached_property
    def tracker(self) -> Any:
        """swift-f0, a learnt tracker: the same that labels the recordings of the corpus.

        measure/pitch.py finds a median only; here the range and the voiced share count too, and a
        tracker that shares nothing with the product is the better judge of it.
        """
        from swift_f0 import SwiftF0

        return SwiftF0()

    def words(self, clip: Clip) -> str:
        """English words that are heard."""
        return self.recogniser.transcribe(clip)

    def pitch(self, clip: Clip) -> tuple[float, float, float]:
        """(median F0 in Hz, standard deviation in semitones, share of voiced frames)."""
        track = self.tracker.detect(wave16(clip), RATE)
        voiced = track.pitch_hz[track.confidence >= 0.5]
        if not len(voiced):
            return 0.0, 0.0, 0.0
        middle = float(np.median(voiced))
        return (
            middle,
            float(np.std(12 * np.log2(voiced / middle))),
            len(voiced) / len(track.pitch_hz),
        )


def held_out(root: Path) -> list[tuple[str, Path, str]]:
    """(name, file, words) of the clips that are judged."""
    clips = []
    for line in filter(None, (root / "ljspeech/transcripts.tsv").read_text("utf-8").split("\n")):
        name, words = line.split("\t")
        path = next((root / "ljspeech").glob(f"{name}.*"))
        clips.append((name, path, words))
    for line in filter(None, (root / "editx_examples/text.txt").read_text("utf-8").split("\n")):
        name, _, words = line.strip().partition(" ")
        if words.isascii() and words.strip():
            clips.append((name.removesuffix(".wav"), root / "editx_examples" / name, words.strip()))
    return clips


def main() -> None:
    """Judge, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="nano")
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=["resynthesize", *EDITS])
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--waves", type=Path)
    args = parser.parse_args()
    setup(2)
    bundle = as_taught(Registry().load(args.bundle))
    judges = Judges()
    rows: list[dict[str, Any]] = []
    for name, path, words in held_out(args.clips)[: args.limit or None]:
        clip = read_clip(path)
        who = judges.speaker(clip)
        f0, spread, voiced = judges.pitch(clip)
        row: dict[str, Any] = {
            "clip": name,
            "original": {
                "wer": word_error_rate(words, judges.words(clip)),
                "mos": judges.mos(clip),
                "seconds": clip.seconds,
                "f0": f0,
                "spread": spread,
                "voiced": voiced,
            },
        }
        for what in args.only:
            if what == "resynthesize":
                done = resynthesize(bundle, clip, seed=args.seed)
            else:
                kind, option = EDITS[what]
                request = EditRequest(kind=kind, option=option, text=words)
                plan = make_plan(bundle, clip, [request], seed=args.seed)
                done = iterate(bundle, clip, plan).final
            f0, spread, voiced = judges.pitch(done.clip)
            row[what] = {
                "wer": word_error_rate(words, judges.words(done.clip)),
                "mos": judges.mos(done.clip),
                "similarity": float(np.dot(who, judges.speaker(done.clip))),
                "seconds": done.clip.seconds,
                "f0": f0,
                "spread": spread,
                "voiced": voiced,
                "elapsed": done.seconds_elapsed,
                "score": done.score,
            }
            if args.waves:
                args.waves.mkdir(parents=True, exist_ok=True)
                write_wav(args.waves / f"{name}.{what}.wav", done.clip)
        rows.append(row)
        log.info(
            "%s %s",
            name,
            json.dumps(
                {
                    k: v
                    if isinstance(v, str)
                    else {a: round(b, 2) for a, b in v.items() if b is not None}
                    for k, v in row.items()
                    if k != "clip"
                }
            ),
        )
    mean = lambda what, key: statistics.fmean(r[what][key] for r in rows)  # noqa: E731
    summary = {
        what: {key: round(mean(what, key), 3) for key in rows[0][what] if key != "score"}
        for what in ["original", *args.only]
    }
    if {"happy", "sad"} <= set(args.only):
        summary["happy over sad"] = {
            "f0": sum(r["happy"]["f0"] > r["sad"]["f0"] for r in rows),
            "spread": sum(r["happy"]["spread"] > r["sad"]["spread"] for r in rows),
            "both": sum(
                r["happy"]["f0"] > r["sad"]["f0"] and r["happy"]["spread"] > r["sad"]["spread"]
                for r in rows
            ),
            "of": len(rows),
        }
    for what in {"faster", "slower"} & set(args.only):
        plain = "resynthesize" if "resynthesize" in args.only else "original"
        summary[what]["length"] = round(
            statistics.fmean(r[what]["seconds"] / r[plain]["seconds"] for r in rows), 3
        )
    log.info("%s", json.dumps(summary, indent=1))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"summary": summary, "clips": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
