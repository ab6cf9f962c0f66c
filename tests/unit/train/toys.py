"""Models and codes at toy sizes, shared by the tests of training."""

from __future__ import annotations

import torch

from stepedit_core.models.llm import LMConfig, Step1LM
from stepedit_core.types import DualCodes
from stepedit_core.vocab import AUDIO_CODES, Vocabulary

PIECES = 10
VOCABULARY = Vocabulary(audio_offset=PIECES, end_id=3, codebook="toy")
CONFIG = LMConfig(
    vocab_size=PIECES + AUDIO_CODES,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_attention_groups=2,
    max_seq_len=256,
)


def toy_lm(seed: int = 0, std: float = 0.2) -> Step1LM:
    """Random weights that depend on the seed alone."""
    model = Step1LM(CONFIG)
    model.initialise(torch.Generator().manual_seed(seed), std=std)
    return model


def toy_codes(groups: int, seed: int) -> DualCodes:
    generator = torch.Generator().manual_seed(seed)
    return DualCodes(
        linguistic=torch.randint(0, 1024, (2 * groups,), generator=generator),
        semantic=torch.randint(0, 4096, (3 * groups,), generator=generator),
        codebook="toy",
    )


def toy_answer(groups: int, seed: int) -> list[int]:
    """Legal ids of so many groups and the end id."""
    return [*VOCABULARY.interleave(toy_codes(groups, seed)), VOCABULARY.end_id]
