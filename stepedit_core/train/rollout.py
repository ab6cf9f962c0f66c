"""Prompts to trajectories: slot-legal answers of the policy, with log-probabilities of every id.

Answers are drawn by pipelines/sampling at the temperature the log-probabilities are taken at, with
no filters, so the two agree: the ids come from the very distribution that is scored. Letters: B
prompts, A ids of the longest answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.llm import Step1LM
from ..pipelines.sampling import Answer, sample_answers
from ..types import Sampling, stage_generator
from ..vocab import GROUP, Vocabulary
from .answers import Policy, Row, in_parts

STAGE = "rollout"


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """B answers and what policy and reference said of their ids when they were drawn."""

    rows: list[Row]
    """Prompt and answer of each; the answer holds its end id where it ended."""
    answers: list[Answer]
    mask: Tensor
    """(B, A) bool: True on the ids of the answers, the end id included."""
    log_probs: Tensor
    """(B, A) float32 under the policy that drew them."""
    ref_log_probs: Tensor
    """(B, A) float32 under the reference."""


def answer_mask(rows: Sequence[Row]) -> Tensor:
    """(B, A) bool: True on the ids of each row's answer."""
    lengths = torch.tensor([len(answer) for _, answer in rows])
    return torch.arange(int(lengths.max())) < lengths[:, None]


def draw_answers(
    lm: Step1LM,
    prompts: Sequence[Sequence[int]],
    numbers: Sequence[int],
    *,
    vocabulary: Vocabulary,
    temperature: float,
    limits: Sequence[int],
    seed: int,
    step: int,
) -> list[Answer]:
    """One answer a prompt; the draws of a prompt depend on seed, step and its number alone.

    numbers (B,) tell equal prompts apart and stay the same however processes share the prompts;
    limits (B,) are the most ids of each answer, whole groups count.
    """
    drawn = sample_answers(
        lm,
        prompts,
        vocabulary=vocabulary,
        sampling=Sampling(temperature=temperature),
        generators=[stage_generator(seed, f"{STAGE}/{n}", step) for n in numbers],
        max_ids=max(limits),
    )
    # all are drawn together up to the largest limit; what an answer has beyond its own is cut off
    whole = [limit - limit % GROUP for limit in limits]
    return [
        Answer(a.ids[:most], a.ended and len(a.ids) < most)
        for a, most in zip(drawn, whole, strict=True)
    ]


def trajectory(prompt: Sequence[int], answer: Answer, end_id: int) -> Row:
    """Prompt and every id that was drawn."""
    return prompt, [*answer.ids, *([end_id] if answer.ended else [])]


def score_rollout(
    policy: Policy,
    reference: Callable[[Callable[[Policy], Tensor]], Tensor],
    prompts: Sequence[Sequence[int]],
    answers: list[Answer],
    *,
    temperature: float,
    micro_ids: int,
    device: torch.device | None = None,
) -> Rollout:
    """The answers with their log-probabilities under policy and reference.

    `reference` is given a question about a policy and answers it for the reference.
    """
    end = policy.vocabulary.end_id
    rows = [trajectory(p, a, end) for p, a in zip(prompts, answers, strict=True)]

    def log_probs(model: Policy) -> Tensor:
        return in_parts(rows, end, micro_ids, device, lambda b: model(b, temperature).log_probs)

    return Rollout(
        rows=rows,
        answers=answers,
        mask=answer_mask(rows),
        log_probs=log_probs(policy),
        ref_log_probs=reference(log_probs),
    )
