"""A stretch of a recording taken out, at the quietest places near its borders.

What is on both sides is faded into each other over 10 ms. All samples outside of the fade stay as
they are, in the type that they have. Where the length must stay, the recording's own room tone
fills the hole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..audio.clips import float_samples, samples_as
from ..audio.patches import Patch

FADE_S = 0.01
"""Length of a fade."""
LONG_FADE_S = 0.05
"""The same where one side is much louder than the other: silence before the middle of a sound."""
MUCH_LOUDER = 4.0
"""Power of one side over that of the other: 6 dB."""
FRAME_S, STEP_S = 0.01, 0.0025
"""Time over which loudness is measured, and distance of the places that are compared."""
NEAR_QUIET = 4.0
"""A place with up to this many times the power of the quietest, 6 dB, is quiet as well."""
SHIFT_S = 0.004
"""Most that a cut is moved so that the waves on both sides agree."""
LOUD = 0.4
"""What loudness costs where the edges of a cut are chosen, beside the distance of their spectra."""
ALIKE = 0.5
"""Correlation above which two waves are faded by amplitude; below, by power."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """Where a cut may begin or end, in samples: from `low` to `high`, both inside."""

    low: int
    high: int

    def places(self, rate: int) -> np.ndarray:
        """The places that are compared, in order; one at least."""
        return np.arange(self.low, max(self.low, self.high) + 1, max(1, round(STEP_S * rate)))


def quiet_places(samples: Tensor, rate: int, room: Room) -> np.ndarray:
    """Places of a room in samples (C, N), in order, about as quiet as its quietest; never empty."""
    half, places = max(1, round(FRAME_S * rate / 2)), room.places(rate)
    begins, ends = np.maximum(places - half, 0), np.minimum(places + half, samples.shape[1])
    first, last = int(begins[0]), int(ends[-1])
    power = float_samples(samples[:, first:last]).double().square().mean(0).numpy()
    sums = np.concatenate([[0.0], np.cumsum(power)])
    level = (sums[ends - first] - sums[begins - first]) / np.maximum(ends - begins, 1)
    found: np.ndarray = places[level <= NEAR_QUIET * level.min() + 1e-12]
    return found


def alike_pair(samples: Tensor, rate: int, heads: np.ndarray, tails: np.ndarray) -> tuple[int, int]:
    """The place of `heads` and that of `tails` between which the sound continues most smoothly.

    What ends at the one and what begins at the other are compared by the logarithm of their power
    in bands; of equal pairs the first is taken.
    """
    size = max(8, round(FRAME_S * 1.5 * rate))
    before = np.stack([_shape(samples, head - size, head, rate) for head in heads])
    after = np.stack([_shape(samples, tail, tail + size, rate) for tail in tails])
    apart = np.abs(before[:, None] - after[None]).mean(2)
    apart += LOUD * (_loudness(before)[:, None] + _loudness(after)[None])
    left, right = np.unravel_index(int(apart.argmin()), apart.shape)
    return int(heads[left]), int(tails[right])


def _loudness(shapes: np.ndarray) -> np.ndarray:
    """How much louder shapes (n, 16) are than the quietest of them, in nepers of power (n,)."""
    level = np.logaddexp.reduce(shapes, axis=1)
    return np.asarray(level - level.min())


def _shape(samples: Tensor, first: int, last: int, rate: int) -> np.ndarray:
    """Logarithm of the power of samples first to last in bands (16,); silence beyond the ends."""
    part = float_samples(samples[:, max(first, 0) : max(last, 0)]).double().mean(0).numpy()
    padded = np.zeros(last - first)
    padded[: len(part)] = part
    power = np.abs(np.fft.rfft(padded * np.hanning(len(padded)))) ** 2
    edges = np.geomspace(80, min(8000, rate / 2), 17) / rate * len(padded)
    bands = [power[int(a) : max(int(b), int(a) + 1)].mean() for a, b in pairwise(edges)]
    shape: np.ndarray = np.log(np.array(bands) / len(padded) + 1e-8)
    return shape


def closed(old: Tensor, first: int, second: int, rate: int) -> Patch:
    """What takes the place of a hole from `first` to `second` in old (C, N): one fade.

    The fade lies half before the hole and half after it, and the second half may move by 4 ms to
    where the waves agree. At the recording's beginning or end it is a fade in or out.
    """
    length, half = old.shape[1], max(1, round(_fade_seconds(old, first, second, rate) * rate / 2))
    half = min(half, *(room for room in (first, length - second) if room > 0)) if old.numel() else 0
    if first == 0 or second == length:  # nothing on one side
        fade = min(2 * half, length - second if first == 0 else first)
        at = second if first == 0 else first - fade
        up = _ramp(fade) if first == 0 else _ramp(fade)[::-1]
        alone = float_samples(old[:, at : at + fade]).double() * torch.from_numpy(up.copy())
        start, stop = (0, second + fade) if first == 0 else (at, length)
        return Patch(start=start, stop=stop, samples=samples_as(alone, old.dtype))
    before = float_samples(old[:, first - half : first + half]).double()
    reach = max(0, min(round(SHIFT_S * rate), second - first, length - second - half))
    near = float_samples(old[:, second - half - reach : second + half + reach]).double()
    shift, alike = _agreement(before.mean(0).numpy(), near.mean(0).numpy())
    after = near[:, shift : shift + 2 * half]
    made = _crossed(before, after, alike)
    stop = second + half + shift - reach
    return Patch(start=first - half, stop=stop, samples=samples_as(made, old.dtype))


def _fade_seconds(old: Tensor, first: int, second: int, rate: int) -> float:
    """Length of the fade between what ends at `first` and what begins at `second`."""
    size = round(LONG_FADE_S * rate)
    sides = old[:, max(0, first - size) : first], old[:, second : second + size]
    if not all(side.shape[1] for side in sides):
        return FADE_S
    quiet, loud = sorted(float(float_samples(side).double().square().mean()) for side in sides)
    return LONG_FADE_S if loud > MUCH_LOUDER * quiet else FADE_S


def filled(old: Tensor, first: int, second: int, rate: int, tone: Tensor) -> Patch:
    """What takes the place of first to second in old (C, N): as much of a room tone (C, T)."""
    length, half = old.shape[1], max(1, round(FADE_S * rate / 2))
    start, stop = max(0, first - half), min(length, second + half)
    made = lasting(float_samples(tone).double(), stop - start)
    fade = min(2 * half, (stop - start) // 2)
    edges = float_samples(old[:, start:stop]).double()
    if start > 0:
        made[:, :fade] = _crossed(edges[:, :fade], made[:, :fade], 0.0)
    if stop < length:
        tail = slice(made.shape[1] - fade, None)
        made[:, tail] = _crossed(made[:, tail], edges[:, tail], 0.0)
    return Patch(start=start, stop=stop, samples=samples_as(made, old.dtype))


def lasting(tone: Tensor, count: int) -> Tensor:
    """Tone (C, T) made `count` samples long, forwards and backwards in turn: no step at a seam."""
    both = torch.cat((tone, tone.flip(1)), dim=1)
    return both.repeat(1, count // both.shape[1] + 1)[:, :count].clone()


def _ramp(count: int) -> np.ndarray:
    """Rise from 0 to 1 in `count` steps, neither end inside."""
    rise: np.ndarray = (np.arange(count) + 0.5) / max(count, 1)
    return rise


def _crossed(old: Tensor, new: Tensor, alike: float) -> Tensor:
    """Old (C, n) faded into new (C, n): by amplitude where they are alike, else by power."""
    up = torch.from_numpy(_ramp(old.shape[1]))
    if alike >= ALIKE:
        return (1 - up) * old + up * new
    return (up * math.pi / 2).cos() * old + (up * math.pi / 2).sin() * new


def _agreement(one: np.ndarray, near: np.ndarray) -> tuple[int, float]:
    """Where in near (M,) the wave one (N,) fits best, the middle first, and the correlation."""
    places = range(len(near) - len(one) + 1)
    middle = len(places) // 2
    scores = {}
    for at in places:
        other = near[at : at + len(one)]
        norm = math.sqrt(float(one @ one) * float(other @ other))
        scores[at] = round(float(one @ other) / norm, 6) if norm > 1e-12 else 0.0
    best = max(sorted(places, key=lambda at: abs(at - middle)), key=lambda at: scores[at])
    return best, scores[best]
