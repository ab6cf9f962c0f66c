"""Paraformer: what comes after the encoder, from its rows to text units and when each one fires.

Source: Paraformer (arXiv:2206.08317), SAN-M (arXiv:2006.01713), integrate and fire
(arXiv:1905.11235). Sizes are those of the 8501-unit streaming model whose encoder the linguistic
tokenizer uses; that encoder is shared (`linguistic.py`, `LinguisticTokenizer.whole`), not repeated.

The predictor gives each frame of 60 ms a weight below 1 and adds them up; each time the sum passes
a whole number one unit fires, and the rows since the last fire, by their weights, are its vector.
The decoder turns all vectors to units at once: no unit waits for the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..text.units import parse_units
from .layers import length_mask
from .packed import Linear

FRAME_SECONDS = 0.06
"""Time of one encoder row."""
UNIT_TEXT = "unit_text"
"""Buffer with the list of units as JSON, so that weights and words cannot be parted."""


@dataclass(frozen=True, kw_only=True)
class ParaformerConfig:
    """Sizes of the predictor and the decoder."""

    d_model: int = 512
    """Width; that of the encoder's rows."""
    heads: int = 4
    """Attention heads of the decoder."""
    layers: int = 16
    """Decoder layers that attend to the encoder; one layer without attention follows them."""
    ffn: int = 2048
    """Width of the feed-forward part."""
    kernel: int = 11
    """Taps of the decoder's FSMN memory."""
    shift: int = 5
    """Taps moved from later units to earlier ones; 5 of 11 leave no later unit. The shapes of the
    weights do not show it: it is a setting of the streaming model."""
    predictor_kernel: int = 3
    """Taps of the predictor's convolution, centred."""
    tail: float = 0.45
    """Weight of one empty frame after the clip, so that a unit nearly complete still fires."""
    units: int = 8501
    """Text units, those that say nothing included (`text/units.py`)."""
    unit_bytes: int = 0
    """Bytes of the list of units that the weights file keeps; 0 where it keeps none."""

    def __post_init__(self) -> None:
        """Check that the heads divide the width and the taps fit the shift."""
        if self.d_model % self.heads:
            raise ValueError(
                f"d_model is {self.d_model}, heads {self.heads}; the width must be a multiple of "
                "the heads. Change one of them."
            )
        if not 0 <= self.shift <= self.kernel // 2:
            raise ValueError(
                f"shift is {self.shift}; a kernel of {self.kernel} taps allows 0 to "
                f"{self.kernel // 2}. Change one of them."
            )


@dataclass(frozen=True, kw_only=True)
class Fires:
    """Where units fire in a batch of clips; K is the largest count."""

    vectors: Tensor
    """(B, K, D): one vector a unit, 0 after a clip's last."""
    frames: Tensor
    """(B, K) int64: the frame in which the sum of the weights reaches the unit's number."""
    counts: Tensor
    """(B,) int64: units of each clip."""


@dataclass(frozen=True, kw_only=True)
class DecodedUnits:
    """The most likely unit of each fire; K is the largest count."""

    ids: Tensor
    """(B, K) int64, 0 after a clip's last."""
    confidence: Tensor
    """(B, K) float32: the unit's probability 0 to 1, 0 after a clip's last."""
    frames: Tensor
    """(B, K) int64: see Fires."""
    counts: Tensor
    """(B,) int64: units of each clip."""


