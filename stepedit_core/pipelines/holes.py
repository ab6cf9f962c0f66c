"""Stretches of a recording that are cut out, and the long pauses that join them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ..audio.clips import float_samples
from ..audio.recordings import Recording
from ..signal.cut import FADE_S, LONG_FADE_S, SHIFT_S
from ..signal.silence import BEFORE_SECONDS, HANG_OVER_SECONDS, speech_spans

Why = Literal["words", "filler", "unheard", "repeat", "pause"]
ROOM_S = LONG_FADE_S + 2 * SHIFT_S
"""Least time between two holes."""
SCRAP_S = 0.05
"""Sound beside a cut that is part of the pause there."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One thing that was removed."""

    start: float
    """Seconds in the input."""
    end: float
    text: str
    """The words; empty for a pause and for a sound without words."""
    why: Why


@dataclass(frozen=True)
class Hole:
    """Samples first to second that go."""

    first: int
    second: int
    text: str
    why: Why

    def cut(self, rate: int) -> Cut:
        """The same in seconds."""
        return Cut(start=self.first / rate, end=self.second / rate, text=self.text, why=self.why)


def with_pauses(holes: list[Hole], recording: Recording, over: float) -> list[Hole]:
    """The holes, and one in every pause that is still longer than `over` seconds after them."""
    most, length = round(over * recording.sample_rate), recording.samples.shape[1]
    pauses: list[Hole] = []
    scrap = round(SCRAP_S * recording.sample_rate)
    for chain in _chains(_quiet(recording), holes, scrap):
        excess = sum(b - a for a, b in chain) - most
        if excess <= round(FADE_S * recording.sample_rate):
            continue
        # half of what stays at each side; all of it beside speech where nothing else is there
        lead = 0 if chain[0][0] == 0 else most if chain[-1][1] == length else most // 2
        pauses.append(Hole(_along(chain, lead), _along(chain, lead + excess), "", "pause"))
    return merged([*holes, *pauses], recording.sample_rate)


def _quiet(recording: Recording) -> list[tuple[int, int]]:
    """Stretches without speech; none in a recording without any speech."""
    rate, length = recording.sample_rate, recording.samples.shape[1]
    spans = speech_spans(float_samples(recording.samples), rate)
    if not spans:
        return []
    before, after = round(BEFORE_SECONDS * rate), round(HANG_OVER_SECONDS * rate)
    speech = [(a + before * (a > 0), b - after * (b < length)) for a, b in spans]
    edges = [0, *(edge for span in speech for edge in span), length]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


def _chains(
    quiet: Sequence[tuple[int, int]], holes: Sequence[Hole], scrap: int
) -> Iterator[list[tuple[int, int]]]:
    """Quiet stretches without the holes; those that meet over a hole are one pause, a chain.

    Up to `scrap` samples beside the hole may have sound: the edges of what was removed.
    """
    rest: list[tuple[int, int]] = []
    for a, b in quiet:
        for hole in holes:
            if hole.first < b and hole.second > a:
                if hole.first > a:
                    rest.append((a, hole.first))
                a = hole.second
        if b > a:
            rest.append((a, b))
    chain: list[tuple[int, int]] = []
    for a, b in rest:
        gone = sum(
            hole.second - hole.first for hole in holes if chain and chain[-1][1] <= hole.first < a
        )
        if chain and not (gone and a - chain[-1][1] - gone <= scrap):
            yield chain
            chain = []
        chain.append((a, b))
    if chain:
        yield chain


def _along(chain: Sequence[tuple[int, int]], count: int) -> int:
    """The sample that lies `count` samples into a chain."""
    for a, b in chain:
        if count <= b - a:
            return a + count
        count -= b - a
    return chain[-1][1]


def merged(holes: Sequence[Hole], rate: int) -> list[Hole]:
    """Holes in order; those between which no fade has room are one, under the words of both."""
    out: list[Hole] = []
    for hole in sorted(holes, key=lambda hole: (hole.first, hole.second)):
        if out and hole.first <= out[-1].second + round(ROOM_S * rate):
            last = out.pop()
            why = last.why if last.why != "pause" else hole.why
            text = " ".join(part for part in (last.text, hole.text) if part)
            hole = Hole(last.first, max(last.second, hole.second), text, why)
        out.append(hole)
    return out
