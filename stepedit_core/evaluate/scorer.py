"""What a margin score is worth: scores of held-out pairs against labels that are known.

Rank correlation is Spearman's, ties by their mean rank. Intervals are bootstrap intervals in which
whole speakers are drawn, for clips of one voice are not independent. The calibration is isotonic
regression (pool adjacent violators, Barlow et al. 1972) over bins of equal count, joined by lines:
it may bend the scale but never change an order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..data.shards import Dataset
from ..files.chart import Point, lines
from ..files.terminal import table
from ..measure.margin import can_score, score
from ..models.scorer import HIGHEST, LOWEST, Knots, calibrated
from ..printable import shown
from ..registry.handle import Bundle
from .intervals import edges

if TYPE_CHECKING:
    from PIL.Image import Image

BINS = 10
DRAWS = 500
"""Of the bootstrap: a rank correlation has to sort each time."""
FOLDS = 2
LEAST_SPEAKERS = 3
"""Speakers below which a bootstrap over speakers says nothing."""


@dataclass(frozen=True, kw_only=True)
class ScoredPair:
    """One held-out pair."""

    label: str
    """Class: kind and option of the edit."""
    speaker: str
    wanted: float
    """Known margin, 1 to 10."""
    found: float
    """The scorer's."""


def judge_scorer(bundle: Bundle, data: Dataset, *, split: str = "dev") -> list[ScoredPair]:
    """Scores of every labelled pair of a split that the bundle's scorer knows.

    Raises ValueError where there is none.
    """
    judged = []
    for index, line in enumerate(data.lines):
        if line["split"] != split or line["margin"] is None or line["kind"] == "pair":
            continue
        example = data[index]
        if can_score(bundle, example.request):
            found = score(bundle, example.source, example.target, example.request)
            wanted = LOWEST + (HIGHEST - LOWEST) * (float(line["margin"]) - 1) / (line["scale"] - 1)
            about = {"label": example.label, "speaker": example.speaker}
            judged.append(ScoredPair(wanted=wanted, found=found, **about))
    if not judged:
        raise ValueError(
            f"'{shown(data.folder.name)}' has no labelled pair of the split {shown(split)} that "
            f"the scorer of bundle '{shown(bundle.name)}' knows (0 of {len(data)}). Name other "
            "data or another bundle."
        )
    return judged


