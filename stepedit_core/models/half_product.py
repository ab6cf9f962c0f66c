"""Products of a few float32 rows with float16 weights by fbgemm, which torch has inside for x86.

A decode step of a small model is bound by reading its weights: in float16 they are half as many
bytes, and fbgemm's order of them is read from end to end. Each number is widened in the processor
and summed in float32, so nothing is lost where the weights fit float16 exactly, as nano's do: its
files are float16. Weights that do not fit are not taken.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

Packed = Any
"""A weight in fbgemm's order: a script object of torch."""


def packed(weight: Tensor) -> Packed | None:
    """A weight (outputs, inputs) in fbgemm's order.

    None where float16 or fbgemm cannot have it as it is: another device or dtype than the CPU's
    float32, a number that float16 rounds, a processor without the product.
    """
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or not can_multiply():
        return None
    if not torch.equal(weight.half().float(), weight):
        return None
    return _packed(weight)


def product(x: Tensor, weight: Packed) -> Tensor:
    """Map x (N, inputs) float32 -> (N, outputs) float32."""
    out: Tensor = torch.ops.quantized.linear_dynamic_fp16(x, weight)
    return out


def _packed(weight: Tensor) -> Packed:
    return torch.ops.quantized.linear_prepack_fp16(weight.contiguous(), None)


@lru_cache(maxsize=1)
def can_multiply() -> bool:
    """Whether this torch and this processor have the product, found by trying it."""
    x = torch.linspace(-1, 1, 3 * 64).view(3, 64)
    weight = torch.linspace(-2, 2, 48 * 64).view(48, 64).half().float()
    try:
        with warnings.catch_warnings():  # torch says once that quantised tensors will be removed
            warnings.simplefilter("ignore")
            made = product(x, _packed(weight))
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
    return torch.allclose(made, x @ weight.T, rtol=1e-5, atol=1e-4)
