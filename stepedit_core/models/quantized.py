"""Linear layers of the language model with weights of 8 or 4 bits; activations stay as they are.

int8  w = q * scale, q in -127..127, one bfloat16 scale a row of the output
int4  w = (q - 8) * scale + zero, q in 0..15, one bfloat16 pair for 64 inputs of a row

Embedding and head stay in 16 bits, as in AWQ (spec 10): of the head a step reads a few rows only.
The int4 file has blocks of 64 rows as torch's product for CPUs with AVX-512 reads them (byte
[block, k, j] has row j in its low half and row 32 + j in its high half), so it can stay mapped.
Few rows: int8 on a CPU with VNNI goes through fbgemm (int8_product), whose order of the weight
replaces the stored one; else through torch's own products. Many rows, and devices without those,
take strips of the weight back to floats and multiply them (strips).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import int8_product, strips
from .int8_product import Packed, Split
from .llm import Layer, Step1LM
from .packed import Linear

Kind = Literal["int8", "int4"]
LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The seven matrices of a decoder layer; 224 of them in the release."""
BLOCK = 64
"""Rows of an int4 block, and inputs that share a scale."""
FEW = {"int8": 16, "int4": 40}
"""Most rows for torch's own products: with more, taking the weight back to floats is faster
(1024 x 2048, one thread: int8, 16 rows 0.87 ms either way; int4, 32 rows 1.6 by the product and
about 1.8 by floats, 64 rows 3.3 and about 2.5)."""
FEW_PACKED = 64
"""Most rows for fbgemm where the weight can be read as it is stored."""


