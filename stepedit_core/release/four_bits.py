"""The published 4-bit language model (Step-Audio-EditX-AWQ-4bit), repacked without loss into ours.

Its format is compressed-tensors' "pack-quantized": of a matrix (outputs, inputs) there are

    NAME_packed  int32 (outputs, inputs / 8), eight numbers of 4 bits each, the first lowest
    NAME_scale   bf16 (outputs, inputs / 128)
    NAME_shape   outputs and inputs

and a weight is (number - 8) * scale. Ours is (number - 8) * scale + zero with a pair for 64 inputs
(`models/quantized.py`), so a group of theirs is two of ours with the same scale and zero 0. What
AWQ smoothed lies in the norms already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..files.tensors import check_finite
from ..models.quantized import is_matrix, pack_int4, stored_as
from ..printable import shown
from .sources import DOWNLOAD, SafetensorsFiles

PACKED, SCALE, SHAPE = "_packed", "_scale", "_shape"
GROUP = 128
"""Inputs that share a scale."""
NUMBERS = 8
"""Numbers in 32 bits."""
READ = (
    "read are plain weights, and symmetric 4-bit integers in groups of 128 as compressed-tensors "
    "packs them. Use the folder Step-Audio-EditX or Step-Audio-EditX-AWQ-4bit as published."
)


def has_four_bits(config: Mapping[str, Any]) -> bool:
    """Whether a config.json says that the matrices are packed so; ValueError for another way."""
    if "quantization" in config:
        raise ValueError(f"config.json describes weights of MLX; {READ}")
    how = config.get("quantization_config")
    if how is None:
        return False
    if not isinstance(how, Mapping):
        raise ValueError(f"config.json has a quantization_config that is not an object; {READ}")
    found = {key: how.get(key) for key in ("quant_method", "format")}
    if found != {"quant_method": "compressed-tensors", "format": "pack-quantized"}:
        raise ValueError(f"config.json says {shown(_said(found))}; {READ}")
    groups = how.get("config_groups")
    if not isinstance(groups, Mapping) or len(groups) != 1:
        raise ValueError(f"config.json has not one group of quantised layers; {READ}")
    (group,) = groups.values()
    if not isinstance(group, Mapping) or not isinstance(group.get("weights"), Mapping):
        raise ValueError(f"config.json has a group of layers without weights; {READ}")
    if group.get("input_activations") or group.get("output_activations"):
        raise ValueError(f"config.json says that activations are quantised too; {READ}")
    expected = {"num_bits": 4, "type": "int", "symmetric": True, "group_size": GROUP}
    weights = {key: group["weights"].get(key) for key in expected}
    if group["weights"].get("actorder") == "group":
        weights["actorder"] = "group"  # columns in another order, with an index beside them
    if weights != expected:
        raise ValueError(f"config.json says {shown(_said(weights))}; {READ}")
    return True


def _said(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {shown(str(value), 40)}" for key, value in values.items())


class FourBitFiles:
    """The tensors of the 4-bit language model under our names and in our layout."""

    def __init__(self, files: SafetensorsFiles) -> None:
        self.label = files.label
        self._files = files
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._matrices: dict[str, str] = {}
        shapes = files.shapes()
        for name, shape in shapes.items():
            stem = name.removesuffix(PACKED)
            if name == stem:
                if not name.endswith((SCALE, SHAPE)):
                    self._shapes[name] = shape
                continue
            if not is_matrix(stem):
                raise ValueError(
                    f"{shown(self.label)} has {shown(name)}, which is not a matrix of a decoder "
                    f"layer; {READ}"
                )
            outputs, inputs = self._checked(stem, shape, shapes)
            short = stem.removesuffix("weight")
            for leaf, (size, _) in stored_as("int4", outputs, inputs).items():
                self._shapes[short + leaf] = size
                self._matrices[short + leaf] = stem
        plain = sorted(name for name in self._shapes if is_matrix(name))
        plain = [name for name in plain if name not in self._matrices]
        if plain:
            raise ValueError(f"{shown(self.label)} has {shown(plain[0])} as plain weights; {READ}")

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor of ours."""
        return self._shapes

    def tensor(self, name: str) -> Tensor:
        """One tensor of ours; ValueError where what is packed is not what the format allows."""
        stem = self._matrices.get(name)
        if stem is None:
            return self._files.tensor(name)
        if name.endswith("weight"):
            packed = self._read(stem + PACKED, torch.int32)
            shifts = torch.arange(NUMBERS, dtype=torch.int32) * 4
            numbers = (packed[..., None] >> shifts & 15).to(torch.uint8)
            return pack_int4(numbers.view(packed.shape[0], -1))
        scale = self._read(stem + SCALE, torch.bfloat16)
        twice = scale.T.repeat_interleave(GROUP // 64, dim=0)  # (inputs / 64, outputs)
        return torch.stack([twice, torch.zeros_like(twice)], -1).contiguous()

    def _read(self, name: str, dtype: torch.dtype) -> Tensor:
        found = self._files.tensor(name)
        if found.dtype != dtype:
            raise ValueError(
                f"{shown(name)} in {shown(self.label)} is {shown(found.dtype)}, expected is "
                f"{shown(dtype)}; {READ}"
            )
        check_finite(found, name, self.label, DOWNLOAD)
        return found

    def _checked(
        self, stem: str, packed: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]]
    ) -> tuple[int, int]:
        """Outputs and inputs of a matrix; ValueError where its three tensors do not agree."""
        if len(packed) != 2 or shapes.get(stem + SHAPE) != (2,):
            raise ValueError(
                f"{shown(self.label)} has {shown(stem + PACKED)} without two dimensions or without "
                f"{shown(stem + SHAPE)}. {DOWNLOAD}"
            )
        outputs, inputs = (int(size) for size in self._files.tensor(stem + SHAPE))
        expected = outputs, inputs // NUMBERS
        grouped = outputs, inputs // GROUP
        if inputs % GROUP or packed != expected or shapes.get(stem + SCALE) != grouped:
            raise ValueError(
                f"{shown(self.label)} says that {shown(stem)} is ({shown(outputs)}, "
                f"{shown(inputs)}), but packs {shown(packed)} with scales "
                f"{shown(shapes.get(stem + SCALE))}; expected are {shown(expected)} and "
                f"{shown(grouped)}. {DOWNLOAD}"
            )
        return outputs, inputs
