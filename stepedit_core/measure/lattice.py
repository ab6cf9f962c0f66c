"""Paths through letters: the best of all, and the best that says given words.

Source: connectionist temporal classification (Graves et al. 2006). Between letters a path may say
nothing, the blank; two equal letters need one between them. Numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..text.letters import BLANK, SPACE

MEETS_FRAMES = 2
"""Longest space between words that meet; a longer one is a pause."""


@dataclass(frozen=True, kw_only=True)
class LetterPath:
    """What a path says, and when."""

    ids: tuple[int, ...]
    """The letters, blanks left out."""
    frames: tuple[tuple[int, int], ...]
    """First and last frame, last one excluded, of each letter."""
    chances: tuple[float, ...]
    """Log-probability of each letter in its best frame."""
    costs: np.ndarray
    """(T,) float64: nats by which the best id of each frame is better than the path's."""


def best_path(log_probs: np.ndarray) -> LetterPath:
    """The best id of every frame of log_probs (T, C)."""
    return _collect(log_probs, log_probs.argmax(1))


def forced_path(log_probs: np.ndarray, ids: Sequence[int]) -> LetterPath | None:
    """The best path of log_probs (T, C) that says the letters `ids`; None if it needs more.

    The Viterbi algorithm on the states blank, letter, blank, letter ... blank.
    """
    if not len(ids):
        return _collect(log_probs, np.full(len(log_probs), BLANK))
    states = np.full(2 * len(ids) + 1, BLANK)
    states[1::2] = ids
    # over a blank where the letters on its two sides differ
    skips = np.zeros(len(states), bool)
    skips[3::2] = states[3::2] != states[1:-2:2]
    scores = log_probs[:, states]
    frames = len(scores)
    if not frames:
        return None
    best = np.full(len(states), -np.inf)
    best[:2] = scores[0, :2]
    came = np.zeros((frames, len(states)), np.int8)
    for t in range(1, frames):
        one = np.concatenate([[-np.inf], best[:-1]])
        two = np.where(skips, np.concatenate([[-np.inf, -np.inf], best[:-2]]), -np.inf)
        step = (one > best).astype(np.int8)
        best = np.maximum(best, one)
        step[two > best] = 2
        best = np.maximum(best, two) + scores[t]
        came[t] = step
    state = len(states) - 1 if best[-1] >= best[-2] else len(states) - 2
    if best[state] == -np.inf:
        return None
    path = np.zeros(frames, np.int64)
    for t in range(frames - 1, -1, -1):
        path[t] = state
        state -= int(came[t, state])
    return _collect(log_probs, states[path], path)


def _collect(
    log_probs: np.ndarray, path: np.ndarray, states: np.ndarray | None = None
) -> LetterPath:
    """Letters of a path of ids (T,); equal letters in a row are two where the states differ."""
    at = np.arange(len(path))
    chosen = log_probs[at, path]
    marks = path if states is None else states
    starts = np.flatnonzero(np.diff(marks, prepend=-1) != 0)
    ends = np.append(starts, len(path))[1:]
    ids, spans, chances = [], [], []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if path[start] != BLANK:
            ids.append(int(path[start]))
            spans.append((start, end))
            chances.append(float(chosen[start:end].max()))
    costs = log_probs.max(1, initial=-np.inf).astype(np.float64) - chosen
    return LetterPath(ids=tuple(ids), frames=tuple(spans), chances=tuple(chances), costs=costs)


def word_places(path: LetterPath) -> list[tuple[int, int, int, int]]:
    """Words of a path: place of the first letter, place after the last, first frame, end frame.

    Frames are in halves: words that meet share the middle of the space between them. A word begins
    where the space before it ends; without a space at the clip's end, where its letters do.
    """
    words: list[tuple[int, int, int, int]] = []
    ids, frames = path.ids, path.frames
    gaps = [-1, *(k for k, i in enumerate(ids) if i == SPACE), len(ids)]
    for before, after in pairwise(gaps):
        if after - before < 2:
            continue
        first, last = frames[before + 1], frames[after - 1]
        start = 2 * first[0] if before < 0 else _edge(frames[before], ids, before)[1]
        end = 2 * last[1] if after >= len(ids) else _edge(frames[after], ids, after)[0]
        words.append((before + 1, after, start, max(end, start + 1)))
    return words


def _edge(space: tuple[int, int], ids: Sequence[int], place: int) -> tuple[int, int]:
    """Half frames at which the word before a space ends and the one after it begins."""
    start, end = space
    inside = any(i != SPACE for i in ids[:place]) and any(i != SPACE for i in ids[place + 1 :])
    if inside and end - start <= MEETS_FRAMES:
        return start + end, start + end
    return 2 * start, 2 * end
