"""Distance of two waves by their spectra at several resolutions, for recordings of 8 or 12 kHz."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recipes.nano.training import RATE
from stepedit_core.audio.mel import mel_filters

NARROW_HZ = 7_500.0
"""Recordings at 16 kHz say nothing about what lies above; neither their losses nor the judges do."""
RESOLUTIONS = ((512, 128, 40), (1024, 256, 80), (2048, 512, 128), (256, 64, 0), (128, 32, 0))
"""Samples of window and hop, mel bands. The last two, 11 and 5 ms, are for bursts."""


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """One STFT of the spectral distance."""

    size: int
    """Samples of its window."""
    hop: int
    """Samples between frames."""
    filters: Tensor | None
    """Mel filters (bands, size // 2 + 1), or None where it has no mel term."""


def resolutions() -> tuple[Resolution, ...]:
    """Those of RESOLUTIONS with their mel filters up to 12 kHz."""
    return tuple(
        Resolution(
            size=size,
            hop=hop,
            filters=mel_filters(RATE, size, bands, 0.0, 12_000.0) if bands else None,
        )
        for size, hop, bands in RESOLUTIONS
    )


def heard_bins(wide: Tensor, size: int) -> Tensor:
    """1 where a bin of an STFT counts, else 0: (B, size // 2 + 1, 1).

    All bins of clips that are `wide` (B,); of the rest, which end at 8 kHz, those below NARROW_HZ.
    """
    low = torch.arange(size // 2 + 1, device=wide.device) * RATE / size < NARROW_HZ
    return (wide[:, None] | low).float()[..., None]


def loudness(
    natural: list[Tensor], wide: Tensor, stfts: tuple[Resolution, ...], power: float
) -> list[Tensor]:
    """Weight of every bin: its magnitude in the recording to `power` (0: all alike), mean 1 a clip.

    Without it the noise between words counts as much as the words.
    """
    found = []
    for y, r in zip(natural, stfts, strict=True):
        heard = heard_bins(wide, r.size).expand(y.shape)
        loud = (y + 1e-3) ** power * heard
        found.append(loud * heard.sum((1, 2), keepdim=True) / loud.sum((1, 2), keepdim=True))
    return found


def spectra(wave: Tensor, stfts: tuple[Resolution, ...]) -> list[Tensor]:
    """Magnitudes (B, size // 2 + 1, T) of wave (B, N) at every resolution."""
    found = []
    for r in stfts:
        window = torch.hann_window(r.size, device=wave.device)
        both = torch.stft(wave, r.size, r.hop, window=window, return_complex=True, center=True)
        found.append((both.real.square() + both.imag.square() + 1e-7).sqrt())
    return found


def spectral_distance(
    one: list[Tensor],
    other: list[Tensor],
    heard_of: list[Tensor],
    stfts: tuple[Resolution, ...],
) -> Tensor:
    """Mean over resolutions of log-magnitude L1, half a relative L2 and log-mel L1.

    `heard_of` has the weight of every bin for the first of them, between 0 and about 4.
    """
    total = torch.zeros(())
    for x, y, weight, r in zip(one, other, heard_of, stfts, strict=True):
        heard = (weight > 0).float()
        log_x, log_y = (m.clamp(min=1e-3).log() for m in (x, y))
        total = total + ((log_x - log_y).abs() * weight).sum() / weight.sum()
        total = total + ((x - y) * heard).norm() / ((y * heard).norm() + 1e-3) * 0.5
        if r.filters is not None:
            mel_x, mel_y = (
                (r.filters.to(m.device) @ (m * heard)).clamp(min=1e-5).log() for m in (x, y)
            )
            total = total + (mel_x - mel_y).abs().mean()
    return total / len(stfts)
