"""How the two code streams become one sequence of LM ids, and back.

The only file that knows 2:3, 1024, 4096 and PAD. Source: spec 5 (interleaving, ids, padding).
A group of 120 ms has 2 linguistic codes (16.67 Hz) and 3 semantic codes (25 Hz), in the order
a0 a1 s0 s1 s2. N is the linguistic code, or 1024 + the semantic code; the LM id is
audio_offset + N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .printable import shown
from .types import DualCodes

LINGUISTIC_CODES = 1024
SEMANTIC_CODES = 4096
AUDIO_CODES = LINGUISTIC_CODES + SEMANTIC_CODES
LINGUISTIC_PER_GROUP = 2
SEMANTIC_PER_GROUP = 3
GROUP = LINGUISTIC_PER_GROUP + SEMANTIC_PER_GROUP
GROUP_SECONDS = 0.12
MEL_FRAMES_PER_GROUP = 6
PAD = LINGUISTIC_CODES
"""Row of the decoder's table that fills the third linguistic place of a group."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Where the audio ids sit in a bundle's LM vocabulary; the defaults are the release's."""

    audio_offset: int = 65536
    """LM id of `<audio_0>`."""
    end_id: int = 3
    """LM id that ends a turn, `<|EOT|>`."""
    codebook: str = "step-audio"
    """Name of the pair of tokenizers that makes the codes."""

    def interleave(self, codes: DualCodes) -> list[int]:
        """LM ids (5G) of the codes. Raises ValueError when another tokenizer made them."""
        self.check_codebook(codes)
        ids: list[int] = (group_rows(codes).reshape(-1) + self.audio_offset).tolist()
        return ids

    def split(self, ids: Sequence[int]) -> DualCodes:
        """Codes of LM audio ids; a trailing partial group is dropped.

        Raises ValueError when an id does not fit its place in the group.
        """
        whole = len(ids) - len(ids) % GROUP
        rows = torch.tensor(list(ids[:whole]), dtype=torch.int64).view(-1, GROUP)
        rows = rows - self.audio_offset
        linguistic = rows[:, :LINGUISTIC_PER_GROUP]
        semantic = rows[:, LINGUISTIC_PER_GROUP:] - LINGUISTIC_CODES
        for name, part, size in (
            ("linguistic", linguistic, LINGUISTIC_CODES),
            ("semantic", semantic, SEMANTIC_CODES),
        ):
            bad = part[(part < 0) | (part >= size)]
            if len(bad):
                raise ValueError(
                    f"{len(bad)} ids are not {shown(name)} codes at their place in the group (the "
                    f"first is {int(bad[0])}); allowed are 0 to {size - 1}. Draw legal ids only."
                )
        return DualCodes(
            linguistic=linguistic.reshape(-1),
            semantic=semantic.reshape(-1),
            codebook=self.codebook,
        )

    def legal_range(self, position: int) -> tuple[int, int]:
        """First LM id allowed at this position of an answer, and the one after the last."""
        if position % GROUP < LINGUISTIC_PER_GROUP:
            return self.audio_offset, self.audio_offset + LINGUISTIC_CODES
        return self.audio_offset + LINGUISTIC_CODES, self.audio_offset + AUDIO_CODES

    def check_codebook(self, codes: DualCodes) -> None:
        """Raise ValueError when the codes were made by another tokenizer pair."""
        if codes.codebook != self.codebook:
            raise ValueError(
                f"these tokens were made with codebook '{shown(codes.codebook)}'; this bundle "
                f"reads '{shown(self.codebook)}'. Tokenize the audio again with this bundle."
            )


def align(linguistic: Tensor, semantic: Tensor, codebook: str) -> DualCodes:
    """Cut two raw code streams to whole groups; codes left over are dropped (spec 5).

    linguistic (n,) and semantic (m,) int64; G = min(n // 2, m // 3).
    """
    groups = min(
        linguistic.shape[0] // LINGUISTIC_PER_GROUP, semantic.shape[0] // SEMANTIC_PER_GROUP
    )
    return DualCodes(
        linguistic=linguistic[: groups * LINGUISTIC_PER_GROUP].to("cpu", torch.int64),
        semantic=semantic[: groups * SEMANTIC_PER_GROUP].to("cpu", torch.int64),
        codebook=codebook,
    )


def joined(parts: Sequence[tuple[DualCodes, int, int]]) -> DualCodes:
    """Groups first to end of each part (codes, first, end), one after the other.

    The codebook is the first part's.
    """
    two, three = LINGUISTIC_PER_GROUP, SEMANTIC_PER_GROUP
    return DualCodes(
        linguistic=torch.cat([codes.linguistic[two * a : two * b] for codes, a, b in parts]),
        semantic=torch.cat([codes.semantic[three * a : three * b] for codes, a, b in parts]),
        codebook=parts[0][0].codebook,
    )


def group_rows(codes: DualCodes) -> Tensor:
    """One row a group, (G, 5) int64 in 0..5119: a0 a1 and 1024 + s0 s1 s2 (spec 5)."""
    return torch.cat(
        [
            codes.linguistic.view(-1, LINGUISTIC_PER_GROUP),
            codes.semantic.view(-1, SEMANTIC_PER_GROUP) + LINGUISTIC_CODES,
        ],
        dim=1,
    )


def pairs(linguistic: Tensor, semantic: Tensor) -> Tensor:
    """Time-aligned pairs (..., 3G, 2) int64 of codes (..., 2G) and (..., 3G) (spec 5).

    Column A is [a0, a1, PAD] of each group, column B the semantic codes + 1025; both are rows of
    the decoder's table of 5121.
    """
    lead = linguistic.shape[:-1]
    a = linguistic.reshape(*lead, -1, LINGUISTIC_PER_GROUP)
    a = torch.nn.functional.pad(a, (0, 1), value=PAD)
    b = semantic.reshape(*lead, -1, SEMANTIC_PER_GROUP) + PAD + 1
    return torch.stack([a, b], dim=-1).reshape(*lead, -1, 2)
