"""Margin scorer: how clearly an edit came out, 1 (not at all) to 10 (unmistakable).

Source: the margin scorer of arXiv:2511.03601, which rates pairs with the same words on their
tokens alone; the release has none, the network is this project's own. One row of 5 codes stands
for 120 ms. The sequence is the edit's vector, the source's rows, the edited rows; rows that lie
at the same time carry the same position, so that attention can compare them.
Letters: B pairs, G groups, D width, S = 1 + G source + G edited.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..printable import shown
from ..text.edits import EDITS, edit_vocabulary
from ..vocab import AUDIO_CODES, GROUP
from .layers import length_mask, sinusoids

LOWEST, HIGHEST = 1.0, 10.0
Knots = tuple[tuple[float, float], ...]
"""(score, calibrated score) in rising order of both, from score 1 to 10."""


def calibrated(score: float, knots: Knots) -> float:
    """A score on the rising line through the knots; without knots as it is."""
    if not knots:
        return score
    return float(np.interp(score, [x for x, _ in knots], [y for _, y in knots]))


def edit_name(kind: str, option: str = "") -> str:
    """Name of an edit in ScorerConfig.edits: the kind, and the option where there is one."""
    return f"{kind} {option}".rstrip()


def _released_edits() -> tuple[str, ...]:
    """Every edit of the newest release but clone, which changes the words."""
    options = edit_vocabulary("2026").options
    return tuple(edit_name(kind, option) for kind in EDITS for option in options[kind] or ("",))


@dataclass(frozen=True, kw_only=True)
class ScorerConfig:
    """Sizes of the margin scorer and the edits it knows."""

    edits: tuple[str, ...] = _released_edits()
    """Edits in the order of the rows of the edit embedding, each "kind option" or "kind"."""
    code_dim: int = 48
    """Width of one code's embedding; a row joins five."""
    hidden_size: int = 192
    """Width D."""
    layers: int = 4
    """Encoder layers."""
    heads: int = 4
    """Attention heads."""
    ffn: int = 768
    """Width of the feed-forward part."""
    dropout: float = 0.1
    """Dropout on codes and on both branches while training."""
    calibration: Knots = ()
    """Map of raw scores to mean labels of held-out voices (`stepedit evaluate scorer`)."""


class Block(nn.Module):
    """Pre-norm encoder layer with full attention."""

    def __init__(self, config: ScorerConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.ffn_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, config.ffn)
        self.down = nn.Linear(config.ffn, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, S, D) -> (B, S, D); mask (B, 1, 1, S) bool, True where there is content."""
        qkv = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v, mask)
        x = x + self.dropout(self.out(out.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.down(F.gelu(self.up(self.ffn_norm(x)))))  # type: ignore[no-any-return]


class MarginScorer(nn.Module):
    """Codes of a source, codes of its edit and the edit asked for to a score."""

    def __init__(self, config: ScorerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.code = nn.Embedding(AUDIO_CODES, config.code_dim)
        self.row = nn.Linear(GROUP * config.code_dim, width)
        self.segment = nn.Embedding(2, width)
        self.edit = nn.Embedding(len(config.edits), width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(3 * width, 1)

    def edit_index(self, kind: str, option: str = "") -> int:
        """Row of an edit. Raises ValueError for one the scorer was not trained on."""
        name = edit_name(kind, option)
        if name not in self.config.edits:
            raise ValueError(
                f"the scorer was asked about '{shown(name)}'; it knows "
                f"{shown(', '.join(self.config.edits))}. Score another edit, or go without a score."
            )
        return self.config.edits.index(name)

    def logit(
        self,
        source: Tensor,
        edited: Tensor,
        edits: Tensor,
        source_groups: Tensor | None = None,
        edited_groups: Tensor | None = None,
    ) -> Tensor:
        """Unbounded margin (B,); the score is 1 + 9 * sigmoid of it.

        Args:
            source: codes (B, G, 5) int64 in 0..5119, right-padded with anything legal.
            edited: the same of the edit, of any other length.
            edits: rows of the edit embedding (B,) int64.
            source_groups: groups of each source (B,) int64; None where unpadded.
            edited_groups: the same of each edit.
        """
        parts, masks = [self.edit(edits)[:, None]], [edits.new_ones(len(edits), 1).bool()]
        for index, (codes, groups) in enumerate(((source, source_groups), (edited, edited_groups))):
            rows = self.row(self.dropout(self.code(codes).flatten(-2)))
            positions = torch.arange(codes.shape[1], device=codes.device)
            where = sinusoids(positions, rows.shape[-1]).to(rows.dtype)
            parts.append(rows + self.segment.weight[index] + where)
            lengths = edits.new_full(edits.shape, codes.shape[1]) if groups is None else groups
            masks.append(length_mask(lengths, codes.shape[1]))
        x, mask = torch.cat(parts, 1), torch.cat(masks, 1)
        for block in self.blocks:
            x = block(x, mask[:, None, None])
        x = self.norm(x)
        before = 1 + source.shape[1]
        pooled = [
            x[:, 0],
            _masked_mean(x[:, 1:before], masks[1]),
            _masked_mean(x[:, before:], masks[2]),
        ]
        return self.head(torch.cat(pooled, -1))[:, 0]  # type: ignore[no-any-return]

    def forward(
        self,
        source: Tensor,
        edited: Tensor,
        edits: Tensor,
        source_groups: Tensor | None = None,
        edited_groups: Tensor | None = None,
    ) -> Tensor:
        """Scores (B,) float in 1..10; arguments as in `logit`."""
        margin = self.logit(source, edited, edits, source_groups, edited_groups)
        return LOWEST + (HIGHEST - LOWEST) * torch.sigmoid(margin)


def _masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean (B, D) of x (B, T, D) where mask (B, T) is True; zeros where it never is."""
    weight = mask.to(x.dtype)[..., None]
    return (x * weight).sum(1) / weight.sum(1).clamp(min=1.0)
