"""Direct preference optimisation: the pairs of the reward model, without one.

Source: arXiv:2305.18290 eq. 7; learning rate 1e-6 and beta 0.1 of the released scripts (spec 12).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from ..files.strict import Bounds
from .batches import AnswerBatch, Row, Sampler, pack
from .config import ModelConfig, OptimizerConfig, RunConfig
from .items import Examples, pair_parts, save_language_model, start_from
from .losses import dpo_loss
from .numerics import Numerics
from .optimise import backward, make_optimizer, step_optimizer
from .policy import Policy
from .reference import Reference
from .reward_model import KINDS
from .run_folder import Run
from .sharding import place
from .team import join_team

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DPOConfig:
    """Settings of direct preference optimisation."""

    BOUNDS: ClassVar[Bounds] = {
        "epochs": (0.001, 1000),
        "batch": (1, 10**6),
        "longest": (2, 10**6),
        "beta": (1e-6, 100),
    }

    data: tuple[str, ...] = ()
    """Data folders of pairs."""
    epochs: float = 1.0
    """Times that every pair is seen."""
    batch: int = 64
    """Pairs a step, over all processes."""
    beta: float = 0.1
    """How hard the policy is held to the reference."""
    longest: int = 1536
    """Most ids of prompt and answer; pairs with a longer answer are left out."""
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(lr=1e-6, last_lr=2e-7)
    )
    model: ModelConfig = field(default_factory=ModelConfig)
    run: RunConfig = field(default_factory=RunConfig)


def train(config: DPOConfig, out: Path, *, stop_at: int | None = None) -> dict[str, float]:
    """Train, write the model, return the last figures; `stop_at` ends early, as a kill would."""
    with join_team(config.run) as team:
        # 1. Pairs, policy, and the policy as it starts for a reference
        base = start_from(config.model, config.run)
        bundle, end = base.bundle, base.bundle.vocabulary.end_id
        items = Examples(config.data, bundle, KINDS, longest=config.longest)
        sampler = Sampler(len(items), config.batch, config.run.seed)
        steps = sampler.steps(config.epochs)
        made = Policy(base.lm, bundle.vocabulary, checkpointing=config.model.checkpointing)
        reference = Reference(made, config.model, team)
        policy = place(made, team, precision=config.model.precision)

        # 2. Optimiser; a stopped run resumes
        numerics = Numerics(precision=config.model.precision, team=team)
        optimizer = make_optimizer(policy, config.optimizer)
        facts = {**base.facts, **items.facts}
        run = Run(out, "dpo", config, facts, team, {"policy": (policy, optimizer)})

        for step in range(run.first, steps):
            if step == stop_at:
                return {}
            # 3. A batch of pairs, shared by the processes; both answers of a pair in one part
            pairs, parts = pair_parts(items, sampler(step), config.model, team)
            right = 0

            # 4. Gradients of all parts, one step
            def loss_of(part: list[int], pairs: list[list[Row]] = pairs) -> Tensor:
                nonlocal right
                batch = pack([row for i in part for row in pairs[i]], end, team.device)
                now, before = whole(policy, batch), reference(lambda model: whole(model, batch))
                gain = now - before
                right += int((gain[0::2] > gain[1::2]).sum())
                loss = dpo_loss(now[0::2], now[1::2], before[0::2], before[1::2], beta=config.beta)
                return loss * len(part) / config.batch

            loss = backward(parts, loss_of, numerics)
            done = step_optimizer(policy, optimizer, config.optimizer, step, steps)
            run.end_step(step, steps, loss=loss, **done, right=right / max(1, len(pairs)))

        # 5. The weights
        save_language_model(policy, out, base, team, config.model, export=config.run.export)
        return {"steps": float(steps)}


def whole(policy: Policy, batch: AnswerBatch) -> Tensor:
    """Log-probability (B,) of each whole answer."""
    return torch.where(batch.mask, policy(batch).log_probs, 0.0).sum(1)
