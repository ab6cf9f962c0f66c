"""The sample clips of stepedit_core/assets/samples that have more than one sentence.

    python -m recipes.nano.samples FOLDER

The teacher's voice (hibari-tts, Apache-2.0) says each sentence; between them lies the noise of a quiet
room, so that pauses are not digital silence. The times of their words, <name>.times.txt, are what
`stepedit transcribe --text` with faster-whisper says of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile

RATE = 24_000
SAMPLES: dict[str, list[str | float]] = {
    "lighthouse": [
        "Every evening the old lighthouse keeper climbed the stairs.",
        0.5,
        "There were ninety nine of them, and he counted each one.",
        0.6,
        "At the top he lit the lamp, and looked out over the water.",
        0.7,
        "Some nights the sea was calm, and the ships moved like slow stars.",
        0.5,
        "Other nights the wind shook the windows, and nobody could sleep.",
        0.7,
        "But the light was never late.",
        0.8,
        "In the morning he put it out, walked down the stairs, and had his breakfast.",
        0.6,
        "Nobody ever saw him smile, but the sailors knew his name.",
        0.3,
    ],
    "friday": [
        "So, um, I was, I was thinking that we, uh, could meet on Friday.",
        1.9,
        "And, um, bring the, the blue folder, please.",
        1.2,
        "It has all of the numbers.",
        0.3,
    ],
}
"""Name -> sentences, and pauses in seconds."""


def room_tone(count: int, seed: int) -> np.ndarray:
    """Samples (count,) of a quiet room, 70 dB below full scale."""
    noise = np.random.default_rng(seed).normal(size=count)
    return np.convolve(noise, np.ones(8) / 8, "same") * 3e-4


def main(folder: Path) -> None:
    """Write FLAC files of 16 bits and their words."""
    from hibari import Hibari

    teacher = Hibari(threads=1)
    for name, parts in SAMPLES.items():
        said = [
            np.zeros(int(part * RATE))
            if isinstance(part, float)
            else np.asarray(teacher(part, seed=0), np.float64).ravel()
            for part in parts
        ]
        wave = np.concatenate(said)
        wave = np.clip(wave + room_tone(len(wave), 1), -1, 1)
        soundfile.write(folder / f"{name}.flac", wave, RATE, subtype="PCM_16")
        words = " ".join(part for part in parts if isinstance(part, str))
        (folder / f"{name}.txt").write_text(words + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
