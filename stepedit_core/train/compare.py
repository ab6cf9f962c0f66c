"""Two language models on the same prompts: what reinforcement changed of its rewards.

Source: the report judges PPO by its reward and by accuracy (arXiv:2511.03601); this is the first. A
prompt's draws have the same seeds for both models, and differences are taken prompt by prompt, so
that prompts of unlike difficulty do not hide them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.records import Example
from ..evaluate.intervals import interval
from ..files.reading import read_object
from ..files.strict import from_json
from ..files.terminal import table
from ..models.llm import Step1LM
from ..printable import shown
from ..registry.handle import Bundle
from .attempts import KINDS, RolloutConfig, Total, attempts_at
from .grpo import GRPOConfig
from .items import Examples, start_from
from .ppo import PPOConfig
from .reward_terms import frozen_judge, reward_of
from .run_folder import CONFIG
from .team import join_team

RECIPES: dict[str, type[PPOConfig | GRPOConfig]] = {"ppo": PPOConfig, "grpo": GRPOConfig}

SCORE = "score"
"""Name of the weighted sum."""
TOGETHER = 32
"""Answers that are drawn at a time."""


class RewardComparison(NamedTuple):
    """Mean rewards of each prompt before and after a run: name -> (P,) float32."""

    before: dict[str, Tensor]
    after: dict[str, Tensor]


def compare(
    run: Path,
    *,
    data: Sequence[str] = (),
    split: str = "train",
    answers: int = 4,
    seed: int = 0,
) -> RewardComparison:
    """Rewards of the model that a finished run of `train ppo` or `train grpo` began from and left.

    The prompts are those of `data`, or the run's own. Raises ValueError for another kind of run.
    """
    path = run / CONFIG
    about = read_object(path, remedy="Train it again.") if path.exists() else {}
    recipe = about.get("recipe", "nothing")
    if not isinstance(recipe, str) or recipe not in RECIPES:
        raise ValueError(
            f"'{shown(run.name)}' is a run of '{shown(recipe, 40)}'; one of "
            f"{' or '.join(RECIPES)} is expected. Check the path."
        )
    config = from_json(RECIPES[recipe], about.get("config"), CONFIG, "Train it again.")
    with join_team(config.run) as team:
        base = start_from(config.model, config.run)
        made = start_from(replace(config.model, start=str(run)), config.run)
        bundle, folders = base.bundle, data or config.data
        items = Examples(folders, bundle, KINDS, split=split, longest=config.longest)
        prompts = [items[n] for n in range(len(items))]
        judge = (
            frozen_judge(config.reward_run, bundle, config.model, team)
            if config.reward_run
            else None
        )
        total = reward_of(config.rewards, bundle, judge, config.model, team)
        asked = list(enumerate(prompt for prompt in prompts for _ in range(answers)))
        found = []
        for lm in (base.lm, made.lm):
            lm.to(team.device)
            drawn = rewards_of(lm, bundle, asked, total, config=config.rollout, seed=seed)
            found.append({n: values.view(-1, answers).mean(1) for n, values in drawn.items()})
    return RewardComparison(*found)


@torch.no_grad()
def rewards_of(
    lm: Step1LM,
    bundle: Bundle,
    asked: Sequence[tuple[int, Example]],
    total: Total,
    *,
    config: RolloutConfig,
    seed: int,
) -> dict[str, Tensor]:
    """Rewards of one answer to each numbered prompt (A,): the weighted sum and every term."""
    found: list[dict[str, Tensor]] = []
    for at in range(0, len(asked), TOGETHER):
        part = asked[at : at + TOGETHER]
        attempts = attempts_at(lm, bundle, part, config=config, seed=seed, step=0)
        score, terms = total(attempts)
        found.append({SCORE: score, **terms})
    return {name: torch.cat([part[name] for part in found]) for name in found[0]}


def rewards_table(found: RewardComparison) -> str:
    """Means over prompts of both, and of their difference, with 95 % intervals over prompts."""
    rows = [
        (
            name,
            *(str(interval(values[name].tolist())) for values in found),
            str(interval((found.after[name] - found.before[name]).tolist())),
        )
        for name in found.before
    ]
    return table(("reward", "before", "after", "difference"), rows)
