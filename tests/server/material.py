"""What the server of the tests is given: a clip, its words, settings of the browser."""

from __future__ import annotations

import json
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


HEARD = [
    ["Hello,", 0.1, 0.4, 0.9],
    ["um", 0.45, 0.6, 0.8],
    ["good", 0.7, 0.9, 0.95],
    ["good", 1.0, 1.2, 0.7],
    ["morning", 1.3, 1.5, 0.9],
    ["world.", 1.7, 1.9, 0.85],
]
"""What the tests' recogniser hears in every clip: word, start and end in seconds, how sure."""


def write_ears(folder: Path) -> None:
    """A folder that looks like a faster-whisper model; the probe pack reads its words."""
    folder.mkdir(parents=True)
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (folder / name).write_bytes(b"")
    (folder / "words.json").write_text(json.dumps(HEARD))


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
