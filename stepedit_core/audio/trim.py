"""Levels and silence: what happens to a clip before it is tokenized.

Source: the release's prompt loading and tokenizer pre-processing (spec 2.1, 2.4). The decoder's
prompt is the untrimmed clip, the language model's has the codes of the trimmed one: their lengths
differ by design (spec 13, trap 8).
"""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor
from torch.nn import functional as F

PEAK_CAP = 0.6
NORMAL_PEAK = 0.999
QUIETEST_PEAK = 0.01
TOP_DB = 20.0
RMS_FRAME = 512
RMS_HOP = 128
TRIM_UNIT = 240
LEAD_IN = 800
"""Samples kept before the speech: 50 ms at 16 kHz."""
TAIL = 3_520
"""Samples kept after the speech: 220 ms at 16 kHz."""


def cap_peak(wave: Tensor) -> Tensor:
    """Scale wave (..., N) down to a peak of 0.6; a quieter wave is returned as it is."""
    peak = wave.abs().max()
    # compared as a tensor, so that 0.6 is rounded to the wave's own precision
    return wave / peak * PEAK_CAP if bool(peak > PEAK_CAP) else wave


def normalise_energy(wave: Tensor) -> Tensor:
    """Scale wave (..., N) to a peak of 0.999; a peak below 0.01 counts as 0.01."""
    return wave / max(float(wave.abs().max()), QUIETEST_PEAK) * NORMAL_PEAK


def speech_bounds(wave: Tensor) -> tuple[int, int]:
    """Where wave (N,) is within 20 dB of its loudest frame: the first sample and last + 1.

    Frames have 512 samples every 128, centred, with silence beyond the ends. (0, 0) where the
    wave has no such frame.
    """
    frames = F.pad(wave, (RMS_FRAME // 2, RMS_FRAME // 2)).unfold(0, RMS_FRAME, RMS_HOP)
    power = frames.double().square().mean(-1).clamp(min=1e-10)
    loud = torch.nonzero(10.0 * torch.log10(power / power.max()) > -TOP_DB)
    if loud.numel() == 0:
        return 0, 0
    first, last = int(loud[0]), int(loud[-1])
    return first * RMS_HOP, min(wave.shape[-1], (last + 1) * RMS_HOP)


def trim_silence(wave: Tensor, bounds: tuple[int, int] | None = None) -> tuple[Tensor, int]:
    """Cut wave (N,) at 16 kHz to its speech, 50 ms before it and 220 ms after it.

    `bounds` are the first sample of the speech and last + 1 where not those of `speech_bounds`.

    A missing lead-in or tail is filled with zeros. The length of the result is a multiple of 240
    samples: the speech rounded up to whole 15 ms, plus 4320. The second value is the sample of
    `wave` at which the result begins, negative where a lead-in was added.
    """
    first, last = bounds or speech_bounds(wave)
    start = first - LEAD_IN
    length = ceil((last - first) / TRIM_UNIT) * TRIM_UNIT + LEAD_IN + TAIL
    wave = wave[start:] if start > 0 else F.pad(wave, (-start, 0))
    return F.pad(wave[:length], (0, max(0, length - wave.shape[-1]))), start
