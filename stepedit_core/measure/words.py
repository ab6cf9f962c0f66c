"""How well an answer keeps the words of its source, heard from the linguistic codes alone.

Linguistic codes stand for phones and hardly change with pitch, level or voice. Laid over each other
(`alignment.py`), lost, added or wrong words cost, another speed does not. No transcript and no
recogniser is needed.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ..registry.handle import Bundle
from ..types import DualCodes
from .alignment import unit_rows, warp

SAME_WORDS = ("emotion", "style", "speed", "denoise", "trim_silence")
"""Kinds of edit whose answer says what the source says, no more and no less."""


def word_distance(codebook: Tensor, source: DualCodes, answer: DualCodes) -> float:
    """Mean distance 0..2 of the aligned codes; 0 for the same sequence, at any speed.

    codebook (codes, D) of the linguistic tokenizer; two codes are 1 - cosine apart after the mean
    vector is taken away.
    """
    return _between(unit_rows(codebook), source, answer)


class WordDistances:
    """Word distances between the codes of one run, each computed once."""

    def __init__(self) -> None:
        # the codes are kept beside their distance, so that an id is not given to another object
        self._known: dict[tuple[int, int], tuple[DualCodes, DualCodes, float]] = {}

    def between(self, bundle: Bundle, source: DualCodes, answer: DualCodes) -> float:
        """As word_distance, with the bundle's linguistic codebook."""
        key = id(source), id(answer)
        if key not in self._known:
            rows = bundle.once("linguistic rows", lambda: unit_rows(bundle.linguistic.codebook))
            self._known[key] = source, answer, _between(rows, source, answer)
        return self._known[key][2]


def lost_words(bundle: Bundle, source: DualCodes, answer: DualCodes) -> float:
    """Mean distance 0..2 of each code of the source to its nearest on the aligned answer.

    What the answer has beside it, a laugh, costs nothing; nor does a clause that is said twice.
    """
    rows = bundle.once("linguistic rows", lambda: unit_rows(bundle.linguistic.codebook))
    cost = (1 - rows[source.linguistic.cpu()] @ rows[answer.linguistic.cpu()].T).double().numpy()
    cells = warp(cost)[1]
    nearest = np.full(len(cost), np.inf)
    np.minimum.at(nearest, cells[:, 0], cost[cells[:, 0], cells[:, 1]])
    return float(nearest.mean())


def _between(rows: Tensor, source: DualCodes, answer: DualCodes) -> float:
    cost = 1 - rows[source.linguistic.cpu()] @ rows[answer.linguistic.cpu()].T
    return warp(cost.double().numpy())[0]
