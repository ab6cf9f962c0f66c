"""The processes of one run (torchrun), and the device of this one.

Sums over a batch are divided by counts of the whole batch over all processes, so that a shared run
follows the losses of one that was not shared.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ..registry.registry import default_device
from .config import RunConfig


@dataclass(frozen=True, kw_only=True)
class Team:
    """The processes of one run, and where this one computes."""

    rank: int
    world: int
    device: torch.device

    @property
    def main(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Values of any shape summed over the processes."""
        return self._reduced(values, "SUM")

    def largest(self, number: int) -> int:
        """The largest of the processes' numbers."""
        return int(self._reduced(torch.tensor(number), "MAX"))

    def _reduced(self, values: Tensor, how: str) -> Tensor:
        if self.world == 1:
            return values
        from torch import distributed

        moved = values.to(self.device).clone()
        distributed.all_reduce(moved, getattr(distributed.ReduceOp, how))
        return moved.to(values.device)

    def share(self, items: Sequence[int]) -> list[int]:
        """This process's part of a batch: every world-th item."""
        return list(items[self.rank :: self.world])

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            from torch import distributed

            distributed.barrier()


@contextmanager
def join_team(config: RunConfig) -> Iterator[Team]:
    """The processes that torchrun started, or this one alone.

    The main process alone logs: the others say only warnings.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    device = default_device() if config.device == "auto" else torch.device(config.device)
    if world == 1:
        yield Team(rank=0, world=1, device=device)
        return
    from torch import distributed

    if device.type != "cpu":
        device = torch.device(device.type, int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("gloo" if device.type == "cpu" else None)
    try:
        yield Team(rank=rank, world=world, device=device)
    finally:
        distributed.destroy_process_group()
