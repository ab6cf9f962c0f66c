"""Rewards of answers, each a function of a batch of attempts, and their weighted sum.

A term takes B attempts and gives (B,) float32. None listens to a wave: the reward model reads ids,
words are compared by the vectors of their linguistic codes, length and legality are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..files.strict import Bounds
from ..measure.words import word_distance
from ..printable import shown
from ..registry.handle import Bundle
from ..vocab import GROUP, Vocabulary
from .attempts import Attempt, Total
from .batches import in_parts
from .config import ModelConfig
from .items import load_reward
from .policy import Critic
from .sharding import place
from .team import Team

SPEED_LENGTH = {"faster": 0.8, "more faster": 0.65, "slower": 1.25, "more slower": 1.5}
"""Length of the result over the source's that a speed edit aims at; the nano corpus's factors."""


Term = Callable[[Sequence[Attempt]], Tensor]


@dataclass(frozen=True, kw_only=True)
class RewardWeights:
    """Weights of the rewards that add up; the report's is the reward model alone.

    The shipped configs add `words`, which needs nothing but the bundle's own codebook.
    """

    BOUNDS: ClassVar[Bounds] = {
        "model": (0, 1000),
        "words": (0, 1000),
        "length": (0, 1000),
        "legality": (0, 1000),
    }

    model: float = 1.0
    """The reward model."""
    words: float = 0.0
    """Words kept by the linguistic codes, -1..1."""
    length: float = 0.0
    """Length kept, 0..1."""
    legality: float = 0.0
    """Ended by itself after whole groups, 0 or 1."""


def frozen_judge(run: str, bundle: Bundle, model: ModelConfig, team: Team) -> Critic:
    """The reward model of a run of `train reward`, for asking only."""
    judge = Critic(load_reward(run, bundle)).requires_grad_(False)
    return place(judge, team, precision=model.precision)


def reward_of(
    weights: RewardWeights, bundle: Bundle, critic: Critic | None, model: ModelConfig, team: Team
) -> Total:
    """The weighted sum of all rewards; `critic` has the reward model, None where there is none."""
    terms: dict[str, Term] = {"length": length_kept, "legality": legality}
    if weights.words:
        terms["words"] = words_kept(bundle.vocabulary, bundle.linguistic.codebook)
    if critic is not None:
        end = bundle.vocabulary.end_id
        terms["model"] = model_reward(critic, end, model.micro_ids, team.device)
    shares = {"model": weights.model, "words": weights.words}
    shares |= {"length": weights.length, "legality": weights.legality}
    return compose(terms, shares)


def compose(
    terms: Mapping[str, Term], weights: Mapping[str, float]
) -> Callable[[Sequence[Attempt]], tuple[Tensor, dict[str, Tensor]]]:
    """A function from B attempts to the weighted sum (B,) and every term's own (B,).

    Terms of weight 0 are not computed. Raises ValueError for a weight without a term.
    """
    unknown = sorted(name for name, weight in weights.items() if weight and name not in terms)
    if unknown:
        raise ValueError(
            f"the reward '{shown(unknown[0])}' has a weight but no term; terms are "
            f"{shown(', '.join(terms))}. Give it weight 0, or name what it needs (for `model`, the "
            "reward model)."
        )
    active = {name: terms[name] for name, weight in weights.items() if weight}

    def total(attempts: Sequence[Attempt]) -> tuple[Tensor, dict[str, Tensor]]:
        parts = {name: term(attempts) for name, term in active.items()}
        whole = torch.zeros(len(attempts))
        for name, values in parts.items():
            whole = whole + weights[name] * values
        return whole, parts

    return total


def model_reward(critic: Critic, end_id: int, micro_ids: int, device: torch.device | None) -> Term:
    """The reward model's value after the last id of each attempt."""

    def term(attempts: Sequence[Attempt]) -> Tensor:
        return in_parts(
            [a.row for a in attempts], end_id, micro_ids, device, lambda b: critic(b)[1]
        )

    return term


def words_kept(vocabulary: Vocabulary, codebook: Tensor) -> Term:
    """1 - word_distance of answer and source: 1 for the same words at any speed, -1 at the least.

    It is the measure by which the product chooses among candidates (measure/words.py). codebook
    (1024, D) of the linguistic tokenizer. With a reference in the data the nearer of it and the
    source counts; new words (sounds, clone) are compared with the reference alone. A clone without
    one gets 0, for nothing here says its words; an answer without a whole group gets -1.
    """
    codebook = codebook.detach().cpu()

    def kept(attempt: Attempt) -> float:
        made = vocabulary.split(attempt.answer.whole)
        others = [] if attempt.reference is None else [attempt.reference]
        if attempt.request.kind != "clone" and not (attempt.request.new_text and others):
            others.append(attempt.source)
        if not made.groups:
            return -1.0
        distances = [word_distance(codebook, other, made) for other in others]
        return 1.0 - min(distances, default=1.0)

    return lambda attempts: torch.tensor([kept(a) for a in attempts], dtype=torch.float32)


def length_kept(attempts: Sequence[Attempt]) -> Tensor:
    """1 where an answer has the length that is expected, 0 at half or twice it, linear in octaves.

    Expected are the reference's groups, or the source's times the speed edit's factor.
    """
    kept = []
    for attempt in attempts:
        groups = len(attempt.answer.ids) // GROUP
        factor = SPEED_LENGTH.get(attempt.request.option, 1.0)
        wanted = attempt.source.groups * (factor if attempt.request.kind == "speed" else 1.0)
        if attempt.reference is not None:
            wanted = attempt.reference.groups
        octaves = abs(np.log2(groups / wanted)) if groups and wanted else 1.0
        kept.append(max(0.0, 1.0 - float(octaves)))
    return torch.tensor(kept, dtype=torch.float32)


def legality(attempts: Sequence[Attempt]) -> Tensor:
    """1 where an answer ended by itself after one or more whole groups, else 0."""
    fine = [
        a.answer.ended and bool(a.answer.ids) and not len(a.answer.ids) % GROUP for a in attempts
    ]
    return torch.tensor(fine, dtype=torch.float32)
