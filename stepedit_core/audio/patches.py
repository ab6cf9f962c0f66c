"""New samples in the place of some of a recording's; all others stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .recordings import Recording


@dataclass(frozen=True, kw_only=True)
class Patch:
    """New samples for a recording."""

    start: int
    """First sample of the recording that is replaced."""
    stop: int
    """One past the last sample that is replaced."""
    samples: Tensor
    """(C, n) of the recording's type; n may be more or less than what is replaced."""

    @property
    def first(self) -> int:
        """First sample of the result that may differ."""
        return self.start

    @property
    def end(self) -> int:
        """One past the last sample of the result that may differ."""
        return self.start + self.samples.shape[1]


def patched(recording: Recording, patches: Sequence[Patch]) -> Recording:
    """The recording with patches that follow each other and do not overlap."""
    old, parts, at = recording.samples, [], 0
    for patch in patches:
        parts += [old[:, at : patch.start], patch.samples]
        at = patch.stop
    return replace(recording, samples=torch.cat([*parts, old[:, at:]], dim=1))
