"""Micro-batches: every row once, and the same answers as in one piece."""

from __future__ import annotations

import torch

from stepedit_core.train.batches import in_parts, micro_batches, pack
from stepedit_core.train.policy import Policy

from .answers import ROWS
from .toys import VOCABULARY, toy_lm


def test_micro_batches_hold_every_row_once_and_not_too_many_ids():
    lengths = [7, 3, 50, 3, 12, 9, 4, 6]
    parts = list(micro_batches(lengths, 20))
    assert sorted(i for part in parts for i in part) == list(range(8))
    assert all(len(p) == 1 or max(lengths[i] for i in p) * len(p) <= 20 for p in parts)
    assert [2] in parts


@torch.no_grad()
def test_asking_in_parts_says_what_asking_at_once_says():
    policy = Policy(toy_lm(), VOCABULARY)
    whole = policy(pack(ROWS, VOCABULARY.end_id)).log_probs
    parts = in_parts(ROWS, VOCABULARY.end_id, 12, None, lambda b: policy(b).log_probs)
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=0)
