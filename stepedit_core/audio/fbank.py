"""Kaldi's log-mel filter bank at 16 kHz, frame stacking, and the two sets of features from them.

Source: Kaldi feat/feature-fbank with the defaults of the release (spec 2.3, 2.6): 25 ms frames
every 10 ms, snip_edges, DC removed per frame, pre-emphasis 0.97, FFT 512, 80 bins, 20 Hz-8 kHz.
Dither is always 0: the release's 1.0 makes its codes differ from run to run.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

RATE = 16_000
FRAME = 400
HOP = 160
FFT = 512
BINS = 80
LOW_HZ = 20.0
HIGH_HZ = RATE / 2
PRE_EMPHASIS = 0.97
INT16_SCALE = 32_768.0
CHUNK_SAMPLES = 3_840
"""240 ms: the steps in which the released linguistic tokenizer reads a wave (spec 3)."""
CHUNK_TOKENS = 4


def _mel(hz: Tensor | float) -> Tensor:
    return 1127.0 * torch.log1p(torch.as_tensor(hz, dtype=torch.float64) / 700.0)


@lru_cache(maxsize=1)
def _filters() -> Tensor:
    edges = torch.linspace(float(_mel(LOW_HZ)), float(_mel(HIGH_HZ)), BINS + 2, dtype=torch.float64)
    # the highest FFT bin, 8 kHz, has no weight in Kaldi
    mel = _mel(torch.arange(FFT // 2, dtype=torch.float64) * RATE / FFT)
    rising = (mel - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - mel) / (edges[2:] - edges[1:-1])[:, None]
    return F.pad(torch.minimum(rising, falling).clamp(min=0.0), (0, 1)).float()


@lru_cache(maxsize=2)
def _window(name: Literal["povey", "hamming"]) -> Tensor:
    if name == "povey":
        return torch.hann_window(FRAME, periodic=False, dtype=torch.float64).pow(0.85).float()
    return torch.hamming_window(FRAME, periodic=False, dtype=torch.float64).float()


def kaldi_fbank(
    wave: Tensor, *, window: Literal["povey", "hamming"] = "povey", scale: float = 1.0
) -> Tensor:
    """Log-mel energies of wave (..., N) float32 at 16 kHz, times scale: (..., T, 80), 100 Hz.

    T = 1 + (N - 400) // 160, or 0 below 400 samples. The floor before the logarithm is float32's
    epsilon; Kaldi's energy floor does not touch the bins.
    """
    if wave.shape[-1] < FRAME:
        return wave.new_zeros(*wave.shape[:-1], 0, BINS)
    frames = (wave * scale).unfold(-1, FRAME, HOP)  # (..., T, 400)
    frames = frames - frames.mean(-1, keepdim=True)
    previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
    frames = (frames - PRE_EMPHASIS * previous) * _window(window).to(frames)
    power = torch.fft.rfft(frames, n=FFT).abs().square()
    energy: Tensor = power @ _filters().to(power).T
    return energy.clamp(min=torch.finfo(torch.float32).eps).log()


def stack_frames(fbank: Tensor, *, m: int = 7, n: int = 6) -> Tensor:
    """Low frame rate: join m neighbouring frames of fbank (T, C) every n frames: (ceil(T/n), m*C).

    Row i joins the frames n*i - (m-1)//2 to n*i + m//2 of the whole file; where one is missing, the
    first or the last frame is repeated (spec 2.6, final piece).
    """
    frames = fbank.shape[0]
    if frames == 0:
        return fbank.new_zeros(0, m * fbank.shape[1])
    start = torch.arange(0, frames, n, device=fbank.device) - (m - 1) // 2
    index = (start[:, None] + torch.arange(m, device=fbank.device)).clamp(0, frames - 1)
    return fbank[index].flatten(1)


def linguistic_length(samples: int) -> int:
    """How many linguistic frames the released streaming loop makes from `samples` at 16 kHz.

    A whole piece of 240 ms gives 4 frames. A rest under 880 samples (55 ms) is lost, because it
    does not fill seven frames; a longer rest, less what the frame window needs, gives one frame
    for every 60 ms that it begins (spec 3).
    """
    whole, rest = divmod(samples, CHUNK_SAMPLES)
    extra = -(-((rest - 80) // HOP - 1) // 6) if rest >= 880 else 0
    return CHUNK_TOKENS * whole + extra


def linguistic_features(wave: Tensor) -> Tensor:
    """Stacked Kaldi frames of wave (N,) in -1..1 at 16 kHz, before CMVN: (T, 560) at 16.67 Hz.

    T is linguistic_length(N). Window Hamming, 16-bit scale, dither 0 (spec 2.6).
    """
    stacked = stack_frames(kaldi_fbank(wave, window="hamming", scale=INT16_SCALE))
    return stacked[: linguistic_length(wave.shape[-1])]


def speaker_features(wave: Tensor) -> Tensor:
    """Kaldi frames of wave (N,) in -1..1 at 16 kHz minus their mean over time: (T, 80), 100 Hz."""
    fbank = kaldi_fbank(wave)
    return fbank - fbank.mean(dim=0, keepdim=True)
