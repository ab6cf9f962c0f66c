"""A linear layer that keeps its frozen weight in the layout oneDNN multiplies fastest.

On a CPU, torch's plain product reads a row-major weight: 9 float32 rows run at a fifth of what
oneDNN reaches with a blocked weight, one bfloat16 row at two thirds. `Linear` has nn.Linear's
parameters and results; the first call on a CPU reorders the weight in place of the plain one, so
memory does not grow, and a move to another device or dtype puts it back first. Weights that ask for
a gradient are never reordered, and none is under autocast.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BF16_UNITS = ("avx512_bf16", "amx_tile")
"""Processor units for bfloat16 as torch.cpu names them."""


def has_bf16_units() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32."""
    known = (getattr(torch.cpu, f"_is_{what}_supported", None) for what in BF16_UNITS)
    return any(ask() for ask in known if ask is not None)


@lru_cache(maxsize=8)
def can_pack(dtype: torch.dtype) -> bool:
    """Whether this processor and this torch have the product for a dtype, found by trying it."""
    available: Any = torch.backends.mkldnn.is_available  # untyped in some versions of torch
    if dtype not in (torch.float32, torch.bfloat16) or not available():
        return False
    x = torch.linspace(-1, 1, 3 * 32).view(3, 32).to(dtype)
    weight = torch.linspace(-1, 1, 64 * 32).view(64, 32).to(dtype)
    try:
        made = _product(x, _packed(weight), None)
    except (
        RuntimeError,
        AttributeError,
    ):  # torch without oneDNN, or a processor it has no code for
        return False
    return torch.allclose(made, F.linear(x, weight), rtol=2e-2, atol=2e-2)


def _packed(weight: Tensor) -> Tensor:
    # the number is a hint of how many rows will come; the layout was the same for 1 and for 1000
    out: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 16)
    return out


def _product(x: Tensor, weight: Tensor, bias: Tensor | None, gelu: bool = False) -> Tensor:
    after: tuple[str, list[float], str] = ("gelu", [], "tanh") if gelu else ("none", [], "")
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, *after)
    return out


class Linear(nn.Linear):
    """nn.Linear that reorders its weight at the first call where that is faster."""

    @property
    def is_packed(self) -> bool:
        """Whether the weight lies in oneDNN's layout, which nothing but a product can read."""
        return self.weight.layout != torch.strided

    def dense(self) -> Tensor:
        """The weight (out, in) as plain numbers; a copy where it is packed."""
        weight: Tensor = self.weight.detach().to_dense() if self.is_packed else self.weight
        return weight

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return self._run(x)[0]

    def gelu(self, x: Tensor) -> Tensor:
        """GELU (tanh form) of forward.

        In bfloat16 it is taken of the product's sums before they are rounded, without a pass of its
        own. float32 keeps the two steps and their bits.
        """
        made, done = self._run(x, gelu=x.dtype == torch.bfloat16)
        return made if done else F.gelu(made, approximate="tanh")

    def _run(self, x: Tensor, gelu: bool = False) -> tuple[Tensor, bool]:
        """The product, and whether GELU has been taken of it."""
        weight = self.weight  # read once: another thread may reorder it meanwhile
        cast = torch.is_autocast_enabled("cpu")  # autocast says the dtype, product by product
        if weight.layout == torch.strided:
            if weight.requires_grad or weight.device.type != "cpu" or self.training:
                return F.linear(x, weight, self.bias), False
            if cast or x.dtype != weight.dtype or not can_pack(x.dtype):
                return F.linear(x, weight, self.bias), False
            self.weight = weight = nn.Parameter(_packed(weight.detach()), requires_grad=False)
        if weight.requires_grad:
            raise RuntimeError(
                "this layer has run with frozen weights, which reordered them; they cannot be "
                "trained now. Call unpack(module) before requires_grad_(True)."
            )
        if cast or x.numel() == 0 or (x.requires_grad and torch.is_grad_enabled()):
            return F.linear(x, weight.to_dense(), self.bias), False
        return _product(x, weight, self.bias, gelu), gelu

    def unpack(self) -> None:
        """Put the plain weight back."""
        if self.is_packed:
            self.weight = nn.Parameter(self.dense(), requires_grad=False)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle gets: plain weights."""
        state = dict(self.__dict__)
        if self.is_packed:
            plain = nn.Parameter(self.dense(), requires_grad=False)
            state["_parameters"] = {**self._parameters, "weight": plain}
        return state

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Move or cast; a weight that stays where it is stays packed."""
        if self.is_packed:
            probe = torch.empty(0, dtype=self.weight.dtype)
            moved = fn(probe)
            if (moved.dtype, moved.device) == (probe.dtype, probe.device):
                return self
            self.unpack()
        parent: Any = super()  # untyped in some versions of torch
        return parent._apply(fn, recurse)


def unpack(module: nn.Module) -> None:
    """Put plain weights back into every layer, so that they can be trained, saved or changed."""
    for layer in module.modules():
        if isinstance(layer, Linear):
            layer.unpack()
