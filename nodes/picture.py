"""Pictures of results: a mel spectrogram with axes, and a chart of scores and pitch by round.

Drawn with Pillow, which every ComfyUI has. Colours: a path through Oklab whose lightness grows
linearly (Ottosson 2020, "A perceptual color space for image processing").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..stepedit_core.audio.mel import PROMPT_TOP_HZ

MEL_TOP_HZ = int(PROMPT_TOP_HZ)
MEL_FRAMES_PER_SECOND = 50
MARGIN = (64, 34, 84, 46)
"""Pixels left, above, right and below of a plot."""
INK, GRID, PAPER = (34, 34, 40), (222, 222, 228), (255, 255, 255)
SCORE_INK, PITCH_INK = (0, 98, 155), (190, 78, 0)

_OKLAB_TO_LMS = np.array(
    [
        [1, 0.3963377774, 0.2158037573],
        [1, -0.1055613458, -0.0638541728],
        [1, -0.0894841775, -1.2914855480],
    ]
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def colour_map(steps: int = 256) -> np.ndarray:
    """RGB bytes (steps, 3) from near black over violet and orange to pale yellow."""
    at = np.linspace(0, 1, steps)
    lightness = 0.12 + 0.84 * at
    hue = np.deg2rad(285 + 175 * at)
    chroma = 0.17 * np.sin(np.pi * (0.08 + 0.84 * at))
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    linear = ((lab @ _OKLAB_TO_LMS.T) ** 3 @ _LMS_TO_RGB.T).clip(0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (srgb * 255).round().astype(np.uint8)


def mel_place(hz: float, bins: int = 80) -> float:
    """Row of a mel picture (0 = lowest bin) where a frequency lies; Slaney's scale, 0 to 8 kHz."""

    def mel(f: float) -> float:
        return f * 3 / 200 if f < 1000 else 15 + math.log(f / 1000) * 27 / math.log(6.4)

    return mel(hz) / mel(MEL_TOP_HZ) * (bins + 1) - 1


def mel_picture(mel: Tensor, *, scale: int = 4) -> Tensor:
    """Picture (1, H, W, 3) float32 0..1 of a log mel (80, F): seconds across, hertz upwards."""
    values = mel.detach().float().cpu().numpy()
    bins, frames = values.shape
    low, high = float(values.min()), float(values.max())
    level = np.round((values - low) / max(high - low, 1e-6) * 255).astype(np.uint8)
    wide = max(frames * 2, 320)
    plot = Image.fromarray(colour_map()[level[::-1]]).resize((wide, bins * scale), Image.NEAREST)
    canvas, draw, box = _canvas(wide, bins * scale, "log mel, 80 bands")
    canvas.paste(plot, box[:2])
    for hz in (250, 500, 1000, 2000, 4000):
        y = box[3] - (mel_place(hz, bins) + 0.5) * scale
        _text(draw, (box[0] - 8, y), f"{hz} Hz" if hz < 1000 else f"{hz // 1000} kHz", "rm")
        draw.line([(box[0] - 5, y), (box[0], y)], fill=INK)
    seconds = frames / MEL_FRAMES_PER_SECOND
    for at in _ticks(seconds):
        x = box[0] + at / seconds * wide
        draw.line([(x, box[3]), (x, box[3] + 5)], fill=INK)
        _text(draw, (x, box[3] + 8), f"{at:g} s", "ma")
    _scale_bar(canvas, draw, box, low, high)
    return as_tensor(canvas)


