"""One step of the language model with joined weights: the same sums as its layers, fewer calls.

Letters as in llm.py: B rows, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from .half_product import packed, product
from .llm_cache import KVCache

if TYPE_CHECKING:
    from .llm import Layer, LMConfig, RMSNorm

FUSE_LIMIT = 200_000_000
"""Models up to this many parameters get fused weight copies for decoding: there Python and
kernel launches cost more than the arithmetic, and the copy is small."""


class Joined:
    """The product with several weights (out, in) side by side, made for a few rows."""

    def __init__(self, *weights: Tensor) -> None:
        weight = torch.cat(weights)
        self._half = packed(weight)
        # (in, out): a product with one row reads this a quarter faster
        self._plain = None if self._half is not None else weight.T.contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        """(B, in) -> (B, sum of out)."""
        return product(x, self._half) if self._plain is None else torch.mm(x, self._plain)


class Norm:
    """RMSNorm of (B, D) in fewer calls: the root of a mean square is a length over sqrt(D)."""

    def __init__(self, norm: RMSNorm) -> None:
        self._norm, self._root = norm, norm.weight.shape[0] ** 0.5
        self._scaled = norm.weight.detach() * self._root
        self._least = norm.weight.new_tensor(self._root * norm.eps**0.5)

    def __call__(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, D). Half precision keeps the order of its roundings."""
        if x.dtype != torch.float32:
            return self._norm(x)  # type: ignore[no-any-return]
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return (x / torch.hypot(length, self._least)).mul_(self._scaled)


@dataclass(frozen=True)
class FusedLayer:
    """One layer's weights, joined: a decode step needs four products, not seven."""

    attention_norm: Norm
    qkv: Joined
    out: Joined
    mlp_norm: Norm
    gate_up: Joined
    down: Joined


def fuse(layer: Layer) -> FusedLayer:
    """Copies of a layer's weights for decoding."""
    attn, mlp = layer.self_attn, layer.mlp
    return FusedLayer(
        Norm(layer.input_layernorm),
        Joined(attn.q_proj.dense(), attn.k_proj.dense(), attn.v_proj.dense()),
        Joined(attn.o_proj.dense()),
        Norm(layer.post_attention_layernorm),
        Joined(mlp.gate_proj.dense(), mlp.up_proj.dense()),
        Joined(mlp.down_proj.dense()),
    )


class FusedLayers:
    """The fused layers of a model, made anew only when its weights have changed."""

    def __init__(self) -> None:
        self._made_of: list[tuple[Tensor, int]] = []
        self._layers: list[FusedLayer] = []

    def of(self, layers: Sequence[Layer]) -> list[FusedLayer]:
        """Fused copies of these layers."""
        weights = [weight for layer in layers for weight in layer.parameters()]
        known = len(weights) == len(self._made_of) and all(
            weight is old and _version(weight) == version
            for weight, (old, version) in zip(weights, self._made_of, strict=True)
        )
        if not known:
            self._layers = [fuse(layer) for layer in layers]
            self._made_of = [(weight, _version(weight)) for weight in weights]
        return self._layers

    def __deepcopy__(self, memo: object) -> FusedLayers:
        """A copied model fuses its own weights."""
        return FusedLayers()

    def __reduce__(self) -> tuple[type[FusedLayers], tuple[()]]:
        """Nothing of it is saved."""
        return FusedLayers, ()


def _version(weight: Tensor) -> int:
    """How often a weight was written; one that oneDNN has reordered is not written."""
    return 0 if weight.is_inference() else weight._version


def step_fused(
    config: LMConfig, x: Tensor, bias: Tensor, cache: KVCache, layers: Sequence[FusedLayer]
) -> Tensor:
    """The layers on x (B, D) with joined weights; the same sums as Layer, fewer calls."""
    past = cache.used
    batch, width, dim = x.shape[0], config.hidden_size, config.head_dim
    groups = config.num_attention_groups
    rows = config.num_attention_heads // groups
    mask = bias.reshape(bias.shape[0], groups, rows, past + 1)
    written = cache.kv[..., past, :].unbind(0)
    read = cache.kv[..., : past + 1, :].unbind(0)
    for weights, slot, kv in zip(layers, written, read, strict=True):
        qkv = weights.qkv(weights.attention_norm(x))
        slot.copy_(qkv[:, width:].view(batch, 2, groups, dim))
        q = qkv[:, :width].view(batch, groups, rows, dim)
        k, v = kv.unbind(1)
        out = F.scaled_dot_product_attention(q, k, v, mask).reshape(batch, width)
        x = weights.out(out).add_(x)
        gate, up = weights.gate_up(weights.mlp_norm(x)).chunk(2, -1)
        x = weights.down(F.silu(gate).mul_(up)).add_(x)
    return x
