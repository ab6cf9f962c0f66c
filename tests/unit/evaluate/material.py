"""Cases and clips that several tests of evaluation use."""

from __future__ import annotations

import json
import math
from pathlib import Path

import soundfile
import torch

from stepedit_core.types import Clip

from ..conftest import voiced

LINE = {
    "id": "happy-1",
    "speaker": "s1",
    "gen_text": "hello [Sigh] world",
    "prompt_audio": "p.wav",
    "prompt_text": "good morning",
    "lang": "en",
    "task": "emotion",
    "task_sub": "happy",
}


def cases_file(folder: Path, *changes: dict[str, str]) -> Path:
    soundfile.write(folder / "p.wav", voiced(0.6, 24_000).numpy(), 24_000)
    path = folder / "emotion.jsonl"
    path.write_text("".join(json.dumps({**LINE, **change}) + "\n" for change in changes))
    return path


def tone(hz: float, seconds: float = 1.0, *, loud: float = 0.5, noise: float = 0.0) -> Clip:
    t = torch.arange(int(seconds * 16_000)) / 16_000
    wave = sum(torch.sin(2 * math.pi * hz * k * t) / k for k in range(1, 6)) * loud / 2
    noise_ = torch.randn(len(t), generator=torch.Generator().manual_seed(int(hz)))
    return Clip(wave=wave + noise * noise_, sample_rate=16_000)


def with_sound(hz: float, at: float | None, sound_hz: float = 420.0) -> Clip:
    """1.6 s of a voice; from `at` on, half a second of another tone."""
    wave = tone(hz, 1.6, noise=0.01).wave.clone()
    if at is not None:
        first = int(at * 16_000)
        wave[first : first + 8_000] = tone(sound_hz, 0.5, noise=0.01).wave
    return Clip(wave=wave, sample_rate=16_000)


def hears(source: Clip, result: Clip, label: str) -> float:
    return float(label == "happy")
