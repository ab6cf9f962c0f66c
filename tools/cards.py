"""The card of a workflow in the template browser: spectrograms before and after an edit."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
import torch
from PIL import Image, ImageDraw, ImageFont

from stepedit_core.audio.mel import prompt_mel
from stepedit_core.audio.resample import resample
from tests.server.comfyui import PACK

SAMPLES = PACK / "stepedit_core/assets/samples"
MEL_HZ = 24_000
CARD, EDGE = (800, 600), 16
"""Pixels of the picture, and around each half."""
PATH = ((24, 20, 40), (110, 40, 130), (230, 110, 50), (255, 240, 190))
"""Colours from quiet to loud."""
COLOURS = np.stack(
    [np.interp(np.linspace(0, 3, 256), range(4), part) for part in zip(*PATH, strict=True)], axis=1
).astype(np.uint8)


def card(before: tuple[str, float, float], after: bytes, target: Path) -> None:
    """The card of a workflow: what goes in and what comes out, on one scale of time and pitch.

    `before` is a shipped recording, and the seconds of it that are drawn.
    """
    name, start, end = before
    mels = []
    for raw, first, last in (((SAMPLES / name).read_bytes(), start, end), (after, 0, 60)):
        wave, rate = soundfile.read(BytesIO(raw), dtype="float32", always_2d=True)
        part = torch.from_numpy(wave[int(first * rate) : int(last * rate), 0])
        mels.append(prompt_mel(resample(part, rate, MEL_HZ)))
    longest = max(mel.shape[-1] for mel in mels)
    low, high = mels[0].min().item(), mels[0].max().item()
    made = Image.new("RGB", CARD, (24, 24, 30))
    draw = ImageDraw.Draw(made)
    font = ImageFont.load_default(size=30)
    tall = (CARD[1] - 3 * EDGE) // 2
    for place, (mel, title) in enumerate(zip(mels, ("before", "after"), strict=True)):
        level = ((mel.flip(0) - low) / (high - low)).clamp(0, 1).mul(255).round().byte().numpy()
        wide = round((CARD[0] - 2 * EDGE) * mel.shape[-1] / longest)
        top = EDGE + place * (tall + EDGE)
        picture = Image.fromarray(COLOURS[level]).resize((wide, tall), Image.Resampling.BILINEAR)
        made.paste(picture, (EDGE, top))
        draw.text((2 * EDGE, top + EDGE // 2), title, fill="white", font=font)
    made.save(target, quality=85, optimize=True)