class QuantizedLinear(nn.Module):
    """A linear layer without bias, (..., inputs) -> (..., outputs)."""

    weight: Tensor
    scale: Tensor

    def __init__(self, kind: Kind, inputs: int, outputs: int) -> None:
        super().__init__()
        self.kind = kind
        self.inputs = inputs
        self.outputs = outputs
        self.packed: Packed | None = None
        """The weight in fbgemm's order once it has run there; `weight` is empty then."""
        self.source: Callable[[], Tensor | None] | None = None
        """Reads the stored int8 weight from its file again; None where there is no such file."""
        for name, (shape, dtype) in stored_as(kind, outputs, inputs).items():
            self.register_buffer(name, torch.empty(shape, dtype=dtype))

    def prepared(self, x: Tensor) -> Tensor | Split:
        """What forward takes for x (..., inputs); layers that share x share this."""
        here = x.device.type == "cpu" and not x.requires_grad
        if here and self.takes_packed(x.numel() // self.inputs):
            return int8_product.split(x)
        return x

    def takes_packed(self, rows: int) -> bool:
        """Whether so many rows go through fbgemm.

        Many do not where the weight can be read again as it is stored. Else they do: unpacking
        takes longer than the product of 400 rows. What ran before changes nothing.
        """
        here = self.kind == "int8" and self.scale.device.type == "cpu"
        few = self.source is None or rows <= FEW_PACKED
        return here and few and int8_product.can_multiply()

    def pack(self) -> Packed:
        """The weight in fbgemm's order, which replaces the stored one at the first call."""
        weight = self.weight  # read before `packed`: another thread may pack it meanwhile
        if self.packed is None:
            self.packed = int8_product.packed(weight, self.scale)
            self.weight = weight.new_empty(0)
        return self.packed

    def unpack(self) -> None:
        """Put the stored weight back."""
        if self.packed is not None:
            self.weight, self.packed = int8_product.unpacked(self.packed), None

    def forward(self, x: Tensor | Split) -> Tensor:
        """(..., inputs), or what prepared made of it, -> (..., outputs) in the dtype of x."""
        if isinstance(x, Tensor) and not x.numel():
            return x.new_empty(*x.shape[:-1], self.outputs)
        x = self.prepared(x) if isinstance(x, Tensor) else x
        if isinstance(x, Split):
            return int8_product.product(x, self.pack())
        rows = x.reshape(-1, self.inputs)
        if x.requires_grad and torch.is_grad_enabled():
            self.unpack()
            out = F.linear(rows, self.dense(x.dtype))
        elif rows.shape[0] <= FEW[self.kind] and self._has_product(x):
            out = self._few(rows)
        elif self.kind == "int8":
            out = strips.int8_product(rows, self._stored(), self.scale)
        else:
            out = strips.int4_product(rows, self.weight, self.scale)
        return out.view(*x.shape[:-1], self.outputs)

    def _few(self, rows: Tensor) -> Tensor:
        """Rows (n, inputs) through torch's own product."""
        self.unpack()
        if self.kind == "int8":
            return torch._weight_int8pack_mm(rows, self.weight, self.scale)
        flat = self.weight.view(self.outputs, -1)
        return torch._weight_int4pack_mm_for_cpu(rows, flat, BLOCK, self.scale)

    def _stored(self) -> Iterable[Tensor]:
        """The int8 weight in pieces that follow one another: as it is, of its file, or unpacked."""
        weight, packed = self.weight, self.packed  # in this order, see pack
        if packed is None or weight.numel():
            return (weight,)
        again = self.source() if self.source is not None else None
        return int8_product.pieces(packed) if again is None else (again,)

    def dense(self, dtype: torch.dtype | None = None) -> Tensor:
        """The weight (outputs, inputs) as numbers of a dtype, which is the scales' if None."""
        dtype = dtype or self.scale.dtype
        if self.kind == "int8":
            weight = torch.cat(list(self._stored()))
            return weight.to(dtype) * self.scale[:, None].to(dtype)
        numbers = self.scale.new_empty(self.inputs * self.outputs, dtype=dtype)
        return strips.int4_columns(self.weight, self.scale, numbers).T

    def _has_product(self, x: Tensor) -> bool:
        if x.dtype != self.scale.dtype:
            return False
        if self.kind == "int4" and (self.outputs % BLOCK or self.inputs % BLOCK):
            return False
        return has_product(self.kind, x.device.type, x.dtype)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle gets: the stored weight."""
        state = dict(self.__dict__)
        if self.packed is not None:
            plain = int8_product.unpacked(self.packed)
            state |= {"packed": None, "_buffers": {**self._buffers, "weight": plain}}
        return state

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.unpack()
        self.source = None
        super()._load_from_state_dict(*args, **kwargs)

    def _save_to_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.unpack()
        super()._save_to_state_dict(*args, **kwargs)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Move or cast; a weight that stays where it is stays packed."""
        if self.packed is not None and fn(self.scale).device != self.scale.device:
            self.unpack()
        parent: Any = super()  # untyped in some versions of torch
        return parent._apply(fn, recurse)


def stored_as(
    kind: Kind, outputs: int, inputs: int
) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Name -> shape and dtype of what stores a weight (outputs, inputs)."""
    if kind == "int8":
        return {
            "weight": ((outputs, inputs), torch.int8),
            "scale": ((outputs,), torch.bfloat16),
        }
    block = _block(outputs)
    return {
        "weight": ((outputs // block, inputs, block // 2), torch.uint8),
        "scale": ((inputs // _group(inputs), outputs, 2), torch.bfloat16),
    }


def _block(outputs: int) -> int:
    """Rows of an int4 block: 64, or the greatest even divisor of a toy size up to that."""
    return math.gcd(outputs, BLOCK)


def _group(inputs: int) -> int:
    """Inputs that share an int4 scale: 64, or the greatest divisor of a toy size."""
    return math.gcd(inputs, BLOCK)


def quantize(weight: Tensor, kind: Kind) -> dict[str, Tensor]:
    """What stores a weight (outputs, inputs) of any float dtype; see stored_as.

    Scales are rounded to bfloat16 first and the weights with the rounded scale, so that the
    rounding of a scale costs nothing.
    """
    w = weight.detach().float()
    if kind == "int8":
        scale = (w.abs().amax(1) / 127).clamp(min=1e-8).bfloat16()
        q = w / scale[:, None].float()
        return {"weight": q.round_().clamp_(-127, 127).to(torch.int8), "scale": scale}
    outputs, inputs = w.shape
    group = _group(inputs)
    grouped = w.view(outputs, -1, group)
    low, high = grouped.amin(-1), grouped.amax(-1)
    scale = ((high - low) / 15).clamp(min=1e-8).bfloat16()
    zero = (low + 8 * scale.float()).bfloat16()
    q = (grouped - zero[..., None].float()) / scale[..., None].float()
    numbers = q.add_(8).round_().clamp_(0, 15).to(torch.uint8).view(outputs, inputs)
    pairs = torch.stack([scale.T, zero.T], -1).contiguous()
    return {"weight": pack_int4(numbers), "scale": pairs}


def pack_int4(numbers: Tensor) -> Tensor:
    """Numbers 0 to 15, uint8 (outputs, inputs), in blocks as stored_as has them."""
    outputs, inputs = numbers.shape
    block = _block(outputs)
    blocks = numbers.view(outputs // block, 2, block // 2, inputs)
    return (blocks[:, 0] | (blocks[:, 1] << 4)).transpose(1, 2).contiguous()


def quantized(name: str, tensor: Tensor, kind: Kind | Literal[""]) -> dict[str, Tensor]:
    """Entries that replace one tensor of the language model: itself unless a layer's matrix."""
    if not kind or not is_matrix(name):
        return {name: tensor}
    stem = name.removesuffix(".weight")
    return {f"{stem}.{leaf}": value for leaf, value in quantize(tensor, kind).items()}


def is_matrix(name: str) -> bool:
    """Whether a tensor of the language model is one of the matrices that are quantised."""
    parts = name.split(".")
    return parts[-1] == "weight" and len(parts) > 1 and parts[-2] in LAYERS


def with_quantized_layers(model: Step1LM, kind: Kind) -> Step1LM:
    """The model with empty quantised layers in place of its matrices; changed in place."""
    for layer in model.model.layers:
        assert isinstance(layer, Layer)
        for part in (layer.self_attn, layer.mlp):
            for name, old in list(part.named_children()):
                if isinstance(old, Linear):
                    setattr(part, name, QuantizedLinear(kind, old.in_features, old.out_features))
    return model


@lru_cache(maxsize=16)
def has_product(kind: Kind, device: str, dtype: torch.dtype) -> bool:
    """Whether torch's product for quantised weights is right on a device, found by trying it.

    The layout of int4 weights depends on the processor: ours is the one of AVX-512.
    """
    layer = QuantizedLinear(kind, BLOCK, 2 * BLOCK)
    weight = torch.linspace(-1, 1, 2 * BLOCK * BLOCK).sin().view(2 * BLOCK, BLOCK)
    for name, value in quantize(weight, kind).items():
        value = value.to(device, dtype) if value.is_floating_point() else value.to(device)
        setattr(layer, name, value)
    x = torch.linspace(-1, 1, 2 * BLOCK).cos().view(2, BLOCK).to(device, dtype)
    if kind == "int4" and device != "cpu":
        return False  # the product for CUDA wants another layout
    try:
        if kind == "int8":
            made = torch._weight_int8pack_mm(x, layer.weight, layer.scale)
        else:
            flat = layer.weight.view(2 * BLOCK, -1)
            made = torch._weight_int4pack_mm_for_cpu(x, flat, BLOCK, layer.scale)
    except (RuntimeError, AttributeError):  # this torch, or this device, has none
        return False
    return torch.allclose(made.float(), (x @ layer.dense().T).float(), rtol=2e-2, atol=5e-2)
