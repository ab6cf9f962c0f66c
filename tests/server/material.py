"""What the server of the tests is given: a clip, its words, settings of the browser."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

PROBE = Path(__file__).parent / "probe_pack"
RATE = 24_000
SETTINGS = (
    '{"Comfy.TutorialCompleted": true, "Comfy.Locale": "en", "Comfy.Graph.CanvasInfo": false}'
)
"""Of the browser: no welcome dialog, English, no frame counter."""
WORDS = "hello good morning world"
"""Transcript given for the made-up clip; the tiny bundle cannot tell the difference."""


def write_speech(path: Path, seconds: float = 2.0) -> Path:
    """A 16-bit mono clip of syllables on a 130 Hz tone."""
    t = np.arange(int(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 20))
    samples = 0.2 * tone * np.abs(np.sin(np.pi * t / 0.2))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path
