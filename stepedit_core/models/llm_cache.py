"""What the language model remembers: keys and values of a run, and of the prompt before it.

Letters as in llm.py: B rows, L ids, G key groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import ReferenceType, ref

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from .llm_step import FusedLayer


class KVCache:
    """Keys and values of B rows, allocated once and owned by the caller.

    kv (layers, B, 2, G, length, head_dim); slots 0..used-1 are filled, rows right-aligned, so
    every row writes the same next slot. `start` (B,) int64 is the first slot of each row; slots
    before it are masked. Distances, the only positions the model knows, are not affected.
    """

    def __init__(self, kv: Tensor) -> None:
        self.kv = kv
        self.start = torch.zeros(kv.shape[1], dtype=torch.int64, device=kv.device)
        self.used = 0
        self.bias: Tensor | None = None
        """(H, length): the bias of the newest query to slot distances length-1 .. 0."""
        self.pad: Tensor | None = None
        """(B, 1, 1, length): 0, or -inf before a row's start; None when all rows start at 0."""
        self.fused: list[FusedLayer] | None = None
        self.stepped = False
        """Whether a step has run, at the first of which int8 weights are packed."""

    @property
    def batch(self) -> int:
        """Rows B."""
        return self.kv.shape[1]

    @property
    def length(self) -> int:
        """Ids a row can hold."""
        return self.kv.shape[4]

    def select(self, rows: Tensor) -> None:
        """Keep only these rows (n,) int64, in this order; used when other rows have ended."""
        self.kv = self.kv[:, rows]
        self.start = self.start[rows]
        if self.pad is not None:
            self.pad = self.pad[rows]


class PromptMemory:
    """Keys and values of the prompt that ran last, owned by the caller and given to the next call.

    A prompt is cut where its text turns into audio and where a turn ends; a beginning up to a cut
    that equals the remembered one is copied instead of run. What runs is cut at the same places
    with and without a memory, so the results have equal bits. Another model's memory is ignored.
    """

    def __init__(self) -> None:
        self.ids: list[int] = []
        self._kv: Tensor | None = None  # (layers, 1, 2, G, len(ids), head_dim)
        self._model: ReferenceType[nn.Module] | None = None
        self.reused = 0
        """Ids of the newest prompt that were copied."""

    def recall(
        self, model: nn.Module, prompt: Sequence[int], cuts: Sequence[int], kv: Tensor
    ) -> int:
        """Copy the longest known beginning that ends at a cut into kv; how many ids it has."""
        self.reused = 0
        known_kv = self._kv
        if known_kv is None or self._model is None or self._model() is not model:
            return 0
        if (known_kv.device, known_kv.dtype) != (kv.device, kv.dtype):
            return 0
        same = 0
        for old, new in zip(self.ids, prompt, strict=False):
            if old != new:
                break
            same += 1
        known = max((cut for cut in cuts if cut <= same), default=0)
        kv[..., :known, :] = known_kv[..., :known, :]
        self.reused = known
        return known

    def keep(self, model: nn.Module, prompt: Sequence[int], kv: Tensor) -> None:
        """Remember a prompt that has run; kv (layers, 1, 2, G, >= L, head_dim) is copied."""
        self.ids = list(prompt)
        self._kv = kv[..., : len(self.ids), :].clone()
        self._model = ref(model)