class CifPredictor(nn.Module):
    """One weight a frame, and the units that the weights add up to."""

    def __init__(self, config: ParaformerConfig) -> None:
        super().__init__()
        d, kernel = config.d_model, config.predictor_kernel
        self.tail = config.tail
        self.cif_conv1d = nn.Conv1d(d, d, kernel, padding=kernel // 2)
        self.cif_output = nn.Linear(d, 1)

    def weights(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Rows (B, T, D) to weights (B, T + 1) float32; frame T is the tail's place.

        The tail comes right after each clip's own last frame; all frames after it weigh 0.
        """
        found = self.cif_conv1d(hidden.transpose(1, 2)).relu().transpose(1, 2)
        own = length_mask(lengths, hidden.shape[1] + 1)
        plain = F.pad(self.cif_output(found).float().sigmoid()[..., 0], (0, 1)) * own
        tail = torch.arange(own.shape[1], device=own.device) == lengths[:, None]
        return plain + self.tail * tail

    def forward(self, hidden: Tensor, lengths: Tensor) -> Fires:
        """Rows (B, T, D), 0 after a length, and lengths (B,) to the units that fire."""
        return fire(hidden, self.weights(hidden, lengths))


def fire(hidden: Tensor, weights: Tensor) -> Fires:
    """Units of rows (B, T, D) by weights (B, T + 1); frame T has a weight and an empty row.

    Unit k takes of each frame the part of its weight that lies between k and k + 1 in the sum. A
    frame may fire several units. The sum is made in float64 and kept in float32, as the release
    does: a sum that is a whole number but for rounding fires.
    """
    sums = weights.double().cumsum(1).float().double()  # (B, T + 1)
    counts = sums[:, -1].floor().long()
    most = int(counts.max()) if len(counts) else 0
    number = torch.arange(most, device=hidden.device)
    real = number < counts[:, None]
    # the first frame whose sum reaches k + 1
    frames = torch.searchsorted(sums, (number + 1.0).double().expand(len(counts), -1).contiguous())
    before = F.pad(sums, (1, 0))[:, None, :-1]
    low = number.double()[:, None]
    share = (torch.minimum(sums[:, None], low + 1) - torch.maximum(before, low)).clamp(min=0)
    share = share * real[..., None]  # (B, K, T + 1): what lies in the last, open unit is dropped
    vectors = share[..., :-1].to(hidden) @ hidden
    return Fires(vectors=vectors, frames=frames * real, counts=counts)


class DecoderFeedForward(nn.Module):
    """Linear, ReLU, norm, linear without a bias."""

    def __init__(self, config: ParaformerConfig) -> None:
        super().__init__()
        self.w_1 = Linear(config.d_model, config.ffn)
        self.norm = nn.LayerNorm(config.ffn, eps=1e-12)
        self.w_2 = Linear(config.ffn, config.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        out: Tensor = self.w_2(self.norm(self.w_1(x).relu()))
        return out


class UnitMemory(nn.Module):
    """FSMN memory over the units, in place of self-attention."""

    def __init__(self, config: ParaformerConfig) -> None:
        super().__init__()
        before = config.kernel // 2 + config.shift
        self.sides = (before, config.kernel - 1 - before)
        d = config.d_model
        self.fsmn_block = nn.Conv1d(d, d, config.kernel, groups=d, bias=False)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """(B, K, D) with real (B, K, 1) units to (B, K, D)."""
        x = x * real
        out: Tensor = self.fsmn_block(F.pad(x.transpose(1, 2), self.sides)).transpose(1, 2)
        return (out + x) * real


class EncoderAttention(nn.Module):
    """Attention from units to encoder rows."""

    def __init__(self, config: ParaformerConfig) -> None:
        super().__init__()
        d = config.d_model
        self.heads = config.heads
        self.linear_q = Linear(d, d)
        self.linear_k_v = Linear(d, 2 * d)
        self.linear_out = Linear(d, d)

    def forward(self, x: Tensor, hidden: Tensor, keys: Tensor) -> Tensor:
        """Units (B, K, D), rows (B, T, D) and which rows exist (B, 1, 1, T) to (B, K, D)."""
        q = self._split(self.linear_q(x))
        k, v = (self._split(part) for part in self.linear_k_v(hidden).chunk(2, dim=-1))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=keys)
        out: Tensor = self.linear_out(attended.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        """(B, L, D) to (B, heads, L, D / heads)."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


class DecoderLayer(nn.Module):
    """Feed-forward and memory under one residual, then attention under another."""

    def __init__(self, config: ParaformerConfig) -> None:
        super().__init__()
        d = config.d_model
        self.self_attn = UnitMemory(config)
        self.src_attn = EncoderAttention(config)
        self.feed_forward = DecoderFeedForward(config)
        self.norm1 = nn.LayerNorm(d, eps=1e-12)
        self.norm2 = nn.LayerNorm(d, eps=1e-12)
        self.norm3 = nn.LayerNorm(d, eps=1e-12)

    def forward(self, x: Tensor, real: Tensor, hidden: Tensor, keys: Tensor) -> Tensor:
        """(B, K, D) to (B, K, D); the rest as in the parts."""
        x = x + self.self_attn(self.norm2(self.feed_forward(self.norm1(x))), real)
        out: Tensor = x + self.src_attn(self.norm3(x), hidden, keys)
        return out


class LastLayer(nn.Module):
    """Feed-forward alone, without a residual."""

    def __init__(self, config: ParaformerConfig) -> None:
        super().__init__()
        self.feed_forward = DecoderFeedForward(config)
        self.norm1 = nn.LayerNorm(config.d_model, eps=1e-12)

    def forward(self, x: Tensor) -> Tensor:
        """(B, K, D) to (B, K, D)."""
        out: Tensor = self.feed_forward(self.norm1(x))
        return out


class UnitDecoder(nn.Module):
    """Vectors of all units to their logits; keys as in the released model.pt below `decoder.`.

    The released embedding of units is left out: only training reads it.
    """

    def __init__(self, config: ParaformerConfig) -> None:
        super().__init__()
        self.decoders = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.decoders3 = nn.ModuleList([LastLayer(config)])
        self.after_norm = nn.LayerNorm(config.d_model, eps=1e-12)
        self.output_layer = Linear(config.d_model, config.units)

    def forward(self, fires: Fires, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Logits (B, K, units) of the units that fired in rows (B, T, D)."""
        x = fires.vectors
        if not x.shape[1]:  # nothing was said
            return x.new_zeros(x.shape[0], 0, self.output_layer.out_features)
        real = length_mask(fires.counts, x.shape[1])[..., None].to(x)
        keys = length_mask(lengths, hidden.shape[1])[:, None, None]
        # an empty clip keeps its zero rows as keys, so that its unused softmax stays finite
        keys = keys | (lengths == 0)[:, None, None, None]
        for layer in self.decoders:
            x = layer(x, real, hidden, keys)
        for last in self.decoders3:
            x = last(x)
        out: Tensor = self.output_layer(self.after_norm(x))
        return out


class Paraformer(nn.Module):
    """Predictor and decoder on top of the rows of the linguistic tokenizer's encoder."""

    def __init__(self, config: ParaformerConfig) -> None:
        super().__init__()
        self.config = config
        self.predictor = CifPredictor(config)
        self.decoder = UnitDecoder(config)
        if config.unit_bytes:
            self.register_buffer(UNIT_TEXT, torch.zeros(config.unit_bytes, dtype=torch.uint8))

    @property
    def units(self) -> tuple[str, ...]:
        """Text of each unit, by id; ValueError where the file keeps none or its list is damaged."""
        text: Tensor = getattr(self, UNIT_TEXT, torch.zeros(0, dtype=torch.uint8))
        return parse_units(bytes(text.tolist()), self.config.units, "the recogniser's unit list")

    def logits(self, hidden: Tensor, lengths: Tensor) -> tuple[Fires, Tensor]:
        """Rows (B, T, D), 0 after a length, and lengths (B,) to fires and (B, K, units)."""
        fires = self.predictor(hidden, lengths)
        return fires, self.decoder(fires, hidden, lengths)

    @torch.no_grad()
    def decode(self, hidden: Tensor, lengths: Tensor | None = None) -> DecodedUnits:
        """The most likely unit of each fire in rows (B, T, D), 0 after a length."""
        if lengths is None:
            lengths = torch.full((hidden.shape[0],), hidden.shape[1], device=hidden.device)
        fires, logits = self.logits(hidden, lengths)
        best = logits.float().softmax(-1).max(-1)
        real = length_mask(fires.counts, best.indices.shape[1])
        return DecodedUnits(
            ids=best.indices * real,
            confidence=best.values * real,
            frames=fires.frames,
            counts=fires.counts,
        )
