"""Letters: a small recogniser of English that writes letters by CTC, 50 times a second.

Source: connectionist temporal classification (Graves et al. 2006) on the SAN-M encoder of the
linguistic tokenizer (arXiv:2006.01713) with the whole clip in view; the encoder is its own, so that
codes do not change with it. A row of 60 ms gives three frames of letters: 25 letters a second, as
fast speech has, need more frames than rows.

The space is said, too: it fills the pause between two words, or one frame where there is none, at
the clip's two ends as well, so word borders are where spaces are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..text.letters import CLASSES
from .linguistic import ChunkEncoder, LinguisticConfig, positioned
from .packed import Linear

FRAME_SECONDS = 0.02
"""Time of one frame of letters."""
FIRST_SECONDS = -0.0175
"""Where frame 0 begins: the middle frame of a row is about the middle of its 60 ms."""
PER_ROW = 3
"""Frames of letters of one row of the encoder."""


@dataclass(frozen=True, kw_only=True)
class LettersConfig:
    """Sizes of the recogniser, and what its scores mean."""

    features: int = 560
    """Width of the input: 7 stacked frames of 80 bins."""
    d_model: int = 192
    """Width of the encoder."""
    heads: int = 4
    """Attention heads."""
    layers: int = 7
    """Encoder layers."""
    ffn: int = 768
    """Width of the feed-forward part."""
    kernel: int = 11
    """Taps of the FSMN memory, centred."""
    other_words: float = 1.0
    """Misfit in nats per letter above which a transcript is not that of a recording."""
    misfit_holds: float = 1.0
    """Misfit in nats per letter up to which a round keeps its words."""
    heard_holds: float = 10.0
    """Share of words heard wrongly up to which a round keeps its words."""

    def __post_init__(self) -> None:
        """Check that the heads divide the width."""
        if self.d_model % self.heads:
            raise ValueError(
                f"d_model is {self.d_model}, heads {self.heads}; the width must be a multiple of "
                "the heads. Change one of them."
            )


class Letters(nn.Module):
    """CMVN, encoder and one linear layer."""

    cmvn_shift: Tensor
    cmvn_rescale: Tensor

    def __init__(self, config: LettersConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ChunkEncoder(
            LinguisticConfig(
                features=config.features,
                d_model=config.d_model,
                heads=config.heads,
                layers=config.layers,
                ffn=config.ffn,
                kernel=config.kernel,
            )
        )
        self.head = Linear(config.d_model, PER_ROW * CLASSES)
        self.register_buffer("cmvn_shift", torch.zeros(config.features))
        self.register_buffer("cmvn_rescale", torch.ones(config.features))

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log-probabilities (B, 3 T, CLASSES) float32 of features (B, T, 560), before CMVN.

        lengths (B,) int64 counts valid rows, all where None; what follows 3 x a length means
        nothing. Padding changes nothing.
        """
        batch, rows, _ = features.shape
        if lengths is None:
            lengths = torch.full((batch,), rows, device=features.device)
        scaled = (features + self.cmvn_shift) * self.cmvn_rescale
        hidden = self.encoder.whole(positioned(scaled, lengths, self.config.d_model), lengths)
        logits: Tensor = self.head(hidden)
        return logits.view(batch, PER_ROW * rows, CLASSES).float().log_softmax(-1)
