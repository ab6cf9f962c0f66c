"""Precision of forward and backward passes: the one place with an autocast.

Weights, sums and the optimiser stay float32 (docs/decisions/0008).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from .team import Team


@dataclass(frozen=True, kw_only=True)
class Numerics:
    """How forward and backward passes are computed."""

    precision: str
    team: Team

    @property
    def _own_bf16(self) -> bool:
        """Several processes have bf16 from their sharding, see place."""
        return self.precision == "bf16" and self.team.world == 1

    def products(self) -> AbstractContextManager[Any]:
        """Context of forward passes: matrix products in bf16 where asked for."""
        kind = self.team.device.type
        return torch.autocast(kind, torch.bfloat16) if self._own_bf16 else nullcontext()

    def attention(self) -> AbstractContextManager[Any]:
        """Context of forward and backward pass together.

        On a CPU the plain attention is used with bf16: the fused one's backward pass is slower than
        float32. Layers that are computed again in the backward pass must take the same one.
        """
        plain = self._own_bf16 and self.team.device.type == "cpu"
        return sdpa_kernel(SDPBackend.MATH) if plain else nullcontext()
