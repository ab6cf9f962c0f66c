"""Median pitch of a clip, for charts: peak of the normalised autocorrelation, frame by frame.

Source: Boersma 1993 (the frame's autocorrelation divided by its window's). No learned weights.
"""

from __future__ import annotations

import torch

from ..types import Clip

LOW_HZ, HIGH_HZ = 60.0, 500.0
FRAME_SECONDS, HOP_SECONDS = 0.05, 0.01
VOICED = 0.6
"""Least autocorrelation, 0..1, of a frame that counts as voiced."""
LOUD = 0.05
"""Least share of the loudest frame's amplitude that a frame must have."""


def median_pitch_hz(clip: Clip) -> float | None:
    """Median F0 in Hz over the voiced frames; None where fewer than five frames are voiced."""
    size, hop = (round(s * clip.sample_rate) for s in (FRAME_SECONDS, HOP_SECONDS))
    if clip.wave.shape[0] < size:
        return None
    window = torch.hann_window(size)
    frames = clip.wave.float().unfold(0, size, hop)
    frames = (frames - frames.mean(dim=1, keepdim=True)) * window
    loud = frames.abs().amax(dim=1)
    corr = _autocorrelation(frames) / _autocorrelation(window[None]).clamp(min=1e-6)
    first, last = int(clip.sample_rate / HIGH_HZ), int(clip.sample_rate / LOW_HZ)
    corr = corr[:, first : min(last, size // 2) + 1]
    # of equally good peaks take the earliest: later ones are multiples of the period
    strength = corr.amax(dim=1, keepdim=True)
    lag = (corr >= 0.95 * strength).to(torch.int8).argmax(dim=1)
    millisecond = torch.arange(max(clip.sample_rate // 1000, 1))
    climb = corr.gather(1, (lag[:, None] + millisecond).clamp(max=corr.shape[1] - 1))
    lag = lag + climb.argmax(dim=1) + first
    voiced = (strength[:, 0] > VOICED) & (loud > LOUD * loud.max())
    if int(voiced.sum()) < 5:
        return None
    return float(clip.sample_rate / lag[voiced].float().median())


def _autocorrelation(frames: torch.Tensor) -> torch.Tensor:
    """Autocorrelation (B, N) of frames (B, N), 1.0 at lag 0."""
    spectrum = torch.fft.rfft(frames, n=2 * frames.shape[1]).abs().square()
    corr: torch.Tensor = torch.fft.irfft(spectrum)[:, : frames.shape[1]]
    return corr / corr[:, :1].clamp(min=1e-12)
