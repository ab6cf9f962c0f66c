"""How much each moment of a sound repeats itself: what tells a voice from a hiss, and its pitch.

Source: Boersma 1993 (the autocorrelation of a frame divided by its window's).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..audio.resample import resample

RATE_HZ, LOWEST_HZ, HIGHEST_HZ = 8000, 60.0, 500.0
"""Rate of the sound that a voice is looked for in, and the pitch that a voice can have."""
FRAME_SECONDS = 0.05
BUZZ_HZ = (50.0, 1500.0)
"""Where a voice is looked for."""
SHORTEST = round(RATE_HZ / HIGHEST_HZ)
"""Samples at `RATE_HZ` of the shortest period."""
SMALL = 1e-12


@dataclass(frozen=True)
class Periodicity:
    """Of T frames, 5 ms apart as a rule."""

    alike: Tensor
    """(T, L) float32: the frame's likeness to itself one period later, for periods of `SHORTEST`,
    `SHORTEST` + 1, ... samples at `RATE_HZ`; 1 is the same."""
    power: Tensor
    """(T,) float32 of the frame between 50 and 1,500 Hz."""


def periodicity(mono: Tensor, rate: int, hop: float, frames: int) -> Periodicity:
    """Of a wave (N,) at `rate` Hz: frame t is centred on sample t * hop."""
    low = resample(mono, rate, RATE_HZ)
    size = round(FRAME_SECONDS * RATE_HZ)
    window = torch.hann_window(size)
    first = (torch.arange(frames) * (hop * RATE_HZ / rate)).round().long()
    padded = F.pad(low, (size // 2, max(0, int(first[-1]) + size - len(low))))
    cut = padded[first[:, None] + torch.arange(size)]
    spectrum = torch.fft.rfft((cut - cut.mean(dim=1, keepdim=True)) * window, n=2 * size)
    hz = torch.arange(spectrum.shape[1]) * (RATE_HZ / (2 * size))
    spectrum = spectrum * ((hz > BUZZ_HZ[0]) & (hz < BUZZ_HZ[1]))
    alike = torch.fft.irfft(spectrum.abs().square())
    flat = torch.fft.irfft(torch.fft.rfft(window, n=2 * size).abs().square())
    power = alike[:, 0]
    lags = slice(SHORTEST, round(RATE_HZ / LOWEST_HZ) + 1)
    alike = alike[:, lags] / power[:, None].clamp(min=SMALL) * (flat[0] / flat[lags])
    return Periodicity(alike, power)
