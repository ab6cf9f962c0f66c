"""One optimiser step: gradients of all parts of a batch, the schedule's rate, AdamW."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..printable import shown
from .config import OptimizerConfig
from .numerics import Numerics

log = logging.getLogger(__name__)


def cosine_rate(step: int, steps: int, config: OptimizerConfig) -> float:
    """Rate of a step: linear up to lr over the warm-up, then half a cosine down to last_lr.

    The first step after the warm-up has lr, the last step last_lr.
    """
    warmup = round(config.warmup * steps)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - 1 - warmup)
    low = config.last_lr
    return low + (config.lr - low) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))


def make_optimizer(module: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """AdamW over what learns in a module."""
    learning = [p for p in module.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for p in learning if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
    )


def backward(
    parts: Sequence[tuple[list[int], float]],
    loss_of: Callable[[list[int]], Tensor],
    numerics: Numerics,
) -> float:
    """Add up the gradients of all parts; the loss () of the whole batch over all processes.

    loss_of(rows) is the part's share of that loss. Sharding averages gradients over the processes,
    so each is scaled by their number.
    """
    sum_, team = 0.0, numerics.team
    for rows, weight in parts:
        with numerics.attention():
            with numerics.products():
                loss = loss_of(rows) * weight
            (loss * team.world).backward()  # type: ignore[no-untyped-call]
        sum_ += float(loss.detach())
    return float(team.total(torch.tensor(sum_, dtype=torch.float64)))


def step_optimizer(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    config: OptimizerConfig,
    step: int,
    steps: int,
) -> dict[str, float]:
    """One step at the schedule's rate with the gradients, which are then dropped.

    Returns the rate as `lr` and the gradients' norm as `norm`.
    """
    rate = cosine_rate(step, steps, config)
    weights = [p for p in module.parameters() if p.requires_grad]
    norm = nn.utils.clip_grad_norm_(weights, config.clip_norm)
    full = getattr(norm, "full_tensor", None)
    value = float(norm if full is None else full())
    for group in optimizer.param_groups:
        group["lr"] = rate
    if math.isfinite(value):
        optimizer.step()
    else:
        log.warning("a step was left out: the gradient's norm is %s", shown(value))
    optimizer.zero_grad(set_to_none=True)
    return {"lr": rate, "norm": value}
