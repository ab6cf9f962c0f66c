"""Linguistic tokenizer: stacked Kaldi frames to one code of 1024 every 60 ms (16.67 Hz).

Source: the encoder of the streaming Paraformer (arXiv:2206.08317, SAN-M of arXiv:2006.01713), read
in chunks of 240 ms, and a k-means codebook; numbers and chunk rules from spec 3 and 11.5 (keys).
The released code walks chunk by chunk; here all chunks run at once with the same result, which
also makes the encoder trainable.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import length_mask, sinusoids
from .packed import Linear


@dataclass(frozen=True, kw_only=True)
class LinguisticConfig:
    """Sizes of the linguistic tokenizer."""

    features: int = 560
    """Width of the input: 7 stacked frames of 80 bins."""
    d_model: int = 512
    """Width of the encoder and of a codebook entry."""
    heads: int = 4
    """Attention heads."""
    layers: int = 50
    """Encoder layers, the first (features to d_model) included."""
    ffn: int = 2048
    """Width of the feed-forward part."""
    kernel: int = 11
    """Taps of the FSMN memory, centred."""
    chunk: int = 4
    """New frames per chunk: 240 ms."""
    carried: int = 5
    """Frames of the previous chunk that are read again in front of the new ones."""
    look_back: int = 4
    """Previous chunks whose keys and values a chunk attends to."""
    codebook_size: int = 1024
    """Number of codes."""

    def __post_init__(self) -> None:
        """Check that the heads divide the width."""
        if self.d_model % self.heads:
            raise ValueError(
                f"d_model is {self.d_model}, heads {self.heads}; the width must be a multiple of "
                "the heads. Change one of them."
            )


@dataclass(frozen=True)
class _Chunks:
    """Which rows exist: own (B, C, R) bool, and keys (B, C, look_back * chunk + R) bool."""

    own: Tensor
    keys: Tensor


class ChunkAttention(nn.Module):
    """Self-attention inside a chunk and to earlier chunks, plus the FSMN memory of the values."""

    def __init__(self, config: LinguisticConfig, width: int) -> None:
        super().__init__()
        d = config.d_model
        self.config = config
        self.linear_q_k_v = Linear(width, 3 * d)
        self.linear_out = Linear(d, d)
        self.fsmn_block = nn.Conv1d(
            d, d, config.kernel, padding=config.kernel // 2, groups=d, bias=False
        )

    def forward(self, x: Tensor, chunks: _Chunks) -> Tensor:
        """Attend from x (B, C, R, width); returns (B, C, R, D)."""
        b, c, r, _ = x.shape
        q, k, v = self.linear_q_k_v(x).chunk(3, dim=-1)
        v = v * chunks.own[..., None]  # rows after the end must not reach the memory
        q = self._heads(q)
        k = self._heads(torch.cat([self._earlier(k), k], dim=2))
        values = self._heads(torch.cat([self._earlier(v), v], dim=2))
        mask = chunks.keys.flatten(0, 1)[:, None, None]
        attended = F.scaled_dot_product_attention(q, k, values, attn_mask=mask)
        joined = attended.transpose(1, 2).reshape(b, c, r, -1)
        out: Tensor = self.linear_out(joined) + self._memory(v) + v
        return out

    def _memory(self, v: Tensor) -> Tensor:
        """Depthwise convolution of v (B, C, R, D) over the rows of each chunk, zeros outside.

        One multiply and add a tap, on rows that lie in the cache: 50 layers of 5 s take 0.02 s,
        with one matrix a channel 0.27 s.
        """
        rows, kernel = v.shape[2], self.config.kernel
        taps = self.fsmn_block.weight[:, 0].T.contiguous()  # (kernel, D)
        padded = F.pad(v, (0, 0, kernel // 2, kernel // 2))
        out = padded[:, :, :rows] * taps[0]
        for tap in range(1, kernel):
            out = torch.addcmul(out, padded[:, :, tap : tap + rows], taps[tap])
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """(B, C, rows, D) to (B * C, heads, rows, D / heads)."""
        b, c, r, _ = x.shape
        return x.reshape(b * c, r, self.config.heads, -1).transpose(1, 2)

    def _earlier(self, rows: Tensor) -> Tensor:
        """First `chunk` rows of the `look_back` chunks before each chunk: (B, C, 16, D)."""
        chunk, look_back = self.config.chunk, self.config.look_back
        count = rows.shape[1]
        padded = F.pad(rows[:, :, :chunk], (0, 0, 0, 0, look_back, 0))
        return torch.cat([padded[:, i : i + count] for i in range(look_back)], dim=2)


class FeedForward(nn.Module):
    """Two linear layers with a ReLU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w_1 = Linear(width, hidden)
        self.w_2 = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        out: Tensor = self.w_2(self.w_1(x).relu())
        return out


class EncoderLayer(nn.Module):
    """Pre-norm SAN-M layer; where it changes the width there is no first residual."""

    def __init__(self, config: LinguisticConfig, width: int) -> None:
        super().__init__()
        self.self_attn = ChunkAttention(config, width)
        self.feed_forward = FeedForward(config.d_model, config.ffn)
        self.norm1 = nn.LayerNorm(width, eps=1e-12)
        self.norm2 = nn.LayerNorm(config.d_model, eps=1e-12)
        self.residual = width == config.d_model

    def forward(self, x: Tensor, chunks: _Chunks) -> Tensor:
        """(B, C, R, width) to (B, C, R, D)."""
        attended = self.self_attn(self.norm1(x), chunks)
        x = x + attended if self.residual else attended
        out: Tensor = x + self.feed_forward(self.norm2(x))
        return out


