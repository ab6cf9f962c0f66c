"""Mel spectra: the vocoder's 80 bins at 50 Hz and the semantic tokenizer's 128 bins at 100 Hz.

Sources: HiFi-GAN's log-magnitude mel at 24 kHz (spec 2.2), Whisper's log-mel at 16 kHz (spec 2.5),
both with Slaney's mel scale and area normalisation (Auditory Toolbox, Interval report 1998-010).
"""

from __future__ import annotations

from functools import lru_cache
from math import log

import torch
from torch import Tensor
from torch.nn import functional as F

PROMPT_RATE = 24_000
PROMPT_FFT = 1920
PROMPT_HOP = 480
PROMPT_BINS = 80
PROMPT_TOP_HZ = 8_000.0
SEMANTIC_RATE = 16_000
SEMANTIC_FFT = 400
SEMANTIC_HOP = 160
SEMANTIC_BINS = 128
SEMANTIC_PIECE = 30 * SEMANTIC_RATE
SEMANTIC_SHORTEST = 480

_LINEAR_HZ_PER_MEL = 200.0 / 3.0  # Slaney: linear below 1 kHz, logarithmic above
_KNEE_HZ = 1_000.0
_KNEE_MEL = _KNEE_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = log(6.4) / 27.0


def _hz_to_mel(hz: float) -> float:
    return hz / _LINEAR_HZ_PER_MEL if hz < _KNEE_HZ else _KNEE_MEL + log(hz / _KNEE_HZ) / _LOG_STEP


def _mel_to_hz(mel: Tensor) -> Tensor:
    above = _KNEE_HZ * torch.exp(_LOG_STEP * (mel - _KNEE_MEL))
    return torch.where(mel < _KNEE_MEL, mel * _LINEAR_HZ_PER_MEL, above)


@lru_cache(maxsize=8)
def _filters(rate: int, fft: int, bins: int, low_hz: float, high_hz: float) -> Tensor:
    mels = torch.linspace(_hz_to_mel(low_hz), _hz_to_mel(high_hz), bins + 2, dtype=torch.float64)
    edges = _mel_to_hz(mels)
    hz = torch.linspace(0.0, rate / 2, fft // 2 + 1, dtype=torch.float64)
    width = edges.diff()
    rising = (hz - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - hz) / width[1:, None]
    area = 2.0 / (edges[2:] - edges[:-2])
    return (torch.minimum(rising, falling).clamp(min=0.0) * area[:, None]).float()


def mel_filters(rate: int, fft: int, bins: int, low_hz: float, high_hz: float) -> Tensor:
    """Triangular filters (bins, fft // 2 + 1) float32 on Slaney's mel scale, each with area 1."""
    return _filters(rate, fft, bins, low_hz, high_hz).clone()


def mel_centres() -> Tensor:
    """Frequency in Hz (80,) float64 in the middle of each band of `prompt_mel`, rising."""
    top = _hz_to_mel(PROMPT_TOP_HZ)
    return _mel_to_hz(torch.linspace(0.0, top, PROMPT_BINS + 2, dtype=torch.float64)[1:-1])


def prompt_mel(wave: Tensor) -> Tensor:
    """Natural-log magnitude mel of wave (N,) float32 at 24 kHz: (80, N // 480), 50 Hz.

    The floor before the logarithm is 1e-5. N must be above 720, for the reflection at both ends.
    """
    margin = (PROMPT_FFT - PROMPT_HOP) // 2
    if wave.shape[-1] <= margin:
        raise ValueError(
            f"wave has {wave.shape[-1]} samples; the 24 kHz mel needs more than {margin}. "
            "Use a longer clip."
        )
    padded = F.pad(wave[None], (margin, margin), mode="reflect")[0]
    window = torch.hann_window(PROMPT_FFT, dtype=wave.dtype, device=wave.device)
    spectrum = torch.stft(
        padded, PROMPT_FFT, PROMPT_HOP, window=window, center=False, return_complex=True
    )
    magnitude = (torch.view_as_real(spectrum).square().sum(-1) + 1e-9).sqrt()
    filters = _filters(PROMPT_RATE, PROMPT_FFT, PROMPT_BINS, 0.0, PROMPT_TOP_HZ).to(magnitude)
    return (filters @ magnitude).clamp(min=1e-5).log()


def semantic_log_mel(wave: Tensor) -> Tensor:
    """Whisper's log10 power mel of wave (N,) float32 at 16 kHz: (128, N // 160), 100 Hz.

    The wave is not padded to 30 s. The floor is 8 below the maximum of this piece, so cut long
    waves with semantic_pieces first. N must be above 200.
    """
    if wave.shape[-1] <= SEMANTIC_FFT // 2:
        raise ValueError(
            f"wave has {wave.shape[-1]} samples; the 16 kHz log-mel needs more than "
            f"{SEMANTIC_FFT // 2}. Use a longer clip."
        )
    window = torch.hann_window(SEMANTIC_FFT, dtype=wave.dtype, device=wave.device)
    spectrum = torch.stft(wave, SEMANTIC_FFT, SEMANTIC_HOP, window=window, return_complex=True)
    power = spectrum[..., :-1].abs().square()
    top_hz = SEMANTIC_RATE / 2
    filters = _filters(SEMANTIC_RATE, SEMANTIC_FFT, SEMANTIC_BINS, 0.0, top_hz).to(power)
    level = (filters @ power).clamp(min=1e-10).log10()
    return (torch.maximum(level, level.max() - 8.0) + 4.0) / 4.0


def semantic_pieces(wave: Tensor) -> tuple[Tensor, ...]:
    """Cut wave (N,) at 16 kHz into consecutive pieces of at most 30 s, without overlap (spec 4).

    A last piece of fewer than 480 samples (30 ms) is dropped, as in the release.
    """
    pieces = torch.split(wave, SEMANTIC_PIECE)
    return tuple(piece for piece in pieces if piece.shape[-1] >= SEMANTIC_SHORTEST)
