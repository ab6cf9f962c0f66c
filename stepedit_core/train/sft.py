"""Supervised fine-tuning on edits: cross-entropy on the answers' ids, legal ids only.

Source: arXiv:2511.03601: one epoch, learning rate 1e-5 falling to 1e-6. Batch, warm-up and longest
sequence are those of the released scripts (spec 12).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from ..files.strict import Bounds
from ..printable import shown
from .batches import Row, Sampler, pack, parts_of
from .config import ModelConfig, OptimizerConfig, RunConfig
from .items import Examples, row_length, rows_of, save_language_model, start_from
from .losses import cross_entropy
from .numerics import Numerics
from .optimise import backward, make_optimizer, step_optimizer
from .policy import Policy
from .run_folder import Run
from .sharding import place
from .team import Team, join_team

log = logging.getLogger(__name__)
KINDS = ("triplet", "quadruplet")


@dataclass(frozen=True, kw_only=True)
class SFTConfig:
    """Settings of supervised fine-tuning."""

    BOUNDS: ClassVar[Bounds] = {
        "epochs": (0.001, 1000),
        "batch": (1, 10**6),
        "longest": (2, 10**6),
    }

    data: tuple[str, ...] = ()
    """Data folders; their train split is learnt, their dev split measured at the end."""
    epochs: float = 1.0
    """Times that every item is seen."""
    batch: int = 128
    """Items a step, over all processes."""
    longest: int = 1536
    """Most ids of prompt and answer; longer items are left out."""
    inverses: bool = True
    """Learn each emotion and style also backwards, as `remove`; off where the data has both."""
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(warmup=0.03))
    model: ModelConfig = field(default_factory=ModelConfig)
    run: RunConfig = field(default_factory=RunConfig)


def train(config: SFTConfig, out: Path, *, stop_at: int | None = None) -> dict[str, float]:
    """Train, write the model, return the last figures; `stop_at` ends early, as a kill would."""
    with join_team(config.run) as team:
        # 1. Model and data
        base = start_from(config.model, config.run)
        bundle, end = base.bundle, base.bundle.vocabulary.end_id
        items, dev = (
            Examples(
                config.data,
                bundle,
                KINDS,
                split=split,
                longest=config.longest,
                inverses=config.inverses,
            )
            for split in ("train", "dev")
        )
        sampler = Sampler(len(items), config.batch, config.run.seed)
        steps = sampler.steps(config.epochs)

        # 2. Policy and optimiser; a stopped run resumes
        made = Policy(base.lm, bundle.vocabulary, checkpointing=config.model.checkpointing)
        policy = place(made, team, precision=config.model.precision)
        numerics = Numerics(precision=config.model.precision, team=team)
        optimizer = make_optimizer(policy, config.optimizer)
        facts, learned = {**base.facts, **items.facts}, {"policy": (policy, optimizer)}
        run = Run(out, "sft", config, facts, team, learned)

        for step in range(run.first, steps):
            if step == stop_at:
                return {}
            # 3. A batch, shared by the processes; losses are divided by its count of answer ids
            rows = [rows_of(bundle, items[i])[0] for i in sampler(step)]
            count = sum(len(answer) for _, answer in rows)
            rows = [rows[i] for i in team.share(range(len(rows)))]
            parts = parts_of([row_length(r) for r in rows], config.model.micro_ids, team)

            # 4. Gradients of all parts, one step
            def loss_of(part: list[int], rows: list[Row] = rows, count: int = count) -> Tensor:
                batch = pack([rows[i] for i in part], end, team.device)
                return cross_entropy(policy(batch).log_probs, batch.mask, count=count)

            loss = backward(parts, loss_of, numerics)
            done = step_optimizer(policy, optimizer, config.optimizer, step, steps)
            run.end_step(step, steps, loss=loss, **done, ids=count)

        # 5. What held-out speakers say, and the weights
        figures = {"steps": float(steps)}
        if len(dev):
            figures["dev_loss"] = dev_loss(policy, dev, config, team)
        save_language_model(policy, out, base, team, config.model, export=config.run.export)
        log.info("%s", shown(figures))
        return figures


def dev_loss(policy: Policy, items: Examples, config: SFTConfig, team: Team) -> float:
    """Mean cross-entropy of an id over all items of a split."""
    rows = [rows_of(items.bundle, items[i])[0] for i in range(len(items))]
    count = sum(len(answer) for _, answer in rows)
    end = items.bundle.vocabulary.end_id
    rows = [rows[i] for i in team.share(range(len(rows)))] or rows[:1]
    weight = 1.0 if team.rank < len(items) else 0.0
    sum_ = torch.zeros((), dtype=torch.float64)
    for part, real in parts_of([row_length(r) for r in rows], config.model.micro_ids, team):
        with torch.no_grad(), Numerics(precision=config.model.precision, team=team).products():
            batch = pack([rows[i] for i in part], end, team.device)
            found = cross_entropy(policy(batch).log_probs, batch.mask, count=count)
        sum_ += weight * real * found.double().cpu()
    return float(team.total(sum_))