class ChunkEncoder(nn.Module):
    """The encoder stack; keys as in the released model.pt below `encoder.`."""

    def __init__(self, config: LinguisticConfig) -> None:
        super().__init__()
        self.config = config
        self.encoders0 = nn.ModuleList([EncoderLayer(config, config.features)])
        self.encoders = nn.ModuleList(
            EncoderLayer(config, config.d_model) for _ in range(config.layers - 1)
        )
        self.after_norm = nn.LayerNorm(config.d_model, eps=1e-12)

    def forward(self, x: Tensor, chunks: _Chunks) -> Tensor:
        """(B, C, R, features) to (B, C, R, D)."""
        for layer in (*self.encoders0, *self.encoders):
            x = layer(x, chunks)
        out: Tensor = self.after_norm(x)
        return out

    def whole(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, features), 0 after lengths (B,), to (B, T, D); each row sees its whole clip."""
        frames, config = x.shape[1], self.config
        # one chunk that has all rows: at least the `chunk` of them that a later chunk would look at
        rows = F.pad(x, (0, 0, 0, max(0, config.chunk - frames)))[:, None]
        own = length_mask(lengths, rows.shape[2])[:, None]
        none = torch.zeros_like(own[..., :1]).expand(-1, -1, config.look_back * config.chunk)
        # an empty clip keeps its zero rows as keys, so that its unused softmax stays finite
        keys = torch.cat([none, own | (lengths == 0)[:, None, None]], dim=2)
        out: Tensor = self(rows, _Chunks(own, keys))[:, 0, :frames]
        return out * own[:, 0, :frames, None]


def positioned(scaled: Tensor, lengths: Tensor, d_model: int) -> Tensor:
    """Features (B, T, F) after CMVN, times the root of d_model, with positions; 0 after the end."""
    _, frames, width = scaled.shape
    x = scaled * d_model**0.5
    x = x + sinusoids(torch.arange(1, frames + 1, device=x.device), width).to(x.dtype)
    out: Tensor = x * length_mask(lengths, frames)[..., None]
    return out


class LinguisticTokenizer(nn.Module):
    """CMVN, chunked encoder and nearest codebook entry."""

    codebook: Tensor
    cmvn_shift: Tensor
    cmvn_rescale: Tensor

    def __init__(self, config: LinguisticConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ChunkEncoder(config)
        self.register_buffer("codebook", torch.zeros(config.codebook_size, config.d_model))
        self.register_buffer("cmvn_shift", torch.zeros(config.features))
        self.register_buffer("cmvn_rescale", torch.ones(config.features))

    def hidden(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode features (B, T, 560), before CMVN, to (B, T, D); rows after a length are 0.

        lengths (B,) int64 counts valid frames, all where None. Padding changes nothing. Each row
        sees only its chunk of 4 frames, the 5 frames before and 4 earlier chunks: no look-ahead
        beyond 3 frames.
        """
        x, lengths = self._positioned(features, lengths)
        rows, chunks = self._split(x, lengths)
        out: Tensor = self.encoder(rows, chunks)[:, :, self.config.carried :]
        frames = features.shape[1]
        return out.flatten(1, 2)[:, :frames] * length_mask(lengths, frames)[..., None]

    def whole(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode features (B, T, 560), before CMVN, to (B, T, D) for recognition.

        As `hidden`, but each row sees its whole clip, later rows included. Codes are never made of
        these rows.
        """
        x, lengths = self._positioned(features, lengths)
        return self.encoder.whole(x, lengths)

    def encode(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Codes (B, T) int64 of features (B, T, 560), before CMVN; 0 after a length."""
        hidden = self.hidden(features, lengths)
        codes = torch.cdist(hidden, self.codebook[None]).argmin(-1)
        if lengths is None:
            return codes
        return codes * length_mask(lengths, codes.shape[1])

    def _positioned(self, features: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scaled features (B, T, 560) with positions, 0 after a length, and the lengths (B,)."""
        if lengths is None:
            lengths = torch.full(features.shape[:1], features.shape[1], device=features.device)
        scaled = (features + self.cmvn_shift) * self.cmvn_rescale
        return positioned(scaled, lengths, self.config.d_model), lengths

    def _split(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, _Chunks]:
        """(B, T, 560) to overlapping chunks (B, C, carried + chunk, 560) and their masks.

        The rows before the stream are zeros that take part in the attention, as in the release.
        """
        config = self.config
        size = config.carried + config.chunk
        count = -(-x.shape[1] // config.chunk)
        padded = F.pad(x, (0, 0, config.carried, count * config.chunk - x.shape[1]))
        rows = padded.unfold(1, size, config.chunk).transpose(2, 3)
        first = torch.arange(count, device=x.device) * config.chunk
        present = config.carried + lengths[:, None] - first  # (B, C) rows before the end
        own = torch.arange(size, device=x.device) < present[..., None]
        # every earlier chunk is full; before the stream there is none
        back = torch.arange(-config.look_back, 0, device=x.device).repeat_interleave(config.chunk)
        earlier = (torch.arange(count, device=x.device)[:, None] + back) >= 0
        keys = torch.cat([earlier.expand(x.shape[0], -1, -1), own], dim=2)
        # chunks wholly after the end keep one key, so that their unused softmax stays finite
        keys = torch.cat([keys[..., :-size], own | (own.sum(-1, keepdim=True) == 0)], dim=2)
        return rows, _Chunks(own, keys)
