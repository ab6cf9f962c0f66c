"""Step-1, the decoder language model that writes audio ids. Source: spec 6.1, 6.2 and 11.1.

Grouped-query attention with a bias of -slope * sqrt(distance) instead of positions, RMSNorm,
SwiGLU, no biases, untied head. One audio id stands for 24 ms (41.67 ids a second, spec 5).
Parameters carry the released names: 9 tensors a layer and 3 more, 291 at the default config.
Letters: B rows, L ids, K cached ids, D width, H query heads, G key groups, R = H / G, V ids.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .int8_product import pack_model, shared
from .llm_cache import KVCache, PromptMemory
from .llm_step import FUSE_LIMIT, FusedLayers, Joined, step_fused
from .packed import Linear

PREFILL_BLOCK = 1024
"""Queries attended at a time during prefill; bounds the bias to (H, 1024, K)."""


@dataclass(frozen=True, kw_only=True)
class LMConfig:
    """Sizes of the language model; the defaults are the release's config.json (spec 6.1)."""

    vocab_size: int = 74752
    """Rows V of the embedding and of the head."""
    hidden_size: int = 3072
    """Width D."""
    intermediate_size: int = 8192
    """Width of the gated feed-forward part."""
    num_hidden_layers: int = 32
    """Decoder layers."""
    num_attention_heads: int = 48
    """Query heads H; D / H is the head width."""
    num_attention_groups: int = 4
    """Key and value heads G; query head h reads group h // (H / G)."""
    rms_norm_eps: float = 1e-5
    """Added to the mean square in every RMSNorm."""
    max_seq_len: int = 32768
    """Most ids of prompt and answer together."""

    def __post_init__(self) -> None:
        """Check that the heads divide the width and the groups divide the heads."""
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads "
                f"{self.num_attention_heads}. Change one of them in the config."
            )
        if self.num_attention_heads % self.num_attention_groups:
            raise ValueError(
                f"num_attention_heads {self.num_attention_heads} is not a multiple of "
                f"num_attention_groups {self.num_attention_groups}. Change one of them."
            )

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.hidden_size // self.num_attention_heads


def sqrt_alibi_slopes(heads: int, device: torch.device | None = None) -> Tensor:
    """Slopes (H,) float32 of the square-root ALiBi bias, in head order (spec 6.2).

    With n the largest power of two <= H: 2^(-8 m / n) for m = 1..n, then the odd powers of
    2^(-4 / n) for the heads above n. Powers are taken in float32, as the reference takes them.
    """
    n = 1 << (heads.bit_length() - 1)
    slopes = (2.0 ** (-8.0 / n)) ** torch.arange(1, n + 1, device=device)
    extra = (2.0 ** (-4.0 / n)) ** torch.arange(1, 1 + 2 * (heads - n), 2, device=device)
    return torch.cat([slopes, extra])


