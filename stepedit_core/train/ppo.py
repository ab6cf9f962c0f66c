"""Proximal policy optimisation against the reward model, as the report describes it.

Source: arXiv:2511.03601: prompts that are hardest for the reward model, the critic warmed up for 80
steps before the actor moves, learning rate 1e-6 falling to 2e-7 by cosine, clip 0.2, KL penalty
beta 0.05 to the SFT reference. Not stated there, and the field's here: GAE (gamma 1, lambda 0.95),
batch, passes over a batch, the critic's rate; one score stands at the last id of its answer.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from ..files.strict import Bounds
from .advantages import gae, moments, shaped_rewards, whiten
from .attempts import KINDS, RolloutConfig, Total, Trials, mean_rewards, try_prompts
from .batches import AnswerBatch, Row, Sampler, in_parts, pack, parts_of
from .config import ModelConfig, OptimizerConfig, RunConfig
from .items import Examples, load_reward, row_length, save_language_model, save_reward, start_from
from .losses import clipped_surrogate, kl_k1, masked_mean, value_loss
from .numerics import Numerics
from .optimise import backward, make_optimizer, step_optimizer
from .policy import Critic, Policy
from .reference import Reference
from .reward_terms import RewardWeights, frozen_judge, reward_of
from .run_folder import Run
from .sharding import gathered, place
from .team import join_team

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PPOConfig:
    """Settings of PPO."""

    BOUNDS: ClassVar[Bounds] = {
        "steps": (0, 10**7),
        "critic_warmup": (0, 10**7),
        "batch": (1, 10**6),
        "passes": (1, 1000),
        "longest": (2, 10**6),
        "clip": (1e-6, 10),
        "value_clip": (0, 1000),
        "beta": (0, 100),
        "gamma": (0, 1),
        "lam": (0, 1),
    }

    data: tuple[str, ...] = ()
    """Data folders of prompts; `stepedit data hardest` makes one."""
    reward_run: str = ""
    """Run folder of the reward model, also the critic's first weights."""
    steps: int = 1000
    """Rollout batches in all, critic warm-up included."""
    critic_warmup: int = 80
    """Steps in which only the critic learns."""
    batch: int = 64
    """Prompts a step, over all processes."""
    passes: int = 2
    """Optimiser steps on each batch of rollouts."""
    longest: int = 1536
    """Most ids of prompt and known answer; longer items are left out."""
    clip: float = 0.2
    """Bound of the probability ratio."""
    value_clip: float = 0.2
    """How far a value may profitably move in one batch; 0 for any."""
    beta: float = 0.05
    """KL penalty to the reference, on each id's reward."""
    gamma: float = 1.0
    """Discount an id."""
    lam: float = 0.95
    """Lambda of GAE."""
    rewards: RewardWeights = field(default_factory=RewardWeights)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(lr=1e-6, last_lr=2e-7)
    )
    critic_optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(lr=5e-6, last_lr=1e-6)
    )
    model: ModelConfig = field(default_factory=ModelConfig)
    run: RunConfig = field(default_factory=RunConfig)


