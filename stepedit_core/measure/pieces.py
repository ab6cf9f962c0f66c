"""Where a long sound is cut into pieces: the one rule of transcribing and of editing.

A piece ends at the quietest 0.2 s between half of the longest and the longest, and never inside a
word where the words' times are known. Only the waves that are looked at are in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from ..audio.recordings import Source
from .timeline import Word

HEARD_S = 20.0
"""Longest piece that a recogniser hears at once."""
PAUSE_S = 0.2
"""Time over which a sound must be quiet to be cut."""


class Sliced(Protocol):
    """Samples (N,) that are read by parts: a tensor, or a sound that lies in a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Tensor: ...


@dataclass(frozen=True)
class Mixed:
    """The one channel that networks hear of a recording, read by parts."""

    source: Source

    def __len__(self) -> int:
        return self.source.length

    def __getitem__(self, part: slice) -> Tensor:
        first, end, _ = part.indices(self.source.length)
        return self.source.part(first, end).clip().wave


def quietest(squares: np.ndarray, rate: int, allowed: np.ndarray | None = None) -> int:
    """Middle of the quietest 0.2 s among squared samples (N,); 0 where there is no room.

    `allowed` (N,) bool says which middles may be taken; where it allows none, any may.
    """
    width = round(PAUSE_S * rate)
    if len(squares) <= width:
        return 0
    sums = np.concatenate([[0.0], np.cumsum(squares)])
    power = sums[width:] - sums[:-width]
    if allowed is not None:
        free = allowed[width // 2 : width // 2 + len(power)]
        if free.any():
            power = np.where(free, power, np.inf)
    return int(power.argmin()) + width // 2


def quiet_pieces(
    wave: Sliced, rate: int, longest: float = HEARD_S, words: Sequence[Word] = ()
) -> Iterator[tuple[int, int]]:
    """First and one-past-last sample of each piece, in order; together they are the wave.

    No piece is longer than `longest` seconds; no border lies inside one of `words`, if there is a
    place beside them.
    """
    most, length, first = int(longest * rate), len(wave), 0
    while length - first > most:
        begin = first + most // 2
        squares = wave[begin : first + most].double().square().numpy()
        end = begin + quietest(squares, rate, between_words(words, rate, begin, len(squares)))
        yield first, end
        first = end
    yield first, length


def between_words(words: Sequence[Word], rate: int, first: int, count: int) -> np.ndarray | None:
    """(count,) bool: which samples from `first` on lie inside no word; None without words.

    The borders of a word are not inside of it, so words that touch leave a place between them.
    """
    if not words:
        return None
    free = np.ones(count, bool)
    for word in words:
        a, b = round(word.start * rate) - first, round(word.end * rate) - first
        if b > 0 and a < count:
            free[max(0, a + 1) : max(0, b)] = False
    return free
