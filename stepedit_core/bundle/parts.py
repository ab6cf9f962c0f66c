"""The networks of a bundle: built from its configs, filled exactly from its files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import nn

from ..files.tensors import read_header
from ..models import packed
from ..models.llm import Step1LM
from ..models.quantized import with_quantized_layers
from .bounds import check_header
from .manifest import Manifest, file_of, kind_of, network_of
from .precision import AS_RELEASED, TABLE, Precision, resolve
from .weights import build_empty, load_into


def part_precision(
    part: str, precision: str, manifest: Manifest, *, device: torch.device | None = None
) -> Precision:
    """The row of the precision table for a part; all but LM and flow are float32 always.

    On a CPU with units for bfloat16 the flow decoder of a large model runs in it under "auto":
    2.6 times as fast, and its mel is nearer to float32's than a vocoder's mel to its own (decision
    0035).
    """
    entry = manifest.files.get(file_of("llm"))
    row = resolve(
        precision, stored=manifest.llm_weights, lm_bytes=0 if entry is None else entry.size
    )
    if part == "llm":
        return row
    low = row.flow == "bfloat16" or (row == AS_RELEASED and has_bf16_units(device))
    return TABLE["bf16" if part == "flow" and low else "fp32"]


def has_bf16_units(device: torch.device | None) -> bool:
    """Whether a device is a CPU that multiplies bfloat16 faster than float32."""
    return device is not None and device.type == "cpu" and packed.has_bf16_units()


def dtype_of(row: Precision) -> torch.dtype:
    """The floats of a row of the precision table."""
    dtype: torch.dtype = getattr(torch, row.dtype)
    return dtype


def build_part(manifest: Manifest, part: str, *, empty: bool = True) -> nn.Module:
    """The module of a part: with no storage under its parameters, or freshly initialised."""
    kind = kind_of(part, manifest)[1]

    def make() -> nn.Module:
        module = kind(manifest.components[part])
        if isinstance(module, Step1LM) and manifest.llm_weights != "float":
            return with_quantized_layers(module, manifest.llm_weights)
        return module

    return build_empty(make) if empty else make()


def load_part(
    folder: Path,
    manifest: Manifest,
    part: str,
    *,
    device: torch.device,
    dtype: torch.dtype,
    quantize: Literal["", "int8", "int4"] = "",
) -> nn.Module:
    """One part of a bundle, filled exactly from its file; `quantize` makes plain matrices so."""
    path, what = folder / file_of(part), f"{file_of(part)} of bundle '{manifest.name}'"
    network = network_of(part, manifest)
    check_header(network, manifest.components[part], read_header(path), what)
    return load_into(
        build_part(manifest, part),
        path,
        device=device,
        dtype=dtype,
        what=what,
        quantize="" if manifest.llm_weights != "float" else quantize,
    )
