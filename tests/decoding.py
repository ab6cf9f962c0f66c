"""All logits after a prompt and after one more id, as tests compare them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from stepedit_core.models.llm import Step1LM
from stepedit_core.models.llm_cache import KVCache


def prefill(model: Step1LM, prompts: Sequence[Sequence[int]], cache: KVCache) -> Tensor:
    """Logits (B, V) after each prompt."""
    return model.logits(model.prefill_hidden(prompts, cache))


def step(model: Step1LM, ids: Tensor, cache: KVCache) -> Tensor:
    """Logits (B, V) after one more id (B,) per row."""
    return model.logits(model.step_hidden(ids, cache))
