"""Token encoder of the flow decoder: 25 Hz token vectors to 50 Hz hidden frames.

Source: spec 8.2 (UpsampleConformerEncoderV2 of the CosyVoice-300M-25Hz release); parameter names
are those of flow.pt (spec 11.2, ``encoder.*``). Attention is bidirectional over the whole utterance
with relative positions (arXiv:1901.02860, appendix B). No streaming caches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .packed import Linear


def relative_positions(length: int, dim: int, *, device: torch.device | None = None) -> Tensor:
    """Sinusoids of the relative positions ``length - 1 ... -(length - 1)``.

    Returns (2 * length - 1, dim) float32; even columns sine, odd columns cosine (spec 8.2).
    """
    position = torch.arange(length - 1, -length, -1, dtype=torch.float32, device=device)
    exponent = torch.arange(0, dim, 2, dtype=torch.float32, device=device)
    angle = position[:, None] * torch.exp(exponent * -(math.log(10000.0) / dim))
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)


def align_relative(scores: Tensor) -> Tensor:
    """Turn scores by relative position (..., T, 2T - 1) into scores by key (..., T, T).

    Entry [i, j] is ``scores[i, T - 1 - i + j]``; the result is a view of a contiguous input.
    """
    length = scores.shape[-2]
    if length == 1:
        return scores
    rows = scores.flatten(-2)[..., length - 1 : -1]
    return torch.unflatten(rows, -1, (length, 2 * length - 2))[..., :length]


class RelativeAttention(nn.Module):
    """Multi-head self-attention with relative positions, spec 8.2."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.linear_q = Linear(dim, dim)
        self.linear_k = Linear(dim, dim)
        self.linear_v = Linear(dim, dim)
        self.linear_out = Linear(dim, dim)
        self.linear_pos = Linear(dim, dim, bias=False)
        self.pos_bias_u = nn.Parameter(torch.empty(heads, dim // heads))
        self.pos_bias_v = nn.Parameter(torch.empty(heads, dim // heads))
        nn.init.xavier_uniform_(self.pos_bias_u)
        nn.init.xavier_uniform_(self.pos_bias_v)

    def _heads(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(-3, -2)  # (..., H, T, dim / H)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        """Map x (B, T, dim) to the same shape.

        positions (2T - 1, dim); mask (B, 1, 1, T) bool, True on real keys, or None.
        """
        q = self._heads(self.linear_q(x))
        k = self._heads(self.linear_k(x))
        v = self._heads(self.linear_v(x))
        p = self._heads(self.linear_pos(positions))  # (H, 2T - 1, d)
        scale = q.shape[-1] ** -0.5
        # SDPA scales q k only, so the position term is scaled here before it is added.
        q_pos = (q + self.pos_bias_v[:, None]) * scale
        bias = align_relative(torch.matmul(q_pos, p.transpose(-2, -1)))
        if mask is not None:
            bias = bias.masked_fill(~mask, -torch.inf)
        out = F.scaled_dot_product_attention(
            q + self.pos_bias_u[:, None],
            k,
            v,
            attn_mask=bias,
            dropout_p=self.dropout if self.training else 0.0,
        )
        projected: Tensor = self.linear_out(out.transpose(1, 2).flatten(2))
        return projected


class FeedForward(nn.Module):
    """dim -> ffn, SiLU, ffn -> dim."""

    def __init__(self, dim: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.w_1 = Linear(dim, ffn)
        self.w_2 = Linear(ffn, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, dim) -> (B, T, dim)."""
        out: Tensor = self.w_2(self.dropout(F.silu(self.w_1(x))))
        return out


class EncoderBlock(nn.Module):
    """Pre-norm attention and feed-forward, residuals; LayerNorm eps 1e-12 (spec 13, trap 11)."""

    def __init__(self, dim: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = RelativeAttention(dim, heads, dropout)
        self.feed_forward = FeedForward(dim, ffn, dropout)
        self.norm_ff = nn.LayerNorm(dim, eps=1e-12)
        self.norm_mha = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, dim) -> (B, T, dim); see RelativeAttention for positions and mask."""
        x = x + self.dropout(self.self_attn(self.norm_mha(x), positions, mask))
        out: Tensor = x + self.dropout(self.feed_forward(self.norm_ff(x)))
        return out


class InputEmbed(nn.Module):
    """Linear, LayerNorm, scaling by the root of the width; also gives the relative positions."""

    def __init__(self, input_dim: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.out = nn.Sequential(
            Linear(input_dim, dim), nn.LayerNorm(dim, eps=1e-5), nn.Dropout(dropout)
        )
        self.dropout = nn.Dropout(dropout)
        self.dim = dim

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, input_dim) -> hidden (B, T, dim) and positions (2T - 1, dim)."""
        positions = relative_positions(x.shape[1], self.dim, device=x.device).to(x.dtype)
        return self.dropout(self.out(x) * math.sqrt(self.dim)), self.dropout(positions)


class PreLookahead(nn.Module):
    """Two convolutions with a residual: 3 frames of look-ahead, then 2 frames of history."""

    def __init__(self, dim: int, lookahead: int) -> None:
        super().__init__()
        self.lookahead = lookahead
        self.conv1 = nn.Conv1d(dim, dim, lookahead + 1)
        self.conv2 = nn.Conv1d(dim, dim, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, dim) -> (B, T, dim)."""
        h = F.pad(x.transpose(1, 2), (0, self.lookahead))
        h = F.pad(F.leaky_relu(self.conv1(h)), (2, 0))
        out: Tensor = self.conv2(h).transpose(1, 2) + x
        return out


class Upsample(nn.Module):
    """Nearest repetition by two and a causal convolution of width 5."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(dim, dim, 5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, dim) -> (B, 2T, dim)."""
        h = F.pad(x.repeat_interleave(2, dim=1).transpose(1, 2), (4, 0))
        out: Tensor = self.conv(h).transpose(1, 2)
        return out


@dataclass(frozen=True, kw_only=True)
class EncoderSizes:
    """Sizes of the token encoder; FlowConfig says what each is."""

    input_dim: int
    dim: int
    heads: int
    ffn: int
    blocks: int
    up_blocks: int
    lookahead: int
    dropout: float


class FlowEncoder(nn.Module):
    """Embedding, look-ahead, blocks at 25 Hz, upsampling, blocks at 50 Hz, final norm."""

    def __init__(self, sizes: EncoderSizes) -> None:
        super().__init__()
        dim, dropout = sizes.dim, sizes.dropout
        block = (dim, sizes.heads, sizes.ffn, dropout)
        self.embed = InputEmbed(sizes.input_dim, dim, dropout)
        self.pre_lookahead_layer = PreLookahead(dim, sizes.lookahead)
        self.encoders = nn.ModuleList(EncoderBlock(*block) for _ in range(sizes.blocks))
        self.up_layer = Upsample(dim)
        self.up_embed = InputEmbed(dim, dim, dropout)
        self.up_encoders = nn.ModuleList(EncoderBlock(*block) for _ in range(sizes.up_blocks))
        self.after_norm = nn.LayerNorm(dim, eps=1e-5)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Token vectors x (B, T, input_dim) -> hidden frames (B, 2T, dim).

        mask (B, T) bool is True on real tokens; padding stands at the end. Without a mask every
        token is real.
        """
        keys = None if mask is None else mask[:, None, None, :]
        x, positions = self.embed(x)
        if mask is not None:
            x = x * mask[..., None]  # the look-ahead must see zeros after the last token
        x = self.pre_lookahead_layer(x)
        for block in self.encoders:
            x = block(x, positions, keys)
        x, positions = self.up_embed(self.up_layer(x))
        if keys is not None:
            keys = keys.repeat_interleave(2, dim=-1)
        for block in self.up_encoders:
            x = block(x, positions, keys)
        out: Tensor = self.after_norm(x)
        return out
