"""Products of many rows with int8 and int4 weights, by a strip of the weight in floats at a time.

A strip is written over the one before it, so it stays in the caches. A prompt then costs what it
costs with a bfloat16 weight and one pass over the weight: 1.1 times for int8, 1.3 for int4
(docs/benchmarks/2026-11-28-stages.md). Letters: N rows, K inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from .packed import has_bf16_units

STRIP = 384
"""Outputs of a strip; not a power of two, whose columns fall on each other in the caches. 420 rows,
8192 outputs of 3072 inputs, one thread, int4's product alone: 384 100 ms, 256 or 512 110; oneDNN's
own layout 98."""
WIDE = 2**14
"""Outputs of a strip on other devices, where calls cost more than memory."""


def int8_product(rows: Tensor, pieces: Iterable[Tensor], scale: Tensor) -> Tensor:
    """Rows (N, K) times an int8 weight (O, K) with one scale (O,) a row: (N, O) like rows.

    pieces: the weight in order, cut anywhere between its rows.
    """
    rows, out = _floats(rows), rows.new_empty(rows.shape[0], len(scale))
    scale = scale.to(rows.dtype)
    width = min(_width(rows), len(scale))
    numbers, made = rows.new_empty(width, rows.shape[1]), rows.new_empty(rows.shape[0] * width)
    first = 0
    for piece in pieces:
        for strip in torch.split(piece, width):
            last = first + len(strip)
            weight = numbers[: len(strip)].copy_(strip)
            part = made[: rows.shape[0] * len(strip)].view(-1, len(strip))
            torch.mm(rows, weight.T, out=part)
            out[:, first:last] = part.mul_(scale[first:last])
            first = last
    return out


def int4_product(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """Rows (N, K) times an int4 weight in blocks, as quantized.stored_as has them: (N, O)."""
    rows, out = _floats(rows), rows.new_empty(rows.shape[0], scale.shape[1])
    blocks, inputs, half = weight.shape
    step = min(max(1, _width(rows) // (2 * half)), blocks)  # blocks of a strip
    numbers = rows.new_empty(inputs * step * 2 * half)
    made = rows.new_empty(rows.shape[0] * step * 2 * half)
    for block in range(0, blocks, step):
        strip = weight[block : block + step]
        first, width = block * 2 * half, len(strip) * 2 * half
        columns = int4_columns(strip, scale[:, first : first + width], numbers[: inputs * width])
        part = made[: rows.shape[0] * width].view(-1, width)
        torch.mm(rows, columns, out=part)
        out[:, first : first + width] = part
    return out


def int4_columns(blocks: Tensor, scale: Tensor, numbers: Tensor) -> Tensor:
    """An int4 weight as columns (K, O), written into numbers (K * O,) of any float dtype.

    blocks (O / 64, K, 32) uint8, scale (K / 64, O, 2), for the released sizes.
    """
    count, inputs, half = blocks.shape
    packed = blocks.transpose(0, 1)  # (K, blocks, half)
    halves = numbers.view(inputs, count, 2, half)
    # bytes are moved before they become floats: five times faster
    halves[:, :, 0] = (packed & 15).view(torch.int8).sub_(8)
    halves[:, :, 1] = (packed >> 4).view(torch.int8).sub_(8)
    step, zero = (scale[:, None, :, place].to(numbers.dtype).contiguous() for place in (0, 1))
    grouped = numbers.view(scale.shape[0], -1, scale.shape[1])
    return torch.addcmul(zero, grouped, step, out=grouped).view(inputs, -1)


def _width(rows: Tensor) -> int:
    return STRIP if rows.device.type == "cpu" else WIDE


def _floats(rows: Tensor) -> Tensor:
    """Rows in what this processor multiplies fastest: bfloat16 only where it has units for it."""
    slow = rows.dtype == torch.bfloat16 and rows.device.type == "cpu" and not has_bf16_units()
    return rows.float() if slow else rows
