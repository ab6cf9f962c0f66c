"""One step of the language model at fixed shapes and places, which a CUDA graph can replay.

The layers are those of llm.py. What a step needs besides the newest ids lies in tensors that keep
their addresses: the next slot is a number on the device, and attention sees all slots of the cache,
with -inf after the newest. Letters as in llm.py: B rows, D width, H heads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .llm import Step1LM
from .llm_cache import KVCache


class StaticCache:
    """A prefilled cache whose next slot is counted on the device."""

    def __init__(self, cache: KVCache) -> None:
        if cache.bias is None or not 0 < cache.used < cache.length:
            raise ValueError(
                f"the cache has {cache.used} of {cache.length} ids filled; steps need one that is "
                "prefilled and has room. Call prefill_hidden first, or make a longer one."
            )
        self.kv = cache.kv
        self.slots = torch.arange(cache.length, device=cache.kv.device)
        self.used = self.slots[cache.used : cache.used + 1].clone()
        """(1,) int64: filled slots, and so the next one."""
        future = cache.bias.new_full((len(cache.bias), cache.length - 1), -math.inf)
        self.line = torch.cat([cache.bias, future], 1)
        """(H, 2 length - 1): the bias at distances length-1 .. 0, then of slots not yet filled."""
        self.pad = cache.pad
        """(B, 1, 1, length), or None, as in KVCache."""

    def bias(self) -> Tensor:
        """The bias (1 or B, H, 1, length) of the newest id to every slot."""
        bias = self.line.index_select(1, self.slots + (len(self.slots) - 1 - self.used))
        line = bias[None, :, None]
        return line if self.pad is None else line + self.pad


@torch.no_grad()
def static_hidden(model: Step1LM, ids: Tensor, cache: StaticCache) -> Tensor:
    """As Step1LM.step_hidden: append one id (B,) int64 to every row; final hidden states (B, D).

    No shape and no place depends on how full the cache is, and nothing waits for the device. A
    step more than the cache has room for is not noticed: the caller counts.
    """
    x, bias = model.model.embed_tokens(ids)[:, None], cache.bias()
    for index, layer in enumerate(model.model.layers):
        x = layer(x, bias, cache.kv[index], cache.used)
    cache.used += 1
    return model.model.norm(x[:, 0])  # type: ignore[no-any-return]
