"""Stretches of time that are flagged: voices, pauses, places that are known."""

from __future__ import annotations

import numpy as np


def stretches(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and one-past-last index of every run of True in flags (N,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
