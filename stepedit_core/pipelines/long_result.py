"""The result of a long edit, part by part: recorded samples and new ones, as loud as before.

The new samples may lie in files until they are needed. Where the whole would be more than 1 LU
louder or quieter than the recording (ITU-R BS.1770), all new samples get one gain, so pieces keep
their levels beside each other. Edits that are meant to be quiet or loud are left alone.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..audio.clips import float_samples, samples_as
from ..audio.patches import Patch
from ..audio.recording_files import parts_of
from ..audio.recordings import Source, read_recording
from ..measure.loudness import LoudnessMeter
from ..types import EditRequest

MOST_LU = 1.0
"""Change of loudness that is left alone."""
LOUDNESS_EDITS = ("whisper", "murmur", "shout", "roar", "loudly")
"""Styles that are meant to change it."""
RAMP_S = 0.02
"""Time over which a gain begins and ends."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LatePatch:
    """New samples for a recording, which are read when they are needed."""

    start: int
    """First sample of the recording that is replaced."""
    stop: int
    """One past the last sample that is replaced."""
    count: int
    """New samples of one channel."""
    load: Callable[[], Tensor]
    """The samples (C, count) of the recording's type."""

    def moved(self, by: int) -> LatePatch:
        """The same so many samples later."""
        return replace(self, start=self.start + by, stop=self.stop + by)

    def kept_in(self, file: Path | None) -> LatePatch:
        """The same without its samples in memory: they are read from the file."""
        if file is None or not self.count:
            return self
        return replace(self, load=lambda: read_recording(file).samples)


def late(patch: Patch) -> LatePatch:
    """A patch whose samples are in memory."""
    samples = patch.samples
    return LatePatch(
        start=patch.start, stop=patch.stop, count=samples.shape[1], load=lambda: samples
    )


def nothing() -> Tensor:
    """The samples of a patch that has none."""
    return torch.zeros(1, 0)


def result_parts(source: Source, patches: Sequence[LatePatch], gain: float) -> Iterator[Tensor]:
    """Samples (C, n) of the recording with its patches, which follow each other, in order."""
    at = 0
    for patch in patches:
        yield from parts_of(source, at, patch.start)
        if patch.count:
            yield with_gain(patch.load(), source.sample_rate, gain)
        at = patch.stop
    yield from parts_of(source, at, source.length)


def with_gain(samples: Tensor, rate: int, gain: float) -> Tensor:
    """Samples (C, N) times a gain that begins and ends within 20 ms."""
    if gain == 1:
        return samples
    count = samples.shape[1]
    ramp = min(round(RAMP_S * rate), count // 2)
    shape = np.ones(count)
    shape[:ramp] = (np.arange(ramp) + 0.5) / max(1, ramp)
    shape[count - ramp :] = shape[:ramp][::-1]
    factor = torch.from_numpy(np.exp(math.log(gain) * shape))
    return samples_as(float_samples(samples).double() * factor, samples.dtype)


def kept_loudness(source: Source, patches: Sequence[LatePatch], request: EditRequest) -> float:
    """Gain of all patches that keeps the loudness of the whole; 1 where it is kept already."""
    if request.option in LOUDNESS_EDITS or not any(patch.count for patch in patches):
        return 1.0
    before = loudness_of(source, parts_of(source, 0, source.length))
    after = loudness_of(source, result_parts(source, patches, 1.0))
    if before is None or after is None or abs(before - after) <= MOST_LU:
        return 1.0
    peak = max(float(float_samples(p.load()).abs().max()) for p in patches if p.count)
    gain = min(10 ** ((before - after) / 20), max(1.0, 1.0 / max(peak, 1e-9)))
    log.info(
        "%.1f LU louder than the recording; gain %.2f", round(after - before, 1), round(gain, 2)
    )
    return gain


def loudness_of(source: Source, parts: Iterable[Tensor]) -> float | None:
    """Loudness in LUFS of parts at the rate of a recording; None for silence."""
    meter = LoudnessMeter(source.sample_rate)
    for part in parts:
        meter.add(float_samples(part).numpy())
    return meter.integrated()
