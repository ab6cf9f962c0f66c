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

from .llm_cache import KVCache
from .packed import Linear

if TYPE_CHECKING:
    from .llm import Layer, LMConfig

FUSE_LIMIT = 200_000_000
"""Models up to this many parameters get fused weight copies for decoding: there Python and
kernel launches cost more than the arithmetic, and the copy is small."""


@dataclass(frozen=True)
class FusedLayer:
    """One layer's weights as (in, out), joined: a decode step needs four products, not seven.

    The two wide ones are laid out anew, which a product with one row reads a quarter faster.
    """

    attention_norm: Tensor
    qkv: Tensor
    out: Tensor
    mlp_norm: Tensor
    gate_up: Tensor
    down: Tensor


def fuse(layer: Layer) -> FusedLayer:
    """Copies of a layer's weights for decoding."""
    attn, mlp = layer.self_attn, layer.mlp
    return FusedLayer(
        layer.input_layernorm.weight,
        _joined(attn.q_proj, attn.k_proj, attn.v_proj),
        attn.o_proj.dense().T,
        layer.post_attention_layernorm.weight,
        _joined(mlp.gate_proj, mlp.up_proj),
        mlp.down_proj.dense().T,
    )


def step_fused(
    config: LMConfig, x: Tensor, bias: Tensor, cache: KVCache, layers: Sequence[FusedLayer]
) -> Tensor:
    """The layers on x (B, D) with joined weights; the same sums as Layer, fewer calls."""
    past = cache.used
    batch, width, dim = x.shape[0], config.hidden_size, config.head_dim
    groups, eps = config.num_attention_groups, config.rms_norm_eps
    rows = config.num_attention_heads // groups
    mask = bias.reshape(bias.shape[0], groups, rows, past + 1)
    written = cache.kv[..., past, :].unbind(0)
    read = cache.kv[..., : past + 1, :].unbind(0)
    for weights, slot, kv in zip(layers, written, read, strict=True):
        qkv = torch.mm(_rms_norm(x, weights.attention_norm, eps), weights.qkv)
        slot.copy_(qkv[:, width:].view(batch, 2, groups, dim))
        q = qkv[:, :width].view(batch, groups, rows, dim)
        k, v = kv.unbind(1)
        out = F.scaled_dot_product_attention(q, k, v, mask)
        x = torch.addmm(x, out.reshape(batch, width), weights.out)
        gate_up = torch.mm(_rms_norm(x, weights.mlp_norm, eps), weights.gate_up)
        gate, up = gate_up.chunk(2, -1)
        x = torch.addmm(x, F.silu(gate).mul_(up), weights.down)
    return x


def _rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm.forward in one call where that gives equal bits, which it does in float32."""
    if x.dtype == torch.float32:
        return F.rms_norm(x, weight.shape, weight, eps)
    factor = torch.rsqrt(x.float().square().mean(-1, keepdim=True) + eps)
    return x * factor.to(x.dtype) * weight


def _joined(*layers: Linear) -> Tensor:
    """Weights of several layers side by side, (in, sum of out), contiguous."""
    return torch.cat([layer.dense() for layer in layers]).T.contiguous()
