"""Answers by hand, and their log-probabilities written out."""

from __future__ import annotations

import math

import torch

from stepedit_core.models.llm import Step1LM
from stepedit_core.models.reward import RewardModel
from stepedit_core.types import DualCodes

from .toys import toy_answer, toy_lm

ROWS = [([5, 6, 7], toy_answer(2, 1)), ([8], toy_answer(1, 2)), ([5, 9, 4, 4, 8], toy_answer(3, 3))]


@torch.no_grad()
def naive_log_probs(lm: Step1LM, prompt: list[int], answer: list[int]) -> list[float]:
    """log softmax over the ids that sampling could have drawn, place by place."""
    hidden = lm(torch.tensor([[*prompt, *answer]]))[0].double()
    head = lm.lm_head.weight.double()
    found = []
    for t, goal in enumerate(answer):
        scores = head @ hidden[len(prompt) - 1 + t]
        first = 10 if t % 5 < 2 else 10 + 1024
        legal = [3, *range(first, first + (1024 if t % 5 < 2 else 4096))]
        exps = torch.exp(scores[legal])
        found.append(math.log(float(torch.exp(scores[goal]) / exps.sum())))
    return found


def toy_reward(seed: int = 3) -> RewardModel:
    model = RewardModel.from_language_model(toy_lm())
    with torch.no_grad():
        model.head.weight.normal_(generator=torch.Generator().manual_seed(seed))
        model.head.bias.fill_(0.5)
    return model


def line(*codes: int) -> DualCodes:
    """Codes whose linguistic line is given; two a group."""
    return DualCodes(
        linguistic=torch.tensor(codes),
        semantic=torch.zeros(len(codes) // 2 * 3, dtype=torch.int64),
        codebook="toy",
    )
