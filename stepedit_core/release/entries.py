"""The tensors of a bundle's file as they are stored: dtype, and int8 or int4 for matrices."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor

from ..bundle.saving import Entry
from ..models.quantized import Kind, is_matrix, stored_as
from ..models.quantized import quantize as quantize_matrix
from .rules import Place, Plan


def entries(
    plan: Plan, part: str, lm_dtype: torch.dtype, quantize: Kind | Literal[""] = ""
) -> list[Entry]:
    """The file of a part: each tensor with the dtype it is stored in."""
    out = []
    for place in plan.places:
        if part == "llm" and quantize and is_matrix(place.name) and place.dtype.is_floating_point:
            out += _quantized_entries(place, quantize)
            continue
        stored = stored_dtype(part, place, lm_dtype)
        out.append(Entry(name=place.name, shape=place.shape, dtype=stored, make=place.make))
    return out


def stored_dtype(part: str, place: Place, lm_dtype: torch.dtype) -> torch.dtype:
    """How a bundle keeps a tensor.

    The recogniser's predictor stays float32 beside its fp16 decoder: its weights are added up over
    the whole clip, and a sum that falls below a whole number loses a unit.
    """
    if not place.dtype.is_floating_point:
        return place.dtype
    if part == "recogniser":
        return torch.float32 if place.name.startswith("predictor.") else torch.float16
    return lm_dtype if part == "llm" else torch.float32


def _quantized_entries(place: Place, kind: Kind) -> list[Entry]:
    """What stores one matrix; it is read once, when the first of its entries is written."""
    made: dict[str, Tensor] = {}

    def leaf(name: str) -> Tensor:
        if name not in made:
            made.update(quantize_matrix(place.make(), kind))
        return made.pop(name)

    stem = place.name.removesuffix("weight")
    outputs, inputs = place.shape
    return [
        Entry(name=stem + name, shape=shape, dtype=dtype, make=partial(leaf, name))
        for name, (shape, dtype) in stored_as(kind, outputs, inputs).items()
    ]
