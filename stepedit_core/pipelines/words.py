"""How well an answer keeps the words of its source, heard from the linguistic codes alone.

Linguistic codes stand for phones and hardly change with pitch, level or voice. Dynamic time warping
(Sakoe and Chiba 1978, symmetric steps) lays the two code sequences over each other: lost, added or
wrong words cost, another speed does not. No transcript and no recogniser is needed.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from ..types import DualCodes

SAME_WORDS = ("emotion", "style", "speed", "denoise", "trim_silence")
"""Kinds of edit whose answer says what the source says, no more and no less."""


def word_distance(codebook: Tensor, source: DualCodes, answer: DualCodes) -> float:
    """Mean distance 0..2 of the aligned codes; 0 for the same sequence, at any speed.

    codebook (codes, D) of the linguistic tokenizer; two codes are 1 - cosine apart after the mean
    vector is taken away.
    """
    vectors = codebook.detach().float().cpu()
    vectors = F.normalize(vectors - vectors.mean(0), dim=1)
    cost = 1 - vectors[source.linguistic.cpu()] @ vectors[answer.linguistic.cpu()].T
    rows, columns = cost.shape
    steps = cost.double().numpy()
    # one anti-diagonal after the other: its cells need only the two before it
    last = np.full(rows + 1, np.inf)
    last[0] = 0.0
    before = np.full(rows + 1, np.inf)
    for diagonal in range(2, rows + columns + 1):
        i = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        here = steps[i - 1, diagonal - i - 1]
        best = np.minimum(np.minimum(before[i - 1], before[i]), last[i - 1] + here)
        last, before = before, np.full(rows + 1, np.inf)
        before[i] = here + best
    return float(before[rows]) / (rows + columns)
