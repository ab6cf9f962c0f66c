"""A recording's own wave in another time, at another pitch, with another colour: nothing is drawn.

Source: TD-PSOLA (Moulines and Charpentier 1990, Speech Communication 9, 453-467). The wave is taken
apart into pieces of two periods around its pitch marks; laid closer together they are a higher
voice with the same formants, and a piece that is left out or laid twice is a shorter or longer
sound. The colour is a gain by band and time. What is not moved keeps its samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..audio.mel import PROMPT_HOP, mel_centres
from ..audio.resample import resample
from .limiter import limited
from .pitch_marks import HOP_SECONDS, PitchMarks, pitch_marks

FINER = 4
"""Places between two samples at which a piece can begin: a voice whose periods are whole samples
sounds rough."""
WANDER_SECONDS = 0.08
"""How far a sound without a voice is looked for around its place where it is needed twice: the same
piece again and again would hum."""
ALIGN_SECONDS = 0.001
"""Most by which a piece without a voice is moved to where it would lie by itself: after a part that
was moved, the samples are the recording's own again."""
BANDS = 3.0
"""Width of the curve, in mel bands, that smooths a change over frequency: beside a change of pitch
the harmonics lie in other bands, which is no change of colour."""
STEADY_SECONDS = 0.12
"""Width of the curve that smooths a change over time: what an edit does to single sounds costs
words, and is not heard as an emotion (docs/experiments.md, 2026-11-29)."""
MOST = 2.0
"""Most by which a band is raised or lowered, natural logarithm: 17 dB."""
FRAME_SECONDS, HOPS = 0.04, 4
"""Of the spectra, in which the gain is applied: length, and hops in it."""
LEVEL_SECONDS, MOST_LEVEL = 0.04, 4.0
"""Time over which the power is compared, and the largest factor on it."""
SMALL = 1e-12


@dataclass(frozen=True)
class Move:
    """What becomes of a wave, by mel frames of `frame` samples."""

    places: np.ndarray
    """(F,) float64: frame of the wave, in fractions, under each frame of the result."""
    pitch: np.ndarray
    """(F,) float64: factor on the pitch."""
    change: Tensor
    """(80, F) float32: what is added to the natural-log mel at 0 to 8 kHz."""
    frame: float = PROMPT_HOP
    """Samples of a frame, at the wave's rate."""
    track: np.ndarray | None = None
    """What `pitch_track` says of the wave, where that is known."""

    @property
    def count(self) -> int:
        """Samples of the result."""
        return round(len(self.places) * self.frame)

    @property
    def still(self) -> int | None:
        """Samples of the wave before the result's first, where it is only cut out; else None."""
        places = self.places
        whole = places[0] == round(places[0]) and bool(np.all(np.diff(places) == 1))
        if not whole or np.any(self.pitch != 1) or bool(self.change.any()):
            return None
        return round(float(places[0]) * self.frame)


def moved(rows: Tensor, rate: int, move: Move) -> Tensor:
    """Rows (R, N) float32 at `rate` Hz moved alike: (R, move.count).

    The first row is taken apart at its pitch marks, and the others at the same places: channels
    stay together. Before and after the recording there is silence.
    """
    start = move.still
    if start is not None:
        return _cut(rows, start, move.count)
    at, pitch = _by_sample(move)
    # an offset in pieces that do not add up to 1 would be a tone
    offset = rows.mean(dim=1, keepdim=True)
    bare = rows - offset
    inside = torch.from_numpy((at > -1) & (at < rows.shape[1]))
    laid = _laid(bare, rate, pitch_marks(bare[0], rate, move.track), at, pitch) + offset * inside
    made = _coloured(laid, rate, move) if bool(move.change.any()) else laid
    return limited(made, rate, float(rows.abs().max()))


def _cut(rows: Tensor, start: int, count: int) -> Tensor:
    """Samples from `start` on, with silence where the recording has none."""
    before = min(max(0, -start), count)
    kept = rows[:, max(0, start) : max(0, start + count)]
    return F.pad(kept, (before, count - before - kept.shape[1]))


def _by_sample(move: Move) -> tuple[np.ndarray, np.ndarray]:
    """Sample of the wave, in fractions, and factor on the pitch under each sample of the result."""
    # frame k is centred on sample frame * (k + 1/2); beyond the outer two all passes as recorded
    frame = (np.arange(move.count) + 0.5) / move.frame - 0.5
    last = len(move.places) - 1
    places = np.interp(frame, np.arange(last + 1), move.places)
    places += np.minimum(frame, 0.0) + np.maximum(frame - last, 0.0)
    pitch = np.interp(frame, np.arange(last + 1), move.pitch)
    return (places + 0.5) * move.frame - 0.5, pitch


def _laid(rows: Tensor, rate: int, marks: PitchMarks, at: np.ndarray, pitch: np.ndarray) -> Tensor:
    """The pieces of rows (R, N) laid along `at` (M,) at the pitch (M,): (R, M) float32."""
    left = np.diff(marks.at, prepend=marks.at[0] - 1)
    right = np.diff(marks.at, append=marks.at[-1] + 1)
    times, taken = _plan(marks, rate, at, pitch)
    first = np.maximum(np.ceil(times - left[taken]).astype(np.int64), 0)
    end = np.minimum(np.floor(times + right[taken]).astype(np.int64) + 1, len(at))
    sizes = np.maximum(end - first, 0)
    piece = np.repeat(np.arange(len(times)), sizes)
    place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes) + first[piece]
    off = place - times[piece]
    mark = taken[piece]
    side = np.where(off < 0, left[mark], right[mark])
    weight = 0.5 + 0.5 * np.cos(np.pi * off / side)
    fine = _finer(rows, rate)
    source = np.rint(FINER * (marks.at[mark] + off)).astype(np.int64)
    pieces = fine[:, np.clip(source, 0, fine.shape[1] - 1)]

    def laid(values: np.ndarray) -> np.ndarray:
        return np.bincount(place, weights=values * weight, minlength=len(at))

    out = np.stack([laid(samples) for samples in pieces])
    # pieces that lie closer together or further apart keep the power that they had
    power = laid(pieces[0] ** 2) / np.maximum(laid(np.ones(len(place))), SMALL)
    width = round(LEVEL_SECONDS * rate)
    level = _around(power, width) / np.maximum(_around(out[0] ** 2, width), SMALL)
    return torch.from_numpy(out * np.clip(level, 1 / MOST_LEVEL, MOST_LEVEL) ** 0.5).float()