def rounds_chart(scores: Sequence[float | None], pitch_hz: Sequence[float | None]) -> Tensor:
    """Picture (1, H, W, 3) float32 0..1: margin score and median pitch for rounds 0, 1, 2 ...

    None leaves a gap: round 0 has no score, and a whispered round has no pitch.
    """
    canvas, draw, box = _canvas(560, 300, "Margin score and median pitch by round")
    rounds = len(scores)
    xs = [box[0] + (k + 0.5) / rounds * (box[2] - box[0]) for k in range(rounds)]
    for k, x in enumerate(xs):
        _text(draw, (x, box[3] + 8), "input" if k == 0 else f"round {k}", "ma")
    known = [hz for hz in pitch_hz if hz]
    low = 50 * math.floor(min(known, default=100) / 50 - 0.2)
    high = max(50 * math.ceil(max(known, default=200) / 50 + 0.2), low + 100)
    for mark in range(0, 11, 2):
        y = box[3] - mark / 10 * (box[3] - box[1])
        draw.line([(box[0], y), (box[2], y)], fill=GRID)
        _text(draw, (box[0] - 8, y), f"{mark}", "rm", SCORE_INK)
        _text(draw, (box[2] + 8, y), f"{low + mark / 10 * (high - low):.0f} Hz", "lm", PITCH_INK)
    draw.rectangle(box, outline=INK)
    heights = [None if s is None else s / 10 for s in scores]
    _line(draw, box, xs, heights, (0, "score (1-10)", SCORE_INK))
    places = [None if not hz else (hz - low) / (high - low) for hz in pitch_hz]
    _line(draw, box, xs, places, (1, "median pitch (Hz)", PITCH_INK))
    return as_tensor(canvas)


def _canvas(
    wide: int, tall: int, title: str
) -> tuple[Image.Image, ImageDraw.ImageDraw, tuple[int, int, int, int]]:
    """White picture, its pen, and the box (left, top, right, bottom) of the plot."""
    left, above, right, below = MARGIN
    canvas = Image.new("RGB", (left + wide + right, above + tall + below), PAPER)
    draw = ImageDraw.Draw(canvas)
    _text(draw, (left, above / 2), title, "lm")
    return canvas, draw, (left, above, left + wide, above + tall)


def _text(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    words: str,
    anchor: str,
    ink: tuple[int, int, int] = INK,
) -> None:
    draw.text(at, words, fill=ink, anchor=anchor, font=ImageFont.load_default(13))


def _ticks(seconds: float) -> list[float]:
    """At most about eight round numbers from 0 to `seconds`."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10)
    step = next((s for s in steps if seconds / s <= 8), 20)
    return [round(k * step, 2) for k in range(int(seconds / step) + 1)]


def _scale_bar(
    canvas: Image.Image,
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    low: float,
    high: float,
) -> None:
    """Colours and what they stand for, right of the plot."""
    bar = Image.fromarray(colour_map()[::-1, None]).resize((14, box[3] - box[1]), Image.NEAREST)
    canvas.paste(bar, (box[2] + 14, box[1]))
    _text(draw, (box[2] + 34, box[1]), f"{high:.1f}", "lt")
    _text(draw, (box[2] + 34, box[3]), f"{low:.1f}", "lb")


def _line(
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    xs: Sequence[float],
    heights: Sequence[float | None],
    legend: tuple[int, str, tuple[int, int, int]],
) -> None:
    """Dots at 0..1 of the box's height, joined where neighbours exist, and a legend entry.

    `legend` is its place, its words and its ink.
    """
    row, name, ink = legend
    last: tuple[float, float] | None = None
    for x, height in zip(xs, heights, strict=True):
        if height is None:
            last = None
            continue
        dot = (x, box[3] - height * (box[3] - box[1]))
        if last:
            draw.line([last, dot], fill=ink, width=3)
        draw.ellipse([dot[0] - 5, dot[1] - 5, dot[0] + 5, dot[1] + 5], fill=ink)
        last = dot
    _text(draw, (box[0] + 10 + 150 * row, box[3] + 36), name, "lm", ink)


def as_tensor(canvas: Image.Image) -> Tensor:
    """IMAGE of one picture: (1, height, width, 3) float32, 0 to 1."""
    return torch.from_numpy(np.asarray(canvas, dtype=np.float32) / 255)[None]
