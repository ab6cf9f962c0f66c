"""Where each period of a voice lies in a recording: there its sound can be taken apart.

Source: Boersma 1993 for the pitch (candidates of every frame, the cheapest path through all of
them), Moulines and Charpentier 1990 for the marks: one a period, each where the sound is most like
it was at the mark before. What has no voice gets a mark every 5 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .flagged import stretches
from .periodicity import RATE_HZ, SHORTEST, SMALL, periodicity

HOP_SECONDS = 0.005
CANDIDATES = 6
"""Periods of a frame that may be its pitch."""
UNVOICED = 0.5
"""Likeness that the lowest voice must have to be one."""
OCTAVE_COST = 0.06
"""By which a period twice as long must be more alike: every multiple of a period is as good."""
JUMP_COST, TURN_COST = 0.6, 0.14
"""Of an octave from one frame to the next, and of a voice that begins or ends."""
QUIET_COST = 2.0
LEAST_POWER = 1e-4
"""Of the loudest frame's: what is 40 dB below it has no voice."""
REACH = 0.2
"""Share of a period by which the next mark may miss its place."""
LEAST_APART = 10.0
"""Samples between two marks."""


@dataclass(frozen=True)
class PitchMarks:
    """K marks of a wave of N samples, the first at 0 and the last at N - 1."""

    at: np.ndarray
    """(K,) float64, samples, rising."""
    voiced: np.ndarray
    """(K,) bool: whether the mark is one of a voice."""


def pitch_track(mono: Tensor, rate: int) -> np.ndarray:
    """Pitch in Hz (T,) float64 of a wave (N,) every 5 ms, 0 where there is no voice."""
    frames = int(mono.shape[0] / rate / HOP_SECONDS) + 1
    found = periodicity(mono, rate, HOP_SECONDS * rate, frames)
    alike, power = found.alike, found.power
    count = alike.shape[1]
    # the top of the parabola through each period and its two neighbours
    before, after = (F.pad(alike, pad, mode="replicate") for pad in ((1, 0), (0, 1)))
    before, after = before[:, :-1], after[:, 1:]
    slope, bend = (before - after) / 2, before - 2 * alike + after
    off = torch.where(bend < 0, slope / bend.clamp(max=-SMALL), 0.0).clamp(-0.5, 0.5)
    peaks = (alike >= before) & (alike >= after)
    octaves = torch.log2(torch.arange(SHORTEST, SHORTEST + count) / (SHORTEST + count))
    top = alike - slope * off / 2 - OCTAVE_COST * octaves
    worth, place = torch.where(peaks, top, -9.0).topk(CANDIDATES, dim=1)
    period = SHORTEST + place + off.gather(1, place)
    pitch = (RATE_HZ / period).double().numpy()
    quiet = (power <= (LEAST_POWER * power.max()).clamp(min=SMALL)).double().numpy()
    cost = np.full((frames, CANDIDATES + 1), -UNVOICED)
    cost[:, :-1] = -worth.double().numpy() + QUIET_COST * quiet[:, None]
    path = _cheapest(cost, np.log2(pitch))
    last = np.minimum(path, CANDIDATES - 1)
    return np.where(path < CANDIDATES, pitch[np.arange(frames), last], 0.0)


def _cheapest(cost: np.ndarray, octave: np.ndarray) -> np.ndarray:
    """The state (T,) of each frame: a candidate, or the last state, which has no voice."""
    frames, states = cost.shape
    total, turns = cost[0], np.full((states, states), TURN_COST)
    turns[-1, -1] = 0.0
    came = np.zeros((frames, states), np.int64)
    for t in range(1, frames):
        turns[:-1, :-1] = JUMP_COST * np.abs(octave[t - 1][:, None] - octave[t])
        whole = total[:, None] + turns
        came[t] = whole.argmin(axis=0)
        total = whole.min(axis=0) + cost[t]
    path = np.empty(frames, np.int64)
    path[-1] = total.argmin()
    for t in range(frames - 1, 0, -1):
        path[t - 1] = came[t, path[t]]
    return path


def pitch_marks(mono: Tensor, rate: int, track: np.ndarray | None = None) -> PitchMarks:
    """The marks of a wave (N,) float32 at `rate` Hz; N is two or more.

    `track` is its pitch by `pitch_track`, where that is known.
    """
    pitch = pitch_track(mono, rate) if track is None else track
    wave = mono.double().numpy()
    hop, voiced = HOP_SECONDS * rate, pitch > 0
    frame = np.flatnonzero(voiced)
    at, kinds = [0.0], [False]

    def period(place: float) -> float:
        return float(rate / np.interp(place / hop, frame, pitch[frame]))

    def without_voice(end: float) -> None:
        count = max(0, round((end - at[-1]) / hop) - 1)
        at.extend(np.linspace(at[-1], end, count + 2)[1:-1].tolist())
        kinds.extend([False] * count)

    for first, end in stretches(voiced):
        bounds = max(0.0, (first - 0.5) * hop), min(len(wave) - 1.0, (end - 0.5) * hop)
        run = [place for place in _run(wave, bounds, period) if place > at[-1] + LEAST_APART]
        if len(run) > 1:
            without_voice(run[0])
            at.extend(run)
            kinds.extend([True] * len(run))
    while len(at) > 1 and at[-1] > len(wave) - 1 - LEAST_APART:
        at.pop()
        kinds.pop()
    without_voice(len(wave) - 1.0)
    at.append(len(wave) - 1.0)
    kinds.append(False)
    return PitchMarks(np.array(at), np.array(kinds))


def _run(
    wave: np.ndarray, bounds: tuple[float, float], period: Callable[[float], float]
) -> list[float]:
    """Marks of one stretch of voice, from its middle outwards; empty where it has no two periods.

    The first is where the sound is strongest. Each next one is where the period around it is most
    like that around the mark before.
    """
    low, high = bounds
    middle = (low + high) / 2
    half = period(middle) / 2
    if high - low < 4 * half:
        return []
    begin = max(0, int(middle - half))
    strongest = begin + float(np.argmax(np.abs(wave[begin : int(middle + half) + 1])))
    run = [strongest]
    for way in (1, -1):
        place: float | None = strongest
        while place is not None:
            place = _next(wave, place, way * period(place))
            if place is not None and not low <= place <= high:
                place = None
            if place is not None:
                run.append(place)
    return sorted(run)


def _next(wave: np.ndarray, place: float, period: float) -> float | None:
    """The mark about one period (negative: before) from a mark; None beside the wave's ends."""
    half, reach = int(abs(period) / 2) + 1, int(REACH * abs(period)) + 1
    here, there = round(place), round(place + period)
    if min(here - half, there - reach - half) < 0:
        return None
    if max(here + half, there + reach + half) >= len(wave):
        return None
    pattern = wave[here - half : here + half + 1]
    area = wave[there - reach - half : there + reach + half + 1]
    power = np.convolve(np.square(area), np.ones(len(pattern)), "valid")
    alike = np.correlate(area, pattern, "valid") / np.sqrt(power * (pattern @ pattern) + 1e-12)
    best = int(np.argmax(alike))
    off = 0.0
    if 0 < best < len(alike) - 1:
        before, top, after = alike[best - 1 : best + 2]
        bend = before - 2 * top + after
        off = 0.0 if bend >= 0 else float(0.5 * (before - after) / bend)
    return there - reach + best + off + place - here
