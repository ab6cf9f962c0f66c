"""Recordings of people as shards for the vocoder: 24 kHz, tracked F0, no words.

    python -m recipes.nano.corpus.people --real DIR --out CORPUS

DIR has a folder for each source: librispeech, npvcc2016, aishell_s0913, ljspeech (stage "people")
and emodb (stage "acted"). Speakers of DEV are marked as held out and never drawn in training.
"""

from __future__ import annotations

import argparse
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np

from recipes.nano.corpus.shards import Shard
from recipes.nano.corpus.vocoder import HOP, RATE_HZ

SOURCES = {
    "librispeech": "people",
    "npvcc2016": "people",
    "aishell_s0913": "people",
    "ljspeech": "people",
    "emodb": "acted",
}
"""Folder -> stage of the corpus."""
SHARD_CLIPS = 128


def speaker_of(folder: str, stem: str) -> str:
    """Who speaks, as the file names of each source say it."""
    return {"emodb": stem[:2], "npvcc2016": stem[:3], "librispeech": stem.split("-")[0]}.get(
        folder, folder
    )


def held_out(folder: str, speaker: str) -> bool:
    """Every 16th reader of LibriSpeech and the last two actors of EmoDB."""
    return (folder == "librispeech" and int(speaker) % 16 == 3) or (
        folder == "emodb" and speaker in ("13", "14")
    )


def clip_at_24_khz(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Wave (N,) float32 at 24 kHz, N whole frames of 12.5 ms, and the same at 16 kHz."""
    import soundfile
    from scipy.signal import resample_poly

    wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    wave = wave.mean(axis=1)

    def at(hz: int) -> np.ndarray:
        common = gcd(rate, hz)
        out = wave if rate == hz else resample_poly(wave, hz // common, rate // common)
        return np.asarray(out, np.float32)

    whole = at(RATE_HZ)
    whole = whole[: len(whole) // HOP * HOP]
    return whole * min(1.0, 0.97 / (float(np.abs(whole).max()) + 1e-9)), at(16_000)


def refined_f0(wave16k: np.ndarray, frames: int, tracker: Any) -> np.ndarray:
    """(F,) Hz at the middles of 12.5 ms frames, 0 where the tracker hears no voice.

    The tracker's own frames are 16 ms; between two voiced ones the pitch is linear, then WORLD's
    stonemask moves it to the instantaneous frequency of the harmonics.
    """
    import pyworld

    found = tracker.detect(wave16k, 16_000)
    at = (np.arange(frames) + 0.5) * HOP / RATE_HZ
    sure = found.confidence >= 0.5
    near = np.clip(np.searchsorted(found.timestamps, at), 1, len(found.timestamps) - 1)
    closest = np.where(
        np.abs(found.timestamps[near] - at) < np.abs(found.timestamps[near - 1] - at),
        near,
        near - 1,
    )
    between = np.interp(at, found.timestamps, found.pitch_hz)
    both = sure[near] & sure[near - 1]
    coarse = np.where(both, between, np.where(sure[closest], found.pitch_hz[closest], 0.0))
    fine = pyworld.stonemask(wave16k.astype(np.float64), coarse, at, 16_000)
    fits = (coarse > 0) & (np.abs(fine / np.maximum(coarse, 1.0) - 1) < 0.06)
    return np.where(fits, fine, coarse).astype(np.float32)


def make_people(real: Path, out: Path) -> None:
    """One shard of 128 clips after the other; finished ones are passed over."""
    from swift_f0 import SwiftF0

    tracker = SwiftF0()
    for folder, stage in SOURCES.items():
        paths = sorted(p for p in (real / folder).glob("*") if p.suffix in (".flac", ".wav"))
        for first in range(0, len(paths), SHARD_CLIPS):
            shard = Shard(out / stage / f"{folder}-{first // SHARD_CLIPS:03}")
            if shard.done:
                continue
            for path in paths[first : first + SHARD_CLIPS]:
                wave, wave16k = clip_at_24_khz(path)
                speaker = speaker_of(folder, path.stem)
                record = {
                    "id": f"{folder}-{path.stem}",
                    "kind": "neutral",
                    "speaker": f"{folder}-{speaker}",
                    "split": "dev" if held_out(folder, speaker) else "train",
                }
                shard.add(record, wave, refined_f0(wave16k, len(wave) // HOP, tracker), None)
            shard.write()


def main() -> None:
    """Read the two folders from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    make_people(args.real, args.out)


if __name__ == "__main__":
    main()
