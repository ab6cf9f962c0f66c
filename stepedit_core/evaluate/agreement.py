"""How alike two language models of one vocabulary answer: the price of a coarser precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.llm import Step1LM

ROWS = 64
"""Positions whose logits are held at a time: 19 MB each for the released vocabulary."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Means over all positions of all prompts."""

    kl: float
    """Kullback-Leibler divergence of the other model's next id from the reference's, in nats."""
    top1: float
    """Share of positions, 0 to 1, where both find the same id most likely."""
    positions: int


@torch.no_grad()
def agreement(
    reference: Step1LM, other: Step1LM, prompts: Sequence[Sequence[int]], *, skip: int = 0
) -> Agreement:
    """Compare the next-id distributions over the whole vocabulary, in float32.

    skip is the number of leading positions of each prompt that do not count, for example the
    instruction. ValueError when nothing is left to compare.
    """
    kl, same, count = 0.0, 0, 0
    for prompt in prompts:
        hidden = [_hidden(model, prompt)[skip:] for model in (reference, other)]
        for first in range(0, hidden[0].shape[0], ROWS):
            p, q = (
                torch.log_softmax(model.logits(rows[first : first + ROWS]).float().cpu(), dim=-1)
                for model, rows in zip((reference, other), hidden, strict=True)
            )
            kl += float((p.exp() * (p - q)).double().sum())
            same += int((p.argmax(-1) == q.argmax(-1)).sum())
            count += p.shape[0]
    if not count:
        raise ValueError("there are no positions to compare; 1 or more are needed. Skip fewer.")
    return Agreement(kl=max(kl / count, 0.0), top1=same / count, positions=count)


def _hidden(model: Step1LM, prompt: Sequence[int]) -> Tensor:
    """Final hidden states (L, D)."""
    ids = torch.tensor([list(prompt)], device=model.lm_head.weight.device)
    rows: Tensor = model(ids)[0]
    return rows
