"""Attempts: answers that the policy draws to a step's prompts, scored; for PPO, GRPO and compare.

Answers are drawn by pipelines/sampling at the temperature the log-probabilities are taken at, with
no filters, so the two agree: the ids come from the very distribution that is scored. Letters: B
prompts, A ids of the longest answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ..data.records import Example
from ..files.strict import Bounds
from ..models.llm import Step1LM
from ..pipelines.limits import longest_answer
from ..pipelines.sampling import Answer, sample_answers
from ..registry.handle import Bundle
from ..types import DualCodes, EditRequest, Sampling, stage_generator
from ..vocab import GROUP, Vocabulary
from .batches import Row, in_parts
from .items import rows_of
from .policy import Policy
from .reference import Reference
from .team import Team

KINDS = ("triplet", "quadruplet", "sample")
"""Examples that prompts are taken from; a sample's answer is not a reference."""


STAGE = "rollout"


@dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """How answers are drawn."""

    BOUNDS: ClassVar[Bounds] = {
        "temperature": (1e-3, 100),
        "max_ids": (5, 10**5),
    }

    temperature: float = 1.0
    """Of the draws and of all log-probabilities."""
    max_ids: int = 1024
    """Most ids of an answer, but never more than the product allows for its source."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One answer to one prompt."""

    request: EditRequest
    source: DualCodes
    row: Row
    """Prompt ids and answer ids."""
    answer: Answer
    reference: DualCodes | None = None
    """A known good result, where the data has one."""


Total = Callable[[Sequence[Attempt]], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """B answers and what policy and reference said of their ids when they were drawn."""

    rows: list[Row]
    """Prompt and answer of each; the answer has its end id where it ended."""
    answers: list[Answer]
    mask: Tensor
    """(B, A) bool: True on the ids of the answers, the end id included."""
    log_probs: Tensor
    """(B, A) float32 under the policy that drew them."""
    ref_log_probs: Tensor
    """(B, A) float32 under the reference."""


class StepAttempts(NamedTuple):
    """This process's answers of a step, with their rewards."""

    rollout: Rollout
    scores: Tensor
    """(B,) float32."""
    parts: dict[str, Tensor]
    """Name of a reward -> (B,)."""


@dataclass(frozen=True, kw_only=True)
class Trials:
    """What draws and scores the answers of a run; the same at every step."""

    bundle: Bundle
    policy: Policy
    reference: Reference
    total: Total
    """Attempts -> their rewards."""
    config: RolloutConfig
    micro_ids: int
    """Most ids of one forward pass."""
    team: Team
    seed: int


def try_prompts(
    trials: Trials, prompts: Sequence[tuple[int, Example]], *, step: int
) -> StepAttempts:
    """Draw an answer to each prompt, score it, ask policy and reference about its ids.

    Each prompt comes with its number in the step's whole batch, which seeds its draws. All weights
    must be whole here (sharding.gathered).
    """
    policy, config = trials.policy, trials.config
    attempts = attempts_at(
        policy.lm, trials.bundle, prompts, config=config, seed=trials.seed, step=step
    )
    made = score_rollout(
        policy,
        trials.reference,
        attempts,
        temperature=config.temperature,
        micro_ids=trials.micro_ids,
        device=trials.team.device,
    )
    return StepAttempts(made, *trials.total(attempts))


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
    asked = [
        Asked(rows_of(bundle, example)[0][0], number, min(config.max_ids, product_limit(example)))
        for number, example in prompts
    ]
    how: dict[str, Any] = {"temperature": config.temperature, "seed": seed, "step": step}
    answers = draw_answers(lm, asked, vocabulary=vocabulary, **how)
    return [
        Attempt(
            request=example.request,
            source=example.source,
            row=trajectory(one.prompt, answer, vocabulary.end_id),
            answer=answer,
            reference=None if example.kind == "sample" else example.target,
        )
        for (_, example), one, answer in zip(prompts, asked, answers, strict=True)
    ]


def product_limit(example: Example) -> int:
    """Most ids the product would draw for this prompt."""
    return longest_answer(example.request, example.source)


class Asked(NamedTuple):
    """One prompt of a step."""

    prompt: Sequence[int]
    number: int
    """Tells equal prompts apart; the same however processes share the prompts."""
    limit: int
    """Most ids of its answer, whole groups count."""


def draw_answers(
    lm: Step1LM,
    asked: Sequence[Asked],
    *,
    vocabulary: Vocabulary,
    temperature: float,
    seed: int,
    step: int,
) -> list[Answer]:
    """One answer a prompt; the draws of a prompt depend on seed, step and its number alone."""
    drawn = sample_answers(
        lm,
        [one.prompt for one in asked],
        vocabulary=vocabulary,
        sampling=Sampling(temperature=temperature, max_ids=max(one.limit for one in asked)),
        generators=[stage_generator(seed, f"{STAGE}/{one.number}", step) for one in asked],
    )
    # all are drawn together up to the largest limit; what an answer has beyond its own is cut off
    whole = [one.limit - one.limit % GROUP for one in asked]
    return [
        Answer(a.ids[:most], a.ended and len(a.ids) < most)
        for a, most in zip(drawn, whole, strict=True)
    ]


def trajectory(prompt: Sequence[int], answer: Answer, end_id: int) -> Row:
    """Prompt and every id that was drawn."""
    return prompt, [*answer.ids, *([end_id] if answer.ended else [])]


def answer_mask(rows: Sequence[Row]) -> Tensor:
    """(B, A) bool: True on the ids of each row's answer."""
    lengths = torch.tensor([len(answer) for _, answer in rows])
    return torch.arange(int(lengths.max())) < lengths[:, None]


def score_rollout(
    policy: Policy,
    reference: Callable[[Callable[[Policy], Tensor]], Tensor],
    attempts: Sequence[Attempt],
    *,
    temperature: float,
    micro_ids: int,
    device: torch.device | None = None,
) -> Rollout:
    """The attempts' answers with their log-probabilities under policy and reference.

    `reference` is given a question about a policy and answers it for the reference.
    """
    end = policy.vocabulary.end_id
    rows = [attempt.row for attempt in attempts]

    def log_probs(model: Policy) -> Tensor:
        return in_parts(rows, end, micro_ids, device, lambda b: model(b, temperature).log_probs)

    return Rollout(
        rows=rows,
        answers=[attempt.answer for attempt in attempts],
        mask=answer_mask(rows),
        log_probs=log_probs(policy),
        ref_log_probs=reference(log_probs),
    )


def mean_rewards(tried: StepAttempts, count: int, team: Team) -> dict[str, float]:
    """Means of the score and of each reward over the `count` answers of all processes."""
    values = {"score": tried.scores, **tried.parts}
    sums = team.total(torch.stack([v.double().sum() for v in values.values()]))
    return {name: float(v) / count for name, v in zip(values, sums, strict=True)}
