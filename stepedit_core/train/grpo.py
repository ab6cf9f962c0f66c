"""Group-relative policy optimisation: several answers a prompt, compared with each other.

Source: arXiv:2402.03300; learning rate 1e-6, beta 0.1, 16 answers a prompt at temperature 1 of the
released scripts (spec 12). No critic: an answer's advantage is its reward within its group.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from ..files.strict import Bounds
from .advantages import group_advantages
from .attempts import KINDS, RolloutConfig, StepAttempts, Total, Trials, mean_rewards, try_prompts
from .batches import Sampler, pack, parts_of
from .config import ModelConfig, OptimizerConfig, RunConfig
from .items import Examples, row_length, save_language_model, start_from
from .losses import LogProbs, grpo_loss, kl_k3, masked_mean
from .numerics import Numerics
from .optimise import backward, make_optimizer, step_optimizer
from .policy import Policy
from .reference import Reference
from .reward_terms import RewardWeights, frozen_judge, reward_of
from .run_folder import Run
from .sharding import gathered, place
from .team import join_team

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class GRPOConfig:
    """Settings of GRPO."""

    BOUNDS: ClassVar[Bounds] = {
        "steps": (0, 10**7),
        "batch": (1, 10**6),
        "answers": (2, 10**4),
        "passes": (1, 1000),
        "longest": (2, 10**6),
        "clip": (1e-6, 10),
        "beta": (0, 100),
    }

    data: tuple[str, ...] = ()
    """Data folders of prompts."""
    reward_run: str = ""
    """Run folder of the reward model; empty where its weight is 0."""
    steps: int = 1000
    """Rollout batches in all."""
    batch: int = 8
    """Prompts a step, over all processes."""
    answers: int = 16
    """Answers a prompt."""
    passes: int = 1
    """Optimiser steps on each batch of rollouts."""
    longest: int = 1536
    """Most ids of prompt and known answer; longer items are left out."""
    clip: float = 0.2
    """Bound of the probability ratio."""
    beta: float = 0.1
    """Weight of the KL term of the loss."""
    rewards: RewardWeights = field(default_factory=RewardWeights)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(lr=1e-6, last_lr=2e-7)
    )
    model: ModelConfig = field(default_factory=ModelConfig)
    run: RunConfig = field(default_factory=RunConfig)


def train(
    config: GRPOConfig, out: Path, *, stop_at: int | None = None, total: Total | None = None
) -> dict[str, float]:
    """Train, write the model, return the last figures.

    `stop_at` ends early, as a kill would; `total` replaces the rewards of the config.
    """
    with join_team(config.run) as team:
        # 1. Prompts, the policy, its start for a reference, the reward model where it has a weight
        base = start_from(config.model, config.run)
        bundle, end, precision = base.bundle, base.bundle.vocabulary.end_id, config.model.precision
        items = Examples(config.data, bundle, KINDS, longest=config.longest)
        sampler = Sampler(len(items), config.batch, config.run.seed)
        made = Policy(base.lm, bundle.vocabulary, checkpointing=config.model.checkpointing)
        reference = Reference(made, config.model, team)
        policy = place(made, team, precision=precision)
        judge = None
        if config.reward_run:
            judge = frozen_judge(config.reward_run, bundle, config.model, team)
        total = total or reward_of(config.rewards, bundle, judge, config.model, team)

        # 2. Optimiser; a stopped run resumes
        optimizer = make_optimizer(policy, config.optimizer)
        facts = {**base.facts, **items.facts}
        run = Run(out, "grpo", config, facts, team, {"policy": (policy, optimizer)})
        numerics = Numerics(precision=precision, team=team)
        trials = Trials(
            bundle=bundle,
            policy=policy,
            reference=reference,
            total=total,
            config=config.rollout,
            micro_ids=config.model.micro_ids,
            team=team,
            seed=config.run.seed,
        )

        for step in range(run.first, config.steps):
            if step == stop_at:
                return {}
            # 3. Several answers to each prompt; the groups are shared by the processes
            whole = sampler(step)
            mine = [
                (n * config.answers + k, items[whole[n]])
                for n in team.share(range(len(whole)))
                for k in range(config.answers)
            ]
            frozen = [] if reference.policy is policy else [reference.policy]
            with (
                gathered(policy, *frozen, *([] if judge is None else [judge]), end_id=end),
                numerics.products(),
            ):
                tried = try_prompts(trials, mine, step=step)
            answers = len(whole) * config.answers
            lengths = [row_length(row) for row in tried.rollout.rows]
            parts = parts_of(lengths, config.model.micro_ids, team)

            # 4. Passes over the batch
            loss_of = partial(group_loss, policy, tried, config, answers, end)
            figures: dict[str, float] = {}
            for _ in range(config.passes):
                figures["loss"] = backward(parts, loss_of, numerics)
                figures |= step_optimizer(policy, optimizer, config.optimizer, step, config.steps)

            # 5. The curve
            figures |= mean_rewards(tried, answers, team)
            mask = tried.rollout.mask
            count = float(team.total(mask.sum().double()))
            kl = kl_k3(tried.rollout.log_probs, tried.rollout.ref_log_probs)
            figures["kl"] = float(team.total(masked_mean(kl, mask, count).double()))
            figures["ids"] = count / answers
            run.end_step(step, config.steps, **figures)

        # 6. The weights
        save_language_model(policy, out, base, team, config.model, export=config.run.export)
        return {"steps": float(config.steps)}


def group_loss(
    policy: Policy, tried: StepAttempts, config: GRPOConfig, answers: int, end: int, rows: list[int]
) -> Tensor:
    """Share () of some rows in the batch's loss; `answers` are those of the whole batch."""
    device = next(policy.parameters()).device
    batch = pack([tried.rollout.rows[i] for i in rows], end, device)
    at, index = slice(0, batch.mask.shape[1]), torch.tensor(rows)
    advantages = group_advantages(tried.scores.view(-1, config.answers)).reshape(-1)
    return grpo_loss(
        LogProbs(
            now=policy(batch, config.rollout.temperature).log_probs,
            drawn=tried.rollout.log_probs[index, at].to(device),
            reference=tried.rollout.ref_log_probs[index, at].to(device),
        ),
        advantages[index].to(device),
        batch.mask,
        clip=config.clip,
        beta=config.beta,
        rows=answers,
    )
