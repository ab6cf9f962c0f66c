"""The policy as it was when a run began: a frozen copy, or the policy with its adapters off."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TypeVar

import torch

from ..models.lora import switched_off
from .config import ModelConfig
from .policy import Policy
from .sharding import place
from .team import Team

T = TypeVar("T")


class Reference:
    """Answers questions about the policy at its start.

    Args:
        policy: before it is sharded or trained. With adapters no copy is made: they start silent.
        config: of the model.
        team: the processes.
    """

    def __init__(self, policy: Policy, config: ModelConfig, team: Team) -> None:
        self.policy = policy
        self._shared = config.adapters
        if not self._shared:
            copy = deepcopy(policy).requires_grad_(False)
            copy.checkpointing = False
            self.policy = place(copy, team, precision=config.precision)

    @torch.no_grad()
    def __call__(self, ask: Callable[[Policy], T]) -> T:
        """What `ask` says of the reference, without gradients."""
        if not self._shared:
            return ask(self.policy)
        with switched_off(self.policy):
            return ask(self.policy)
