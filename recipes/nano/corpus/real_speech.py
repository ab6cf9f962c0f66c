"""Real clips (LibriSpeech, CC BY 4.0) as a shard: 24 kHz, tracked F0, words and phones by ear.

Words come from Whisper-base (faster-whisper, greedy), phones from the teacher's G2P of those words;
no alignment exists, so `phonemes` is for CTC only.
"""

from math import gcd
from pathlib import Path

import numpy as np
import torch
from scipy.signal import resample_poly

from recipes.nano.corpus.shards import Shard
from recipes.nano.corpus.teacher_hibari import INDEX, Hibari
from recipes.nano.corpus.vocoder import HOP, RATE_HZ
from stepedit_core.measure.whisper import FasterWhisper
from stepedit_core.types import Clip


def labels_of(phonemes: str) -> list[int]:
    """Phone labels of a misaki string without stress, length and punctuation."""
    return [INDEX[c] for c in phonemes if c in INDEX]


def tracked_f0(wave16k: np.ndarray, frames: int, tracker) -> np.ndarray:
    """(F,) Hz at the centres of 12.5 ms frames, 0 where the tracker is not confident."""
    found = tracker.detect(wave16k, 16000)
    at = (np.arange(frames) + 0.5) * HOP / RATE_HZ
    near = np.clip(np.searchsorted(found.timestamps, at), 0, len(found.timestamps) - 1)
    return np.where(found.confidence[near] >= 0.5, found.pitch_hz[near], 0).astype(np.float32)


def make_libri(clips: list[Path], shard: Shard, teacher: Hibari, whisper: Path | None) -> None:
    """Fill one shard with clips (flac or wav, any rate); without whisper they carry no words."""
    import soundfile
    from swift_f0 import SwiftF0

    recogniser = None if whisper is None else FasterWhisper(whisper, threads=1)
    tracker = SwiftF0()
    for path in clips:
        wave, rate = soundfile.read(path, dtype="float32")
        wave16 = resample_poly(wave, 16000 // gcd(rate, 16000), rate // gcd(rate, 16000))
        up = gcd(rate, RATE_HZ)
        wave = resample_poly(wave, RATE_HZ // up, rate // up).astype(np.float32)
        wave = wave[: len(wave) // HOP * HOP]
        text, log_prob = "", -9.0
        if recogniser is not None:
            heard = Clip(wave=torch.from_numpy(wave16.astype(np.float32)), sample_rate=16_000)
            said = recogniser.transcript(heard, "en")
            text, log_prob = said.text, said.log_prob
        phonemes = teacher.phonemes(text)
        record = {
            "id": f"libri-{path.stem}",
            "kind": "neutral",
            "text": text,
            "speaker": f"libri-{path.stem.split('-')[0]}",
            "split": "dev" if int(path.stem.split("-")[0]) % 20 == 0 else "train",
            "phonemes": phonemes,
            "labels": labels_of(phonemes),
            "log_prob": round(log_prob, 3),
        }
        f0 = tracked_f0(wave16.astype(np.float32), len(wave) // HOP, tracker)
        shard.add(record, wave * min(1, 0.97 / (np.abs(wave).max() + 1e-9)), f0, None)
