"""Semantic tokenizer: log-mel at 100 Hz to one code of 4096 every 40 ms (25 Hz).

Source: the supervised speech tokenizer of CosyVoice, arXiv:2407.05407, at 25 Hz: a Whisper encoder
whose two stem convolutions both halve the rate, and a Euclidean codebook on unit vectors. Numbers
and keys: spec 4 and 11.6. The release takes at most 30 s a piece, see audio.mel.semantic_pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import length_mask, sinusoids
from .packed import Linear


@dataclass(frozen=True, kw_only=True)
class SemanticConfig:
    """Sizes of the semantic tokenizer."""

    n_mels: int = 128
    """Mel bins of the input."""
    d_model: int = 1280
    """Width of the encoder and of a codebook entry."""
    heads: int = 20
    """Attention heads."""
    layers: int = 6
    """Transformer blocks."""
    ffn: int = 5120
    """Width of the MLP."""
    codebook_size: int = 4096
    """Number of codes."""
    max_positions: int = 1500
    """Rows of the stored position table; a 30 s piece uses 750."""

    def __post_init__(self) -> None:
        """Check that the heads divide the width."""
        if self.d_model % self.heads:
            raise ValueError(
                f"d_model is {self.d_model}, heads {self.heads}; the width must be a multiple of "
                "the heads. Change one of them."
            )


class Attention(nn.Module):
    """Whisper's self-attention: the key projection has no bias."""

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        d = config.d_model
        self.heads = config.heads
        self.query = Linear(d, d)
        self.key = Linear(d, d, bias=False)
        self.value = Linear(d, d)
        self.out = Linear(d, d)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Attend in x (B, T, D) to keys whose mask (B, 1, 1, T) is True, or all; (B, T, D)."""
        batch, frames, width = x.shape
        q, k, v = (
            part(x).reshape(batch, frames, self.heads, -1).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.out(attended.transpose(1, 2).reshape(batch, frames, width))
        return out


class Block(nn.Module):
    """Pre-norm attention and MLP (erf GELU)."""

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        d = config.d_model
        self.attn = Attention(config)
        self.attn_ln = nn.LayerNorm(d)
        self.mlp = nn.Sequential(Linear(d, config.ffn), nn.GELU(), Linear(config.ffn, d))
        self.mlp_ln = nn.LayerNorm(d)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        x = x + self.attn(self.attn_ln(x), mask)
        out: Tensor = x + self.mlp(self.mlp_ln(x))
        return out


class Encoders(nn.Module):
    """Stem, positions and blocks; keys as in the released ONNX file below `encoders.`."""

    positional_embedding: Tensor

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        d = config.d_model
        self.conv1 = nn.Conv1d(config.n_mels, d, 3, stride=2, padding=1)
        self.conv2 = nn.Conv1d(d, d, 3, stride=2, padding=1)
        table = sinusoids(torch.arange(config.max_positions), d)
        self.register_buffer("positional_embedding", table)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))

    def forward(self, log_mel: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(B, M, T) to (B, T', D); what lies after a length (B,) reaches no valid row."""
        mask = None
        if lengths is None:
            x = F.gelu(self.conv2(F.gelu(self.conv1(log_mel)))).transpose(1, 2)
        else:
            x = log_mel * length_mask(lengths, log_mel.shape[-1])[:, None]
            x = F.gelu(self.conv1(x))
            lengths = halved(lengths)
            x = F.gelu(self.conv2(x * length_mask(lengths, x.shape[-1])[:, None]))
            lengths = halved(lengths)
            x = x.transpose(1, 2)
            mask = length_mask(lengths, x.shape[1])[:, None, None]
        x = x + self.positional_embedding[: x.shape[1]].to(x.dtype)
        for block in self.blocks:
            x = block(x, mask)
        return x


def halved(lengths: Tensor) -> Tensor:
    """Length after one stem convolution of width 3, stride 2, padding 1: (B,) to (B,) int64."""
    return (lengths - 1) // 2 + 1


class SemanticTokenizer(nn.Module):
    """Encoder, unit vectors and nearest codebook entry."""

    codebook: Tensor

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        self.config = config
        self.encoders = Encoders(config)
        self.register_buffer("codebook", torch.zeros(config.codebook_size, config.d_model))
        self._scores: tuple[Linear] | None = None  # in a tuple: it is not a part with a key

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Codes made of `lengths` (B,) mel frames: (B,) int64."""
        return halved(halved(lengths))

    def hidden(self, log_mel: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode log_mel (B, M, T) to unit vectors (B, T', D), T' = T / 4 rounded up twice.

        lengths (B,) int64 counts valid mel frames, all where None; rows after one are 0.
        """
        limit = 4 * self.config.max_positions
        if log_mel.shape[-1] > limit:
            raise ValueError(
                f"log-mel has {log_mel.shape[-1]} frames; one piece has at most {limit}. "
                "Cut the wave with semantic_pieces."
            )
        out = F.normalize(self.encoders(log_mel, lengths), dim=-1)
        if lengths is None:
            return out
        return out * length_mask(self.output_lengths(lengths), out.shape[1])[..., None]

    def quantize(self, hidden: Tensor) -> Tensor:
        """Index (...) int64 of the codebook entry nearest to hidden (..., D)."""
        if self._scores is None:
            self._scores = (_nearness(self.codebook),)
        scores: Tensor = self._scores[0](hidden)
        return scores.argmax(-1)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._scores = None
        super()._load_from_state_dict(*args, **kwargs)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self._scores = None
        parent: Any = super()  # untyped in some versions of torch
        return parent._apply(fn, recurse)

    def encode(self, log_mel: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Codes (B, T') int64 of log_mel (B, M, T); 0 after a length."""
        codes = self.quantize(self.hidden(log_mel, lengths))
        if lengths is None:
            return codes
        return codes * length_mask(self.output_lengths(lengths), codes.shape[1])


def _nearness(codebook: Tensor) -> Linear:
    """Scores (..., N) of hidden (..., D), the largest for the nearest of the N entries (N, D).

    2 x e - |e|^2, which is -|x - e|^2 without |x|^2, the same for every entry.
    """
    with torch.no_grad():
        layer = (
            Linear(codebook.shape[1], codebook.shape[0], device="meta").eval().requires_grad_(False)
        )
        layer.weight = nn.Parameter(2.0 * codebook, requires_grad=False)
        layer.bias = nn.Parameter(-codebook.square().sum(-1), requires_grad=False)
    return layer
