"""Reward model: from the SFT model, one scalar, Bradley-Terry on preference pairs of ids.

Source: arXiv:2511.03601: one epoch, learning rate 2e-5 falling to 1e-5 by cosine; no waveform. Its
values a token are what PPO's critic starts from.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from ..data.records import Example
from ..files.reading import read_object
from ..files.strict import Bounds, from_json
from ..models.reward import RewardModel
from ..printable import shown
from ..registry.handle import Bundle
from ..registry.registry import Registry
from .batches import Row, Sampler, in_parts, pack
from .config import REMEDY, ModelConfig, OptimizerConfig, RunConfig
from .items import Examples, load_reward, pair_parts, rows_of, save_reward, start_from
from .losses import bradley_terry
from .numerics import Numerics
from .optimise import backward, make_optimizer, step_optimizer
from .policy import Critic
from .run_folder import CONFIG, Run
from .sharding import gathered, place
from .team import join_team

log = logging.getLogger(__name__)
KINDS = ("pair",)


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    """Settings of the reward model."""

    BOUNDS: ClassVar[Bounds] = {
        "epochs": (0.001, 1000),
        "batch": (1, 10**6),
        "longest": (2, 10**6),
    }

    data: tuple[str, ...] = ()
    """Data folders of pairs; the dev split measures the accuracy."""
    epochs: float = 1.0
    """Times that every pair is seen."""
    batch: int = 64
    """Pairs a step, over all processes; not stated in the report."""
    longest: int = 1536
    """Most ids of prompt and answer; pairs with a longer answer are left out."""
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(lr=2e-5, last_lr=1e-5)
    )
    model: ModelConfig = field(default_factory=ModelConfig)
    run: RunConfig = field(default_factory=RunConfig)


def train(config: RewardConfig, out: Path, *, stop_at: int | None = None) -> dict[str, float]:
    """Train, write the model, return the last figures; `stop_at` ends early, as a kill would."""
    with join_team(config.run) as team:
        # 1. Pairs, and a reward model with the SFT model's decoder
        if config.model.adapters:
            raise ValueError("a reward model takes no adapters. Set model.adapters to false.")
        base = start_from(config.model, config.run)
        bundle, end = base.bundle, base.bundle.vocabulary.end_id
        items, dev = (
            Examples(config.data, bundle, KINDS, split=split, longest=config.longest)
            for split in ("train", "dev")
        )
        sampler = Sampler(len(items), config.batch, config.run.seed)
        steps = sampler.steps(config.epochs)
        model = RewardModel.from_language_model(base.lm)
        made = Critic(model, checkpointing=config.model.checkpointing)
        critic = place(made, team, precision=config.model.precision)

        # 2. Optimiser; a stopped run resumes
        numerics = Numerics(precision=config.model.precision, team=team)
        optimizer = make_optimizer(critic, config.optimizer)
        facts = {**base.facts, **items.facts}
        run = Run(out, "reward", config, facts, team, {"critic": (critic, optimizer)})

        for step in range(run.first, steps):
            if step == stop_at:
                return {}
            # 3. A batch of pairs, shared by the processes; both answers of a pair in one part
            pairs, parts = pair_parts(items, sampler(step), config.model, team)
            right = 0

            # 4. Gradients of all parts, one step
            def loss_of(part: list[int], pairs: list[list[Row]] = pairs) -> Tensor:
                nonlocal right
                better, worse = both_rewards(critic, [pairs[i] for i in part], end, team.device)
                right += int((better > worse).sum())
                return bradley_terry(better, worse) * len(part) / config.batch

            loss = backward(parts, loss_of, numerics)
            done = step_optimizer(critic, optimizer, config.optimizer, step, steps)
            run.end_step(step, steps, loss=loss, **done, right=right / max(1, len(pairs)))

        # 5. How many held-out pairs it puts in order, and the weights
        figures = {"steps": float(steps)}
        if len(dev):
            with gathered(critic, end_id=end), numerics.products():
                margins = margins_of(
                    critic, [dev[i] for i in range(len(dev))], bundle, config.model
                )
            figures["dev_accuracy"] = float((margins > 0).double().mean())
        save_reward(critic, out, base, team, "model.")
        log.info("%s", shown(figures))
        return figures


def both_rewards(
    critic: Critic, pairs: Sequence[Sequence[Row]], end: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Rewards (B,) of preferred and (B,) of rejected answers."""
    rewards = critic(pack([row for pair in pairs for row in pair], end, device))[1]
    return rewards[0::2], rewards[1::2]


def margins_of(
    critic: Critic, pairs: Sequence[Example], bundle: Bundle, config: ModelConfig
) -> Tensor:
    """Reward of the preferred less that of the rejected answer (N,), on the CPU."""
    rows = [row for pair in pairs for row in rows_of(bundle, pair)]
    device = next(critic.parameters()).device
    end = bundle.vocabulary.end_id
    rewards = in_parts(rows, end, config.micro_ids, device, lambda batch: critic(batch)[1])
    return rewards[0::2] - rewards[1::2]


def pair_margins(run: Path, groups: Mapping[str, Sequence[Example]]) -> dict[str, list[float]]:
    """Prompt -> margins of its pairs under the reward model of a run; what `data hardest` ranks."""
    path = run / CONFIG
    if not path.is_file():
        raise ValueError(
            f"'{shown(run.name)}' has no {CONFIG}; expected is a run of `train reward`. Check the "
            "path."
        )
    about = read_object(path, remedy=REMEDY)
    config = from_json(RewardConfig, about.get("config"), CONFIG, REMEDY)
    bundle = Registry().load(config.model.bundle, device="cpu", precision="fp32")
    critic = Critic(load_reward(run, bundle))
    found: dict[str, list[float]] = {}
    for prompt, examples in groups.items():
        pairs = [example for example in examples if example.kind == "pair"]
        if pairs:
            found[prompt] = margins_of(critic, pairs, bundle, config.model).tolist()
    if not found:
        raise ValueError(
            "the data has no pairs; --reward needs pairs. Make them with "
            "`stepedit data pairs`, or leave --reward out."
        )
    return found
