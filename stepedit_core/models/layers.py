"""Small pieces that several networks share: length masks and the sinusoid position table."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """True where position < length: lengths (B,) int64 to (B, size) bool."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def sinusoids(positions: Tensor, depth: int) -> Tensor:
    """Vectors of positions (T,): (T, depth) float32, sines in the first half, then cosines.

    Inverse time scales run geometrically from 1 to 1/10000, both ends included (tensor2tensor's
    form, which Whisper and Paraformer share).
    """
    half = depth // 2
    step = torch.tensor(log(10_000.0), dtype=torch.float32, device=positions.device) / (half - 1)
    rates = torch.exp(-step * torch.arange(half, dtype=torch.float32, device=positions.device))
    angles = positions.to(torch.float32)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
