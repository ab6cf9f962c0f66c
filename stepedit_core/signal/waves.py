"""The one check of a wave that this folder shares."""

from __future__ import annotations

import torch
from torch import Tensor

LOWEST_HZ, HIGHEST_HZ = 8_000, 192_000


def channels_of(wave: Tensor, rate: int) -> Tensor:
    """Wave (N,) or (C, N) as checked (C, N) float32 on the CPU.

    Raises ValueError for another shape, a rate out of range, no sample, or one that is not finite.
    """
    if wave.ndim not in (1, 2):
        raise ValueError(
            f"audio has {wave.ndim} dimensions; allowed are one (samples) or two (channels, "
            "samples). Pass one recording at a time."
        )
    if not LOWEST_HZ <= rate <= HIGHEST_HZ:
        raise ValueError(
            f"clip has {rate} Hz; allowed are {LOWEST_HZ} to {HIGHEST_HZ} Hz. Resample it, for "
            "example to 24000 Hz."
        )
    if not wave.numel():
        raise ValueError("the clip has 0 samples; one or more are needed. Choose another clip.")
    rows = wave.detach().to("cpu", torch.float32).reshape(-1, wave.shape[-1])
    bad = int((~torch.isfinite(rows)).sum())
    if bad:
        raise ValueError(
            f"clip has {bad} samples that are NaN or infinite; samples must be finite numbers. "
            "Export the recording again."
        )
    return rows
