"""The time path: which moment of a recording lies under each moment of an edit with its words.

Source: dynamic time warping of the codes (`alignment.py`), then a monotone cubic spline (Fritsch
and Carlson 1980) through sure anchors. The bare warping path goes in steps of 40 ms and stretches
single sounds by accident; a mel that is moved along it sounds rough. Here the path bends only where
the codes are sure of it:

- Where it stays near a diagonal, the recording is moved whole, by whole frames: an edit that keeps
  the length keeps every frame of the recording as it is.
- Elsewhere one anchor about every half second decides. An anchor that asks for a stretch far from
  its surroundings is left out.
- Speech between two pauses is one part, which bends or not by itself: a pause that the edit
  shortens takes nothing from the words beside it. Each half of a pause is moved whole with its
  word; what is left out, or held, is its middle.
- A place that the recording does not have, for example a laugh, is unknown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from ..signal.flagged import stretches
from ..types import DualCodes
from ..vocab import SEMANTIC_PER_GROUP
from .alignment import FURTHEST_HERE, ROW_FRAMES, Guide, frame_places

NEAR = 2.0
"""Rows of 40 ms: a path that stays this near to a diagonal is taken to be it."""
NEAR_SHARE = 0.95
"""Share of the rows that must be that near."""
ANCHOR_ROWS = 12
"""Rows from one anchor to the next: about half a second."""
AHEAD_ROWS = 3
"""Rows on each side of an anchor that speak for its place."""
SURE = 0.6
"""Highest cost around a row that may be an anchor, 0 to 3."""
SHORTEST_UNKNOWN = 6
"""Rows: a shorter stretch without a like in the recording is a sound changed by the edit, not a new
one."""
STRETCH = 1.5
"""Most that one interval between anchors may be stretched or squeezed beside the whole stretch."""
PAUSE_ROWS = 5
"""Rows of 40 ms: a shorter quiet stretch is part of speech, for example a stop consonant."""
PAUSE_LEVEL = 0.25
"""A row is quiet below this share of the way from the quiet rows' level to the loud ones'."""
PAUSE_SPAN = 2.0
"""Least distance of these levels, natural logarithm, of a recording that has pauses at all."""
SILENCE = math.log(1e-5)
"""Mel of digital silence: what lies before and after the recording."""


@dataclass(frozen=True)
class TimePath:
    """A recording in an edit's time, row by row of 40 ms."""

    places: np.ndarray
    """(3G,) row of the recording, in fractions, under each row of the edit; never falling."""
    known: np.ndarray
    """(3G,) bool: False where the recording has nothing like it."""
    matches: np.ndarray
    """(3G,) row of the recording, in fractions, whose codes are most alike: the warping path, or
    `places` where those are a diagonal."""

    def frames(self, lead: float = 0.0) -> np.ndarray:
        """Frame of the recording's mel, in fractions, under each of the 6G frames of the edit.

        The recording's first code begins `lead` frames into its mel; whole frames count, so that a
        recording that is moved whole keeps its frames.
        """
        return frame_places(self.places) + round(lead)

    def mel(self, mel: Tensor, lead: float = 0.0) -> Tensor:
        """The recording's mel (80, F) in the edit's time, (80, 6G); silence outside of it."""
        at = self.frames(lead)
        low = np.floor(at).astype(np.int64)
        p = torch.from_numpy((at - low).astype(np.float32)).to(mel)
        count = mel.shape[1]
        padded = torch.cat([mel, mel.new_full((mel.shape[0], 1), SILENCE)], dim=1)
        b, c = (padded[:, np.where((i >= 0) & (i < count), i, count)] for i in (low, low + 1))
        # beside the recording's edge the outer two are the edge again: silence would bend the curve
        a, d = (padded[:, np.clip(i, 0, count - 1)] for i in (low - 1, low + 2))
        # cubic through four frames: a line through two of them blurs
        bent = c - a + p * (2 * a - 5 * b + 4 * c - d + p * (3 * (b - c) + d - a))
        # a frame that is met exactly is taken as it is, bit for bit
        return torch.where(p == 0, b, b + 0.5 * p * bent)

    def codes(self, source: DualCodes, answer: DualCodes) -> DualCodes:
        """The recording's codes in the edit's time; the answer's own where the place is unknown.

        They follow the bare warping path. Nobody hears a code that slips by 40 ms, but where it
        differs from the answer's for no reason but time, the difference would move a sound. Each
        stream is laid at its own rate: decoder rows cannot be moved as they are, for every third
        of them has no linguistic code.
        """
        rows = len(self.places)
        semantic = np.clip(np.rint(self.matches).astype(np.int64), 0, 3 * source.groups - 1)
        # the middle of a linguistic code of 60 ms, in rows of 40 ms
        middle = 1.5 * np.arange(rows * 2 // 3) + 0.25
        at = (np.interp(middle, np.arange(rows), self.matches) - 0.25) / 1.5
        linguistic = np.clip(np.rint(at).astype(np.int64), 0, 2 * source.groups - 1)
        known = torch.from_numpy(self.known)
        return DualCodes(
            linguistic=torch.where(
                known[torch.from_numpy(np.rint(middle).astype(np.int64))],
                source.linguistic[torch.from_numpy(linguistic)],
                answer.linguistic,
            ),
            semantic=torch.where(
                known, source.semantic[torch.from_numpy(semantic)], answer.semantic
            ),
            codebook=answer.codebook,
        )

    def known_frames(self) -> Tensor:
        """(6G,) bool, `known` frame by frame."""
        return torch.from_numpy(np.repeat(self.known, ROW_FRAMES))


def time_path(
    guide: Guide, source: DualCodes, answer: DualCodes, mel: Tensor, lead: float = 0.0
) -> TimePath | None:
    """The path of a recording along an answer; None where the two say different things.

    source, S groups, are the recording's codes, answer, G groups, the edit's; mel (80, F) is the
    recording's at 50 Hz, its first code `lead` frames into it: its level tells the pauses.
    """
    match = guide.match(source, answer)
    if match is None:
        return None
    places, around = match
    known = _without_short(around < FURTHEST_HERE)
    pauses = quiet_stretches(mel, lead, SEMANTIC_PER_GROUP * source.groups)
    path = places.copy()
    for first, last in stretches(known):
        part = slice(first, last)
        path[part] = _settled(places[part], around[part], pauses)
        if np.all(np.diff(path[part]) == 1):  # moved whole: codes that the edit changed do not slip
            places[part] = path[part]
    return TimePath(np.maximum.accumulate(path), known, places)


def quiet_stretches(mel: Tensor, lead: float, rows: int) -> list[tuple[int, int]]:
    """Pauses of a recording as rows of its codes, first and one past last.

    A pause is 200 ms or longer and nearer to the level of the quietest rows than to speech. None in
    a recording without quiet rows.
    """
    level = mel.float().mean(0).cpu().numpy()
    at = np.arange(rows * ROW_FRAMES) + round(lead)
    inside = (at >= 0) & (at < len(level))
    if not inside.any():
        return []
    by_frame = np.where(inside, level[np.clip(at, 0, len(level) - 1)], level.min())
    by_row = by_frame.reshape(rows, ROW_FRAMES).max(1)
    low, high = np.quantile(by_row, (0.05, 0.9))
    if high - low < PAUSE_SPAN:
        return []
    quiet = by_row < low + PAUSE_LEVEL * (high - low)
    return [(a, b) for a, b in stretches(quiet) if b - a >= PAUSE_ROWS]


def _without_short(known: np.ndarray) -> np.ndarray:
    out = known.copy()
    for first, last in stretches(~known):
        if last - first < SHORTEST_UNKNOWN:
            out[first:last] = True
    return out


def _settled(places: np.ndarray, cost: np.ndarray, pauses: list[tuple[int, int]]) -> np.ndarray:
    """The path (N,) of one known stretch: a diagonal, or each part between pauses by itself."""
    whole = _diagonal(places)
    if whole is not None:
        return whole
    quiet = np.zeros(len(places), bool)
    for first, end in pauses:
        # from the row that still speaks before the pause to the first that speaks again
        before = int(np.searchsorted(places, first - 1, side="right")) - 1
        quiet[before + 1 : int(np.searchsorted(places, end, side="left"))] = True
    if quiet.all():
        return places
    out = places.copy()
    for first, last in stretches(~quiet):
        part = slice(first, last)
        spoken = _diagonal(places[part])
        out[part] = _through_anchors(places[part], cost[part]) if spoken is None else spoken
    for first, last in stretches(quiet):
        before = out[first - 1] if first else out[last] - (last - first) - 1
        after = out[last] if last < len(out) else before + (last - first) + 1
        out[first:last] = _whole_pause(before, after, last - first)
    return out


def _whole_pause(before: float, after: float, rows: int) -> np.ndarray:
    """Places (rows,) of a pause between two places: each half keeps its pace beside its word.

    Its middle is left out where the answer's pause is shorter, and held where it is longer. At
    either end of the recording it just passes by at the usual pace.
    """
    middle = before + (after - before) / 2
    step = np.arange(1, rows + 1)
    left, right = before + step, after - step[::-1]
    if after - before <= rows + 1:
        left, right = np.minimum(left, middle), np.maximum(right, middle)
    found: np.ndarray = np.where(step <= rows / 2, left, right)
    return found


def _diagonal(places: np.ndarray) -> np.ndarray | None:
    """The diagonal (N,) that a path (N,) is near to, offset by whole frames; else None."""
    row = np.arange(len(places))
    ahead = places - row
    offset = np.round(np.median(ahead) * ROW_FRAMES) / ROW_FRAMES
    if np.mean(np.abs(ahead - offset) <= NEAR) < NEAR_SHARE:
        return None
    found: np.ndarray = row + offset
    return found


def _through_anchors(places: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """The spline (N,) through both ends of a path (N,) and its sure rows, half a second apart."""
    last = len(places) - 1
    row = np.arange(last + 1)
    # the middle of seven rows beside the diagonal: a few that slip away decide nothing
    ahead = np.pad(places - row, AHEAD_ROWS, mode="edge")
    steady = row + np.median(sliding_window_view(ahead, 2 * AHEAD_ROWS + 1), axis=1)
    pace = max((places[-1] - places[0]) / max(last, 1), 1e-3)
    at, value = [0], [float(places[0])]

    def wild(row: int, place: float) -> bool:
        now = (place - value[-1]) / (row - at[-1])
        return not pace / STRETCH <= now <= pace * STRETCH

    for start in range(ANCHOR_ROWS // 2, last - ANCHOR_ROWS // 2 + 1, ANCHOR_ROWS):
        window = row[start : min(start + ANCHOR_ROWS, last)]
        # of equally sure rows the one in the middle
        centre = np.abs(window - window.mean()) / (100 * ANCHOR_ROWS)
        best = int(window[np.argmin(cost[window] + centre)])
        near = best - at[-1] < ANCHOR_ROWS // 3
        if cost[best] <= SURE and not near and not wild(best, float(steady[best])):
            at.append(best)
            value.append(float(steady[best]))
    # the end stays; an anchor from which it cannot be reached at a usual pace goes
    while len(at) > 1 and wild(last, float(places[-1])):
        at.pop()
        value.pop()
    at.append(last)
    value.append(float(places[-1]))
    return monotone_spline(np.array(at), np.maximum.accumulate(value), row.astype(np.float64))


def monotone_spline(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Cubic through (x, y), both (K,), x rising, y not falling, that never falls; at (N,) -> (N,).

    Fritsch and Carlson's limit on the slopes, in Brodlie's weighted harmonic form.
    """
    x = x.astype(np.float64)
    if len(x) < 3:
        return np.asarray(np.interp(at, x, y))
    width = np.diff(x)
    slope = np.diff(y) / width
    inner = np.zeros(len(x))
    w1, w2 = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
    rising = (slope[:-1] > 0) & (slope[1:] > 0)
    below = np.where(rising, w1 * slope[1:] + w2 * slope[:-1], 1.0)
    inner[1:-1] = np.where(rising, (w1 + w2) * slope[:-1] * slope[1:] / below, 0.0)
    inner[0], inner[-1] = slope[0], slope[-1]
    k = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(width) - 1)
    s = (at - x[k]) / width[k]
    h = width[k]
    out: np.ndarray = (
        y[k] * (1 + 2 * s) * (1 - s) ** 2
        + h * inner[k] * s * (1 - s) ** 2
        + y[k + 1] * s**2 * (3 - 2 * s)
        + h * inner[k + 1] * s**2 * (s - 1)
    )
    return out
