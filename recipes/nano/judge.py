"""Figures of a bundle on held-out real recordings: words, speaker, quality, F0, length.

Nothing judged here is trained on. WHISPER_BASE names a folder with a CTranslate2 Whisper-base;
the other judges come inside their packages.

    python -m recipes.nano.judge --bundle nano --clips DIR --out runs/nano/judged.json

DIR holds `ljspeech/` with transcripts.tsv and `editx_examples/` with text.txt (English clips).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recipes.nano.training import log, setup
from stepedit_core.audio.files import read_clip, write_wav
from stepedit_core.audio.resample import resample
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
    """Lazy, offline judges over 16 kHz mono arrays."""

    def __init__(self) -> None:
        self.models: dict[str, Any] = {}

    def _get(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self.models:
            self.models[name] = make()
        return self.models[name]

    def words(self, x: np.ndarray) -> str:
        """Whisper-base transcript."""
        from faster_whisper import WhisperModel

        model = self._get(
            "asr",
            lambda: WhisperModel(
                os.environ["WHISPER_BASE"], device="cpu", compute_type="int8", cpu_threads=2
            ),
        )
        pieces, _ = model.transcribe(
            x, language="en", beam_size=1, condition_on_previous_text=False
        )
        return " ".join(p.text.strip() for p in pieces)

    def speaker(self, x: np.ndarray) -> np.ndarray:
        """Resemblyzer embedding, length 1."""
        from resemblyzer import VoiceEncoder

        return self._get("speaker", lambda: VoiceEncoder("cpu", verbose=False)).embed_utterance(x)

    def mos(self, x: np.ndarray) -> float:
        """DistillMOS; clips under 5 s are repeated, short clips read low."""
        import sys
        import types

        if "torchaudio" not in sys.modules:  # distillmos imports it for resampling only
            stub = types.ModuleType("torchaudio")
            stub.transforms = types.ModuleType("torchaudio.transforms")  # type: ignore[attr-defined]
            stub.functional = types.ModuleType("torchaudio.functional")  # type: ignore[attr-defined]
            stub.transforms.Resample = torch.nn.Identity  # type: ignore[attr-defined]
            for name in ("", ".transforms", ".functional"):
                sys.modules["torchaudio" + name] = stub if not name else getattr(stub, name[1:])
        from distillmos import ConvTransformerSQAModel

        model = self._get("mos", lambda: ConvTransformerSQAModel().eval())
        while len(x) < 5 * 16_000:
            x = np.concatenate([x, x])
        with torch.no_grad():
            return float(model(torch.from_numpy(x)[None])[0])

    def pitch(self, x: np.ndarray) -> tuple[float, float, float]:
        """(median F0 in Hz, standard deviation in semitones, share of voiced frames)."""
        from swift_f0 import SwiftF0

        track = self._get("f0", SwiftF0).detect(x, 16_000)
        voiced = track.pitch_hz[track.confidence >= 0.5]
        if not len(voiced):
            return 0.0, 0.0, 0.0
        middle = float(np.median(voiced))
        return (
            middle,
            float(np.std(12 * np.log2(voiced / middle))),
            len(voiced) / len(track.pitch_hz),
        )


NUMBERS = {
    w: str(i)
    for i, w in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    )
}


def normalise(text: str) -> str:
    """Lower case, no punctuation, small numbers as digits."""
    text = re.sub(r"[^a-z0-9' ]+", " ", text.lower().replace("\u2019", "'")).replace("'", "")
    return " ".join(NUMBERS.get(w, w) for w in text.split())


def word_error_rate(reference: str, found: str) -> float:
    """Edit distance over the reference's words."""
    import jiwer

    return float(jiwer.wer(normalise(reference), normalise(found) or "-"))


def held_out(root: Path) -> list[tuple[str, Path, str]]:
    """(name, file, words) of the clips that are judged."""
    clips = []
    for line in (root / "ljspeech/transcripts.tsv").read_text("utf-8").splitlines():
        name, words = line.split("\t")
        path = next((root / "ljspeech").glob(f"{name}.*"))
        clips.append((name, path, words))
    for line in (root / "editx_examples/text.txt").read_text("utf-8").splitlines():
        name, _, words = line.strip().partition(" ")
        if words.isascii() and words.strip():
            clips.append((name.removesuffix(".wav"), root / "editx_examples" / name, words.strip()))
    return clips


def to16(clip: Clip) -> np.ndarray:
    """16 kHz array of a clip."""
    return resample(clip.wave, clip.sample_rate, 16_000).numpy()


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
    bundle = Registry().load(args.bundle)
    judges = Judges()
    rows: list[dict[str, Any]] = []
    for name, path, words in held_out(args.clips)[: args.limit or None]:
        clip = read_clip(path)
        x = to16(clip)
        who = judges.speaker(x)
        f0, spread, voiced = judges.pitch(x)
        row: dict[str, Any] = {
            "clip": name,
            "original": {
                "wer": word_error_rate(words, judges.words(x)),
                "mos": judges.mos(x),
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
            y = to16(done.clip)
            f0, spread, voiced = judges.pitch(y)
            row[what] = {
                "wer": word_error_rate(words, judges.words(y)),
                "mos": judges.mos(y),
                "similarity": float(np.dot(who, judges.speaker(y))),
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
