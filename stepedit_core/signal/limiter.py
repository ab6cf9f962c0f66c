"""Single peaks that would be cut at full scale are turned down instead."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

FULL = 0.99
"""Highest peak, unless the recording itself has a higher one."""
REACH_SECONDS = 0.005
"""Time within which the gain moves."""


def limited(rows: Tensor, rate: int, own: float) -> Tensor:
    """Rows (C, N) at `rate` Hz whose peaks are at most 0.99, or `own`, the recording's highest."""
    most = max(FULL, own)
    peaks = rows.abs().amax(dim=0)
    if not bool((peaks > most).any()):
        return rows
    less = (1 - most / peaks.clamp(min=most))[None, None]
    side = max(1, round(REACH_SECONDS * rate) // 2)
    less = F.max_pool1d(less, 4 * side + 1, 1, 2 * side)
    for _ in range(2):
        less = F.avg_pool1d(less, 2 * side + 1, 1, side, count_include_pad=False)
    return (rows * (1 - less[0])).clamp(-most, most)