def ranks(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Ranks (N,) from 0; equal values share the mean of their ranks."""
    _, place, count = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    means: np.ndarray = np.cumsum(count) - (count + 1) / 2
    return means[place]


def rank_correlation(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Spearman's rho of two columns (N,); nan where one of them has a single value."""
    x, y = (r - r.mean() for r in (ranks(a), ranks(b)))
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm else float("nan")


class Figures(NamedTuple):
    """What is said of one class, or of all."""

    pairs: int
    speakers: int
    rank: float
    low: float
    high: float
    """95 % of the draws of the rank correlation lie between; nan for few speakers."""
    error: float
    """Mean absolute error in points."""


def figures_of(judged: Sequence[ScoredPair], *, seed: int = 0, draws: int = DRAWS) -> Figures:
    """Rank correlation with its interval over speakers, and mean absolute error."""
    wanted, found = (np.array([getattr(j, n) for j in judged]) for n in ("wanted", "found"))
    of_speaker: dict[str, list[int]] = defaultdict(list)
    for index, one in enumerate(judged):
        of_speaker[one.speaker].append(index)
    clusters = [np.array(rows) for _, rows in sorted(of_speaker.items())]
    low = high = float("nan")
    if len(clusters) >= LEAST_SPEAKERS:
        rng = np.random.default_rng(seed)
        drawn = []
        for _ in range(draws):
            rows = np.concatenate(
                [clusters[k] for k in rng.integers(len(clusters), size=len(clusters))]
            )
            drawn.append(rank_correlation(wanted[rows], found[rows]))
        real = [v for v in drawn if not np.isnan(v)]
        if real:
            low, high = edges(real)
    error = float(np.abs(wanted - found).mean())
    rank = rank_correlation(wanted, found)
    return Figures(len(judged), len(clusters), rank, low, high, error)


class Bin(NamedTuple):
    """Pairs of neighbouring scores."""

    pairs: int
    found: float
    """Mean score."""
    wanted: float
    """Mean label."""
    low: float
    high: float
    """Two standard errors of the mean label to either side."""


def reliability(judged: Sequence[ScoredPair], bins: int = BINS) -> list[Bin]:
    """Bins of about equal count in order of the score; equal scores stay in one bin."""
    order = sorted(judged, key=lambda j: j.found)
    found: list[Bin] = []
    at = 0
    for k in range(bins):
        end = max(at, round((k + 1) * len(order) / bins))
        while 0 < end < len(order) and order[end].found == order[end - 1].found:
            end += 1
        part, at = order[at:end], end
        if part:
            wanted = np.array([j.wanted for j in part])
            mean = float(wanted.mean())
            spread = 2 * float(wanted.std()) / len(part) ** 0.5
            score_ = float(np.mean([j.found for j in part]))
            found.append(Bin(len(part), score_, mean, mean - spread, mean + spread))
    return found


def calibration_of(judged: Sequence[ScoredPair], bins: int = BINS) -> Knots:
    """Knots (score, calibrated score) of a rising line: isotonic regression over the bins."""
    blocks: list[tuple[float, float, int]] = []
    for one in reliability(judged, bins):
        blocks.append((one.found, one.wanted, one.pairs))
        while len(blocks) > 1 and blocks[-2][1] >= blocks[-1][1]:
            (x, y, n), (u, v, m) = blocks[-2:]
            blocks[-2:] = [((x * n + u * m) / (n + m), (y * n + v * m) / (n + m), n + m)]
    inner = [(x, y) for x, y, _ in blocks]
    # before the first and after the last block the line runs on as it was, inside 1 to 10
    first, last = (_slope(inner[:2]), _slope(inner[-2:]))
    (x, y), (u, v) = inner[0], inner[-1]
    start = (LOWEST, max(LOWEST, y - first * (x - LOWEST)))
    end = (HIGHEST, min(HIGHEST, v + last * (HIGHEST - u)))
    whole = [start, *(k for k in inner if LOWEST < k[0] < HIGHEST), end]
    return tuple((round(x, 4), round(y, 4)) for x, y in whole)


def _slope(knots: Sequence[tuple[float, float]]) -> float:
    """Rise per point between two knots; 1 where there is one."""
    if len(knots) < 2:
        return 1.0
    (x, y), (u, v) = knots
    return (v - y) / (u - x)


def cross_fitted(judged: Sequence[ScoredPair], bins: int = BINS) -> list[ScoredPair]:
    """The pairs with calibrated scores, each by a map that has not seen its speaker."""
    names = sorted({j.speaker for j in judged})
    fold = {name: k % FOLDS for k, name in enumerate(names)}
    speakers = len({j.speaker for j in judged})
    if speakers < FOLDS:
        raise ValueError(
            f"the labelled pairs are of {speakers} speakers; a calibration needs {FOLDS} or more. "
            "Give pairs of further speakers."
        )
    maps = [calibration_of([j for j in judged if fold[j.speaker] != k], bins) for k in range(FOLDS)]
    return [replace(j, found=calibrated(j.found, maps[fold[j.speaker]])) for j in judged]


HEAD = ("class", "pairs", "speakers", "rank", "low", "high", "error")


def class_table(judged: Sequence[ScoredPair]) -> str:
    """Figures of every class, of every kind of edit, then of all."""
    groups: dict[str, list[ScoredPair]] = defaultdict(list)
    kinds: dict[str, list[ScoredPair]] = defaultdict(list)
    for one in judged:
        groups[one.label].append(one)
        kinds[f"all {one.label.split()[0]}"].append(one)
    rows = [*sorted(groups.items()), *sorted(kinds.items()), ("all", list(judged))]
    return table(HEAD, [_cells(name, figures_of(group)) for name, group in rows])


def summary_table(sets: Mapping[str, Sequence[ScoredPair]]) -> str:
    """Figures of whole sets, a row each."""
    return table(HEAD, [_cells(name, figures_of(judged)) for name, judged in sets.items()])


def _cells(name: str, found: Figures) -> tuple[str, ...]:
    shown = ("-" if np.isnan(v) else f"{v:.2f}" for v in found[2:])
    return (name, str(found.pairs), str(found.speakers), *shown)


def reliability_table(bins: Sequence[Bin]) -> str:
    """Mean score and mean label of every bin."""
    cells = [(str(b.pairs), *(f"{v:.2f}" for v in b[1:])) for b in bins]
    return table(("pairs", "score", "label", "low", "high"), cells)


def reliability_chart(series: Mapping[str, Sequence[Bin]]) -> Image:
    """Mean label against mean score; the line of equal values beside it."""
    drawn: dict[str, list[Point]] = {
        name: [(b.found, b.wanted, b.low, b.high) for b in bins] for name, bins in series.items()
    }
    drawn["exact"] = [(v, v, v, v) for v in (LOWEST, HIGHEST)]
    return lines(drawn, "margin scorer", x_name="score", y_name="mean label")
