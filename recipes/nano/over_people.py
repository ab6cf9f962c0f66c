"""Figures with 95 % bootstrap intervals over people and their clips.

Source: the percentile bootstrap (Efron and Tibshirani 1993, chapter 13), people drawn first, then
the clips of each: clips of one person are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

DRAWS = 2000


def mean(values: np.ndarray) -> np.ndarray:
    """Mean (K,) of rows (N, K)."""
    found: np.ndarray = values.mean(0)
    return found


def rate(values: np.ndarray) -> np.ndarray:
    """Sum of the first column over that of the second, as (1,), of rows (N, 2)."""
    return np.array([values[:, 0].sum() / max(1.0, values[:, 1].sum())])


def over_people(
    values: np.ndarray,
    people: Sequence[str],
    figures: Callable[[np.ndarray], np.ndarray] = mean,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`figures` (K,) of rows (N, D), one a clip, with the low and high end of their intervals."""
    who = np.array(people)
    names = np.unique(who)
    places = [np.flatnonzero(who == name) for name in names]
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(DRAWS):
        chosen = [places[i] for i in rng.integers(0, len(places), len(places))]
        picked = np.concatenate([c[rng.integers(0, len(c), len(c))] for c in chosen])
        draws.append(figures(values[picked]))
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    return figures(values), low, high


def cell(
    values: Sequence[float] | np.ndarray,
    people: Sequence[str],
    figures: Callable[[np.ndarray], np.ndarray] = mean,
    *,
    factor: float = 1.0,
    digits: int = 0,
) -> str:
    """One figure times `factor` with its interval, for a table; "-" without values."""
    rows = np.asarray(values, np.float64)
    if not len(rows):
        return "-"
    rows = rows.reshape(len(rows), -1)
    middle, low, high = (factor * float(x[0]) for x in over_people(rows, people, figures))
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
