"""Means with bootstrap intervals over clips.

Source: the percentile bootstrap (Efron and Tibshirani 1993, chapter 13). A clip's figures are drawn
together with nothing else, so clips of one text or speaker count as independent, which makes the
intervals somewhat too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

DRAWS = 2000
LEVEL = 0.95


class Interval(NamedTuple):
    """A mean and where 95 % of its bootstrap draws lie."""

    mean: float
    low: float
    high: float
    clips: int

    def __str__(self) -> str:
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def interval(values: Sequence[float], *, seed: int = 0, draws: int = DRAWS) -> Interval:
    """Mean and interval of one figure a clip."""
    return class_interval({"": values}, seed=seed, draws=draws)


def class_interval(
    classes: Mapping[str, Sequence[float]], *, seed: int = 0, draws: int = DRAWS
) -> Interval:
    """Mean over classes of the mean over each class's clips, as the benchmark counts accuracy.

    Clips are drawn within their class. Raises ValueError where there is nothing to count.
    """
    filled = [np.asarray(v, dtype=np.float64) for _, v in sorted(classes.items()) if len(v)]
    if not filled:
        raise ValueError("there are no figures to average (0 clips). Judge one clip or more.")
    rng = np.random.default_rng(seed)
    means = np.zeros(draws)
    for values in filled:
        picked = rng.integers(len(values), size=(draws, len(values)))
        means += values[picked].mean(axis=1) / len(filled)
    low, high = edges(means)
    mean = sum(float(values.mean()) for values in filled) / len(filled)
    return Interval(mean, low, high, sum(map(len, filled)))


def edges(draws: np.ndarray | Sequence[float]) -> tuple[float, float]:
    """Between which LEVEL of the draws (N,) lie."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