def train(
    config: PPOConfig, out: Path, *, stop_at: int | None = None, total: Total | None = None
) -> dict[str, float]:
    """Train, write the model, return the last figures.

    `stop_at` ends early, as a kill would; `total` replaces the rewards of the config.
    """
    with join_team(config.run) as team:
        # 1. Prompts, the policy, its start for a reference, the reward model, the critic
        base = start_from(config.model, config.run)
        bundle, end, precision = base.bundle, base.bundle.vocabulary.end_id, config.model.precision
        items = Examples(config.data, bundle, KINDS, longest=config.longest)
        sampler = Sampler(len(items), config.batch, config.run.seed)
        made = Policy(base.lm, bundle.vocabulary, checkpointing=config.model.checkpointing)
        reference = Reference(made, config.model, team)
        policy = place(made, team, precision=precision)
        judge = frozen_judge(config.reward_run, bundle, config.model, team)
        begun = load_reward(config.reward_run, bundle)
        critic = Critic(begun, checkpointing=config.model.checkpointing)
        critic = place(critic, team, precision=precision)
        total = total or reward_of(config.rewards, bundle, judge, config.model, team)

        # 2. Two optimisers; a stopped run resumes
        actor_optimizer = make_optimizer(policy, config.optimizer)
        critic_optimizer = make_optimizer(critic, config.critic_optimizer)
        facts = {**base.facts, **items.facts}
        learned = {"policy": (policy, actor_optimizer), "critic": (critic, critic_optimizer)}
        run = Run(out, "ppo", config, facts, team, learned)
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
            # 3. Answers to a batch of prompts, their rewards, and what all models say of their ids
            whole = sampler(step)
            mine = [(n, items[whole[n]]) for n in team.share(range(len(whole)))]
            frozen = [judge, critic, *([] if reference.policy is policy else [reference.policy])]
            with gathered(policy, *frozen, end_id=end), numerics.products():
                tried = try_prompts(trials, mine, step=step)
                rows = tried.rollout.rows
                values = in_parts(
                    rows, end, config.model.micro_ids, team.device, lambda b: critic(b)[0]
                )

            # 4. Advantages: KL off each id's reward, the score at the last; white over the batch
            mask = tried.rollout.mask
            kl = kl_k1(tried.rollout.log_probs, tried.rollout.ref_log_probs)
            rewards = shaped_rewards(kl, tried.scores, mask, beta=config.beta)
            raw, returns = gae(rewards, values, mask, gamma=config.gamma, lam=config.lam)
            scored = ScoredBatch(
                rows=rows,
                log_probs=tried.rollout.log_probs,
                values=values,
                advantages=whiten(raw, mask, team.total(moments(raw, mask))),
                returns=returns,
                ids=float(team.total(mask.sum().double())),
            )

            # 5. Passes over the batch: the critic always, the actor after the warm-up
            parts = parts_of([row_length(row) for row in rows], config.model.micro_ids, team)
            acting = step - config.critic_warmup
            figures: dict[str, float] = {}
            for _ in range(config.passes):
                loss_of = partial(critic_loss, critic, scored, config, end)
                figures["value_loss"] = backward(parts, loss_of, numerics)
                step_optimizer(
                    critic, critic_optimizer, config.critic_optimizer, step, config.steps
                )
                if acting < 0:
                    continue
                loss_of = partial(actor_loss, policy, scored, config, end)
                figures["policy_loss"] = backward(parts, loss_of, numerics)
                steps = config.steps - config.critic_warmup
                figures |= step_optimizer(policy, actor_optimizer, config.optimizer, acting, steps)

            # 6. The curve
            figures |= mean_rewards(tried, len(whole), team)
            figures["kl"] = float(team.total(masked_mean(kl, mask, scored.ids).double()))
            figures["ids"] = scored.ids / len(whole)
            run.end_step(step, config.steps, **figures)

        # 7. The weights
        save_language_model(policy, out, base, team, config.model, export=config.run.export)
        save_reward(critic, out, base, team, "model.")
        return {"steps": float(config.steps)}


class ScoredBatch(NamedTuple):
    """This process's answers of a step, ready to be learnt from."""

    rows: list[Row]
    log_probs: Tensor
    """(B, A) float32 when drawn."""
    values: Tensor
    """(B, A) float32 when drawn."""
    advantages: Tensor
    """(B, A) float32, white over the whole batch."""
    returns: Tensor
    """(B, A) float32."""
    ids: float
    """Answer ids of the whole batch, over all processes."""

    def part(self, rows: list[int], end: int, *wide: Tensor, device: torch.device) -> _Part:
        """A batch of some rows, and their part (b, a) of each wide (B, A)."""
        batch = pack([self.rows[i] for i in rows], end, device)
        at, index = slice(0, batch.mask.shape[1]), torch.tensor(rows)
        return batch, [w[index, at].to(device) for w in wide]


_Part = tuple[AnswerBatch, list[Tensor]]


def critic_loss(
    critic: Critic, scored: ScoredBatch, config: PPOConfig, end: int, rows: list[int]
) -> Tensor:
    """Share () of some rows in the batch's value loss."""
    device = next(critic.parameters()).device
    batch, (before, returns) = scored.part(rows, end, scored.values, scored.returns, device=device)
    found = critic(batch)[0]
    clip, count = config.value_clip, scored.ids
    return value_loss(found, before, returns, batch.mask, clip=clip, count=count)


def actor_loss(
    policy: Policy, scored: ScoredBatch, config: PPOConfig, end: int, rows: list[int]
) -> Tensor:
    """Share () of some rows in the batch's clipped surrogate."""
    device = next(policy.parameters()).device
    batch, (before, better) = scored.part(
        rows, end, scored.log_probs, scored.advantages, device=device
    )
    found = policy(batch, config.rollout.temperature).log_probs
    clip, count = config.clip, scored.ids
    return clipped_surrogate(found, before, better, batch.mask, clip=clip, count=count)
