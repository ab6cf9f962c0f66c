"""A recording of exactly so many seconds: a little stretch, or first the edit speed.

What is off by up to 8 % is stretched, which nobody hears as another pace. More is a change of speed
and is named so; both are by time stretch at the same pitch, in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..audio.clips import float_samples, samples_as
from ..audio.recordings import Recording
from .stretch import fit_seconds

LITTLE = 0.08
"""Largest stretch that is not a change of speed."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A recording that was made to last so long."""

    recording: Recording
    tempo: float
    """Length before over length after: above 1 it is faster than before."""
    by_speed: bool
    """Whether it took a change of speed."""


def fit_slot(recording: Recording, seconds: float) -> Fitted:
    """The recording at another pace, round(seconds * rate) samples long, in its own type.

    Raises ValueError for less than a quarter or more than four times its length.
    """
    wave = float_samples(recording.samples)
    made = fit_seconds(wave, recording.sample_rate, seconds)
    tempo = recording.seconds / seconds
    samples = (
        recording.samples if made is wave else samples_as(made.double(), recording.samples.dtype)
    )
    return Fitted(
        recording=replace(recording, samples=samples),
        tempo=tempo,
        by_speed=not 1 - LITTLE <= tempo <= 1 + LITTLE,
    )
