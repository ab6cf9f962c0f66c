"""Products with int8 weights by fbgemm, which torch has inside for x86: one reading of the weight.

A row of activations x is written in two int8 numbers an input, x = (high + low / 254) * scale, so
15 bits of it remain, more than bfloat16 has. Both run as rows of one product, which is bound by
reading the weight: two rows take as long as one. Sums are whole numbers, so a row gives the same
result alone and among others. Weights lie in fbgemm's own order, made once by `packed`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

Packed = list[Any]
"""A weight in fbgemm's order: script objects of torch, each PIECE rows of it or fewer."""
PIECE = 2048
"""Rows packed together: 2.7 ns a number; 8192 rows at once take 5, of which the pages are too many
for the processor's table."""
MOST = 127
"""Largest int8 number used."""
STEPS = 2 * MOST
"""Steps of the low number in one of the high number."""
ZERO = 128
"""What fbgemm adds to an activation, which it keeps as uint8."""


@dataclass(frozen=True)
class Split:
    """N rows in two int8 numbers an input."""

    halves: Tensor
    """(2 N, inputs) float32 numbers from -127 to 127: the high ones, then the low ones."""
    scale: Tensor
    """(N, 1) float32."""
    shape: torch.Size
    """Of the activations, (..., inputs)."""
    dtype: torch.dtype
    """Of the activations, and of what comes out."""


def shared(layer: Any, x: Tensor) -> Any:
    """What layers like this one take for x; computed once where several read the same x."""
    prepared = getattr(layer, "prepared", None)
    return x if prepared is None else prepared(x)


def split(x: Tensor) -> Split:
    """Activations (..., inputs) of any float dtype in two int8 numbers each."""
    rows = x.reshape(-1, x.shape[-1]).float()
    scale = rows.abs().amax(1, keepdim=True).div_(MOST).clamp_(min=1e-30)
    scaled = rows / scale
    halves = torch.empty(2, *rows.shape)
    torch.round(scaled, out=halves[0])
    torch.sub(scaled, halves[0], out=halves[1]).mul_(STEPS)
    return Split(halves.flatten(0, 1), scale, x.shape, x.dtype)


def product(x: Split, weight: Packed) -> Tensor:
    """(..., outputs) in the dtype of the activations."""
    multiply = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
    parts = [multiply(x.halves, 1.0, ZERO, piece) for piece in weight]
    made = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
    high, low = made.view(2, -1, made.shape[-1])
    out = torch.add(high, low, alpha=1 / STEPS).mul_(x.scale)
    return out.to(x.dtype).view(*x.shape[:-1], -1)


def packed(weight: Tensor, scale: Tensor) -> Packed:
    """An int8 weight (outputs, inputs) with one scale a row, in fbgemm's order."""
    count = -(-len(scale) // PIECE)
    pieces = zip(weight.tensor_split(count), scale.double().tensor_split(count), strict=True)
    return [_packed(numbers, scales) for numbers, scales in pieces]


def _packed(weight: Tensor, scale: Tensor) -> Any:
    zeros = torch.zeros(len(scale), dtype=torch.int64)
    numbers = torch._make_per_channel_quantized_tensor(weight, scale, zeros, 0)
    return torch.ops.quantized.linear_prepack(numbers, None)


def pieces(weight: Packed) -> Iterator[Tensor]:
    """The int8 numbers that were packed, (rows, inputs) a piece: 2.6 ns a number."""
    for piece in weight:
        yield torch.ops.quantized.linear_unpack(piece)[0].int_repr()


def unpacked(weight: Packed) -> Tensor:
    """The int8 numbers (outputs, inputs) that were packed."""
    return torch.cat(list(pieces(weight)))


def pack_model(model: nn.Module, rows: int) -> None:
    """Pack the weights of every layer that needs it for so many rows, on torch's threads.

    Packing takes 2.7 ns a number on one core: 8 s for the release.
    """
    known: list[Any] = [layer for layer in model.modules() if hasattr(layer, "takes_packed")]
    waiting = [layer for layer in known if layer.packed is None and layer.takes_packed(rows)]
    if waiting:
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(lambda layer: layer.pack(), waiting))


@lru_cache(maxsize=1)
def can_multiply() -> bool:
    """Whether this torch and this processor have the product, found by trying its largest sums.

    Processors without VNNI add two products in 16 bits, which the largest numbers overflow.
    """
    x = torch.linspace(-1, 1, 3 * 64).view(3, 64)
    x[2] = 1.0
    weight = torch.linspace(-MOST, MOST, 32 * 64).round().view(32, 64).to(torch.int8)
    weight[3], weight[4] = MOST, -MOST
    scale = torch.linspace(0.01, 0.02, 32)
    try:
        with warnings.catch_warnings():  # torch says once that quantised tensors will be removed
            warnings.simplefilter("ignore")
            order = packed(weight, scale)
            made = product(split(x), order)
            back = unpacked(order)
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
    exact = x.double() @ (weight.double() * scale.double()[:, None]).T
    return torch.equal(back, weight) and torch.allclose(made.double(), exact, rtol=0, atol=5e-3)
