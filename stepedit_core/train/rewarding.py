"""Prompts, rollouts and rewards of one step: what PPO and GRPO have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.records import Example
from ..models.llm import Step1LM
from ..pipelines.limits import longest_answer
from ..registry.handle import Bundle
from .answers import Critic, Policy
from .config import ModelConfig
from .items import load_reward, rows_of
from .reference import Reference
from .rewards import Attempt, Term, compose, legality, length_kept, model_reward, words_kept
from .rollout import Rollout, draw_answers, score_rollout, trajectory
from .runtime import Team, place

KINDS = ("triplet", "quadruplet", "sample")
"""Examples that prompts are taken from; a sample's answer is no reference."""


@dataclass(frozen=True, kw_only=True)
class RewardWeights:
    """Weights of the rewards that add up; the report's is the reward model alone.

    The shipped configs add `words`, which needs nothing but the bundle's own codebook.
    """

    model: float = 1.0
    """The reward model."""
    words: float = 0.0
    """Words kept by the linguistic codes, -1..1."""
    length: float = 0.0
    """Length kept, 0..1."""
    legality: float = 0.0
    """Ended by itself behind whole groups, 0 or 1."""


@dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """How answers are drawn."""

    temperature: float = 1.0
    """Of the draws and of all log-probabilities."""
    max_ids: int = 1024
    """Most ids of an answer, but never more than the product allows for its source."""


Total = Callable[[Sequence[Attempt]], tuple[Tensor, dict[str, Tensor]]]


def frozen_judge(run: str, bundle: Bundle, model: ModelConfig, team: Team) -> Critic:
    """The reward model of a run of `train reward`, for asking only."""
    judge = Critic(load_reward(run, bundle)).requires_grad_(False)
    return place(judge, team, precision=model.precision)


def reward_of(
    weights: RewardWeights, bundle: Bundle, critic: Critic | None, model: ModelConfig, team: Team
) -> Total:
    """The weighted sum of all rewards; `critic` holds the reward model, None where it has none."""
    terms: dict[str, Term] = {"length": length_kept, "legality": legality}
    if weights.words:
        terms["words"] = words_kept(bundle.vocabulary, bundle.linguistic.codebook)
    if critic is not None:
        end = bundle.vocabulary.end_id
        terms["model"] = model_reward(critic, end, model.micro_ids, team.device)
    shares = {"model": weights.model, "words": weights.words}
    shares |= {"length": weights.length, "legality": weights.legality}
    return compose(terms, shares)


class Tried(NamedTuple):
    """This process's answers of a step, with their rewards."""

    rollout: Rollout
    scores: Tensor
    """(B,) float32."""
    parts: dict[str, Tensor]
    """Name of a reward -> (B,)."""


def mean_rewards(tried: Tried, count: int, team: Team) -> dict[str, float]:
    """Means of the score and of each reward over the `count` answers of all processes."""
    values = {"score": tried.scores, **tried.parts}
    sums = team.total(torch.stack([v.double().sum() for v in values.values()]))
    return {name: float(v) / count for name, v in zip(values, sums, strict=True)}


def try_prompts(
    policy: Policy,
    reference: Reference,
    total: Total,
    bundle: Bundle,
    prompts: Sequence[tuple[int, Example]],
    *,
    config: RolloutConfig,
    micro_ids: int,
    team: Team,
    seed: int,
    step: int,
) -> Tried:
    """Draw an answer to each prompt, score it, ask policy and reference about its ids.

    Each prompt comes with its number in the step's whole batch, which seeds its draws. All weights
    must be whole here (runtime.gathered).
    """
    attempts = attempts_at(policy.lm, bundle, prompts, config=config, seed=seed, step=step)
    made = score_rollout(
        policy,
        reference,
        [attempt.row[0] for attempt in attempts],
        [attempt.answer for attempt in attempts],
        temperature=config.temperature,
        micro_ids=micro_ids,
        device=team.device,
    )
    return Tried(made, *total(attempts))


def attempts_at(
    lm: Step1LM,
    bundle: Bundle,
    prompts: Sequence[tuple[int, Example]],
    *,
    config: RolloutConfig,
    seed: int,
    step: int,
) -> list[Attempt]:
    """An answer to each prompt, drawn together; its number seeds its draws."""
    vocabulary = bundle.vocabulary
    asked = [rows_of(bundle, example)[0][0] for _, example in prompts]
    answers = draw_answers(
        lm,
        asked,
        [number for number, _ in prompts],
        vocabulary=vocabulary,
        temperature=config.temperature,
        limits=[min(config.max_ids, product_limit(example)) for _, example in prompts],
        seed=seed,
        step=step,
    )
    return [
        Attempt(
            request=example.request,
            source=example.source,
            row=trajectory(prompt, answer, vocabulary.end_id),
            answer=answer,
            reference=None if example.kind == "sample" else example.target,
        )
        for (_, example), prompt, answer in zip(prompts, asked, answers, strict=True)
    ]


def product_limit(example: Example) -> int:
    """Most ids the product would draw for this prompt."""
    return longest_answer(example.request, example.source)
