"""How well an answer keeps the words of its source, heard from the linguistic codes alone.

Linguistic codes stand for phones and hardly change with pitch, level or voice. Laid over each other
(`alignment.py`), lost, added or wrong words cost, another speed does not. No transcript and no
recogniser is needed.
"""

from __future__ import annotations

from torch import Tensor

from ..types import DualCodes
from .alignment import unit_rows, warp

SAME_WORDS = ("emotion", "style", "speed", "denoise", "trim_silence")
"""Kinds of edit whose answer says what the source says, no more and no less."""


def word_distance(codebook: Tensor, source: DualCodes, answer: DualCodes) -> float:
    """Mean distance 0..2 of the aligned codes; 0 for the same sequence, at any speed.

    codebook (codes, D) of the linguistic tokenizer; two codes are 1 - cosine apart after the mean
    vector is taken away.
    """
    vectors = unit_rows(codebook)
    cost = 1 - vectors[source.linguistic.cpu()] @ vectors[answer.linguistic.cpu()].T
    return warp(cost.double().numpy())[0]