def sqrt_alibi_bias(
    q_len: int, k_len: int, slopes: Tensor, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Additive attention bias (H, q_len, k_len): -slope * sqrt(i - j), -inf where j > i.

    The queries are the last q_len of the k_len positions. Built in float32, then cast to dtype.
    """
    keys = torch.arange(k_len, device=slopes.device)
    queries = keys[k_len - q_len :]
    distance = queries[:, None] - keys[None, :]
    bias = slopes[:, None, None] * -distance.clamp(min=0).float().sqrt()
    return bias.masked_fill_(distance < 0, -math.inf).to(dtype)


class RMSNorm(nn.Module):
    """Root-mean-square norm; the float32 factor is cast to the input's dtype before it is used.

    Fused kernels round once at the end instead, which differs in half precision (spec 6.2).
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D), same dtype."""
        factor = torch.rsqrt(x.float().square().mean(-1, keepdim=True) + self.eps)
        return x * factor.to(x.dtype) * self.weight


class Attention(nn.Module):
    """Grouped-query attention; heads of one group stack along the query axis, keys stay single."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        width, groups = config.hidden_size, config.num_attention_groups
        self.groups = groups
        self.head_dim = config.head_dim
        self.q_proj = Linear(width, width, bias=False)
        self.k_proj = Linear(width, groups * config.head_dim, bias=False)
        self.v_proj = Linear(width, groups * config.head_dim, bias=False)
        self.o_proj = Linear(width, width, bias=False)

    def forward(
        self, x: Tensor, bias: Tensor, kv: Tensor | None = None, past: int | Tensor = 0
    ) -> Tensor:
        """(B, L, D) -> (B, L, D).

        Args:
            x: input of L new positions.
            bias: (1 or B, H, L, K) additive, K = past + L.
            kv: one layer's cache (B, 2, G, >= K, head_dim); slots past..K-1 are written.
            past: filled slots before this call. As a tensor (1,) on the device L is 1 and K counts
                all slots of kv, filled or not.
        """
        batch, length, width = x.shape
        heads = width // self.head_dim
        x = shared(self.q_proj, x)
        q = self.q_proj(x).view(batch, length, heads, self.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(batch, length, self.groups, self.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(batch, length, self.groups, self.head_dim).transpose(1, 2)
        if kv is not None and isinstance(past, Tensor):
            kv[:, 0].index_copy_(2, past, k)
            kv[:, 1].index_copy_(2, past, v)
            k, v = kv.unbind(1)
        elif kv is not None:
            total = past + length
            kv[:, 0, :, past:total] = k
            kv[:, 1, :, past:total] = v
            k, v = kv[:, 0, :, :total], kv[:, 1, :, :total]
        stacked = (batch, self.groups, heads // self.groups * length, self.head_dim)
        mask = bias.reshape(bias.shape[0], self.groups, stacked[2], bias.shape[-1])
        out = F.scaled_dot_product_attention(q.reshape(stacked), k, v, mask.to(q.dtype))
        out = out.reshape(batch, heads, length, self.head_dim).transpose(1, 2)
        return self.o_proj(out.reshape(batch, length, width))  # type: ignore[no-any-return]


class MLP(nn.Module):
    """Gated feed-forward part: down(silu(gate(x)) * up(x))."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.gate_proj = Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        x = shared(self.gate_proj, x)
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Pre-norm decoder layer."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(
        self, x: Tensor, bias: Tensor, kv: Tensor | None = None, past: int | Tensor = 0
    ) -> Tensor:
        """(B, L, D) -> (B, L, D); arguments as in Attention."""
        x = x + self.self_attn(self.input_layernorm(x), bias, kv, past)
        return x + self.mlp(self.post_attention_layernorm(x))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Embedding, layers and final norm: the tensors named model.* in the release."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, ids: Tensor, *, checkpointing: bool = False) -> Tensor:
        """Final hidden states (B, L, D) of ids (B, L) int64, causal; right padding is harmless.

        With `checkpointing` each layer is computed again in the backward pass, not kept.
        """
        x = self.embed_tokens(ids)
        slopes = sqrt_alibi_slopes(self.heads, ids.device)
        bias = sqrt_alibi_bias(ids.shape[1], ids.shape[1], slopes, x.dtype)[None]
        for layer in self.layers:
            x = checkpoint(layer, x, bias, use_reentrant=False) if checkpointing else layer(x, bias)
        return self.norm(x)  # type: ignore[no-any-return]


class Step1LM(nn.Module):
    """The language model. `forward` trains; `prefill_hidden` and `step_hidden` fill a cache."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self._fused = FusedLayers()

    @torch.no_grad()
    def initialise(self, generator: torch.Generator, std: float = 0.02) -> None:
        """Draw fresh weights for training: normal with std, residual outputs / sqrt(2 layers)."""
        residual = std / math.sqrt(2 * self.config.num_hidden_layers)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                last = name.endswith(("o_proj.weight", "down_proj.weight"))
                weight.normal_(0.0, residual if last else std, generator=generator)
            else:
                weight.fill_(1.0)

    def forward(self, ids: Tensor, *, checkpointing: bool = False) -> Tensor:
        """Final hidden states (B, L, D) of ids (B, L) int64; see Decoder.forward."""
        return self.model(ids, checkpointing=checkpointing)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        """Logits (..., last - first) of the ids first..last-1 for hidden (..., D).

        Only these head rows are read: at a known slot that is 1 to 6 % of the released head.
        """
        return F.linear(hidden, self.lm_head.weight[first:last])

    def slot_head(self, first: int, last: int, end: int) -> Callable[[Tensor], Tensor]:
        """Logits (B, last - first + 1) of the ids first..last-1 and `end` for hidden (B, D)."""
        weight = self.lm_head.weight
        if self._is_small:
            return Joined(weight[first:last], weight[end : end + 1])
        return lambda hidden: torch.cat(
            [self.logits(hidden, first, last), self.logits(hidden, end, end + 1)], dim=1
        )

    @property
    def _is_small(self) -> bool:
        return sum(p.numel() for p in self.parameters()) <= FUSE_LIMIT

    def new_cache(self, batch: int, length: int) -> KVCache:
        """An empty cache for `batch` rows of at most `length` ids, in the weights' dtype."""
        config, weight = self.config, self.lm_head.weight
        if length > config.max_seq_len:
            raise ValueError(
                f"{length} ids were asked for in one sequence; the model takes up to "
                f"{config.max_seq_len}. Shorten the audio or the text."
            )
        shape = (2, config.num_attention_groups, length, config.head_dim)
        return KVCache(weight.new_zeros(config.num_hidden_layers, batch, *shape))

    @torch.no_grad()
    def prefill_hidden(
        self,
        prompts: Sequence[Sequence[int]],
        cache: KVCache,
        *,
        cuts: Sequence[Sequence[int]] = (),
        memory: PromptMemory | None = None,
    ) -> Tensor:
        """Fill an empty cache with B prompts of any lengths; last hidden states (B, D).

        Each row runs alone and un-padded, hence equals batch 1 exactly, and ends at the same
        slot as the others; equal prompts run once. `cuts` lists for each prompt where it runs in
        two parts, rising; what `memory`, or a prompt before it, knows up to a cut is not run again.
        Raises ValueError when the cache is too small.
        """
        longest = max(len(prompt) for prompt in prompts)
        if len(prompts) != cache.batch or longest > cache.length or not all(map(len, prompts)):
            raise ValueError(
                f"{len(prompts)} prompts of {min(map(len, prompts))} to {longest} ids do not fit a "
                f"cache of {cache.batch} rows and {cache.length} ids; prompts must hold 1 id or "
                "more. Make the cache with new_cache(rows, longest prompt + new ids)."
            )
        self._prepare(prompts, longest, cache)
        if memory is None and len(prompts) > 1 and cuts:
            memory = PromptMemory()
        done: dict[tuple[int, ...], int] = {}
        hidden: list[Tensor] = []
        for row, prompt in enumerate(prompts):
            start = longest - len(prompt)
            twin = done.setdefault(tuple(prompt), row)
            if twin != row:
                cache.kv[:, row, ..., start:longest, :] = cache.kv[:, twin, ..., start:longest, :]
                hidden.append(hidden[twin])
                continue
            kv = cache.kv[:, row : row + 1, ..., start:, :]
            hidden.append(self._prefill_row(prompt, kv, cuts[row] if cuts else (), memory))
        cache.used = longest
        return torch.cat(hidden)

    def _prepare(self, prompts: Sequence[Sequence[int]], longest: int, cache: KVCache) -> None:
        """Set what every decode step reuses: row starts, pad mask, bias line, fused weights."""
        starts = [longest - len(prompt) for prompt in prompts]
        device, dtype = cache.kv.device, cache.kv.dtype
        cache.start = torch.tensor(starts, device=device)
        cache.pad = None
        if any(starts):
            slots = torch.arange(cache.length, device=device)
            before = (slots[None] < cache.start[:, None])[:, None, None]
            cache.pad = torch.zeros_like(before, dtype=dtype).masked_fill_(before, -math.inf)
        slopes = sqrt_alibi_slopes(self.config.num_attention_heads, device)
        cache.bias = sqrt_alibi_bias(1, cache.length, slopes, dtype)[:, 0]
        pack_model(self, longest)
        layers = [cast(Layer, layer) for layer in self.model.layers]
        plain = isinstance(layers[0].mlp.down_proj, Linear)  # quantised matrices stay as they are
        if plain and self._is_small:
            cache.fused = self._fused.of(layers)

    def _prefill_row(
        self, prompt: Sequence[int], kv: Tensor, cuts: Sequence[int], memory: PromptMemory | None
    ) -> Tensor:
        """Last hidden state (1, D) of one prompt; kv (layers, 1, 2, G, >= L, head_dim)."""
        ids = torch.tensor([list(prompt)], device=kv.device)
        slopes = sqrt_alibi_slopes(self.config.num_attention_heads, kv.device)
        known = memory.recall(self, prompt, cuts, kv) if memory is not None else 0
        edges = [known, *(cut for cut in cuts if cut > known), len(prompt)]
        x = ids.new_empty(0)
        for first, last in pairwise(edges):
            for past in range(first, last, PREFILL_BLOCK):
                block = ids[:, past : min(past + PREFILL_BLOCK, last)]
                x = self.model.embed_tokens(block)
                bias = sqrt_alibi_bias(block.shape[1], past + block.shape[1], slopes, x.dtype)[None]
                for index, layer in enumerate(self.model.layers):
                    x = layer(x, bias, kv[index], past)
        if memory is not None:
            memory.keep(self, prompt, kv)
        return self.model.norm(x[:, -1])  # type: ignore[no-any-return]

    @torch.no_grad()
    def step_hidden(self, ids: Tensor, cache: KVCache) -> Tensor:
        """Append one id (B,) int64 to every row; its final hidden state (B, D).

        Raises ValueError when the cache is full or was not prefilled.
        """
        if cache.bias is None or cache.used >= cache.length:
            raise ValueError(
                f"the cache has {cache.used} of {cache.length} ids filled; a step needs one "
                "that is prefilled and has room. Call prefill_hidden first, or make a longer one."
            )
        if not cache.stepped:
            pack_model(self, cache.batch)
            cache.stepped = True
        total = cache.used + 1
        bias = cache.bias[None, :, None, cache.length - total :].contiguous()
        if cache.pad is not None:
            bias = bias + cache.pad[..., :total]
        if cache.fused is not None:
            x = step_fused(self.config, self.model.embed_tokens(ids), bias, cache, cache.fused)
        else:
            x = self.model.embed_tokens(ids)[:, None]
            for index, layer in enumerate(self.model.layers):
                x = layer(x, bias, cache.kv[index], cache.used)
            x = x[:, 0]
        cache.used = total
        return self.model.norm(x)  # type: ignore[no-any-return]