def _around(values: np.ndarray, width: int) -> np.ndarray:
    """Mean (N,) of the values within half a width on each side."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    first, end = np.maximum(place - width // 2, 0), np.minimum(place + width // 2 + 1, len(values))
    found: np.ndarray = (total[end] - total[first]) / (end - first)
    return found


def _finer(rows: Tensor, rate: int) -> np.ndarray:
    """Rows (R, N) at `FINER` times their rate; their own samples stay as they are."""
    fine = resample(rows, rate, FINER * rate)
    fine[:, ::FINER] = rows
    return fine.numpy()


def _plan(
    marks: PitchMarks, rate: int, at: np.ndarray, pitch: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Times (J,) of the result, in samples, and the mark whose piece is laid there (J,)."""
    apart, count, last = np.diff(marks.at), len(at), len(marks.at) - 1
    align, step = ALIGN_SECONDS * rate, HOP_SECONDS * rate
    times, taken = [], []
    walk = _Walk(marks, WANDER_SECONDS * rate)
    time = float(marks.at[walk.nearest(at[0])] - at[0])
    while time < count:
        here = min(max(int(time), 0), count - 1)
        source = at[here] + time - here
        if not -step <= source <= marks.at[-1] + step:  # before or after the wave
            time += step
            continue
        mark = walk.take(source)
        times.append(time)
        taken.append(mark)
        if marks.voiced[mark]:
            time += apart[min(mark, last - 1)] / pitch[here]
        else:
            slip = marks.at[mark] - source if mark == walk.near else 0.0
            time += apart[min(mark, last - 1)] + min(max(slip, -align), align)
    return np.array(times), np.array(taken, np.int64)


class _Walk:
    """Which mark is next: the nearest one; without a voice not the same again, but one beside."""

    def __init__(self, marks: PitchMarks, reach: float) -> None:
        self._marks, self._reach = marks, reach
        self.near = self._last = -1
        """The mark nearest to where one was last needed, and the one that was taken."""
        self._way = 1

    def nearest(self, place: float) -> int:
        """Of all marks."""
        at = self._marks.at
        k = int(np.searchsorted(at, place))
        return k - 1 if k and (k == len(at) or place - at[k - 1] < at[k] - place) else k

    def take(self, place: float) -> int:
        """The mark to lay where the wave's `place` is needed."""
        mark = near = self.nearest(place)
        if near in (self.near, self._last) and not self._marks.voiced[near]:
            mark = self._beside(place)
        self.near, self._last = near, mark
        return mark

    def _beside(self, place: float) -> int:
        """The mark next to the last one, back and forth around a place."""
        for way in (self._way, -self._way):
            mark = self._last + way
            if not 0 <= mark < len(self._marks.at) or self._marks.voiced[mark]:
                continue
            if abs(self._marks.at[mark] - place) <= self._reach:
                self._way = way
                return mark
        return self._last


def _coloured(rows: Tensor, rate: int, move: Move) -> Tensor:
    """Rows (R, N) whose bands are raised and lowered by the change."""
    change = _smooth(move.change, STEADY_SECONDS * rate / move.frame).clamp(-MOST, MOST)
    size = HOPS * round(FRAME_SECONDS * rate / HOPS)
    hop = size // HOPS
    hz = np.arange(size // 2 + 1) * (rate / size)
    band = np.interp(hz, mel_centres().numpy(), np.arange(change.shape[0]))
    window = torch.hann_window(size)
    spectrum = torch.stft(rows, size, hop, window=window, pad_mode="constant", return_complex=True)
    frame = (np.arange(spectrum.shape[2]) * hop + 0.5) / move.frame - 0.5
    gain = _between(_between(change, band).T, frame).T
    return torch.istft(spectrum * gain.exp(), size, hop, window=window, length=rows.shape[1])


def _smooth(change: Tensor, frames: float) -> Tensor:
    """A change (80, F) smoothed over its bands, and over so many frames."""
    over_bands = _smooth_rows(change.T.float(), BANDS).T
    return _smooth_rows(over_bands, frames)


def _smooth_rows(rows: Tensor, width: float) -> Tensor:
    """Rows (R, N) smoothed along N by a Gaussian curve of this width."""
    reach = math.ceil(3 * width)
    curve = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width).square())
    wide = F.pad(rows[:, None], (reach, reach), mode="replicate")
    return F.conv1d(wide, (curve / curve.sum())[None, None])[:, 0]


def _between(rows: Tensor, places: np.ndarray) -> Tensor:
    """Rows (R, C) at places (P,) between them, (P, C); beyond the outer two as they are."""
    last = rows.shape[0] - 1
    at = np.clip(places, 0, last)
    low = np.minimum(at.astype(np.int64), max(last - 1, 0))
    part = torch.from_numpy((at - low).astype(np.float32))[:, None]
    return rows[low] * (1 - part) + rows[np.minimum(low + 1, last)] * part
