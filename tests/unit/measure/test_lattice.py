"""Paths through letters against all paths that there are."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest

from stepedit_core.measure.lattice import best_path, forced_path, word_places
from stepedit_core.text.letters import BLANK, SPACE, letter_ids


def written(path: tuple[int, ...]) -> tuple[int, ...]:
    """What a path of frames says by the rule of CTC: repeats are one letter, blanks none."""
    return tuple(i for i, _ in groupby(path) if i != BLANK)


def chances(rng: np.random.Generator, frames: int, classes: int) -> np.ndarray:
    rows = rng.normal(0, 2, (frames, classes))
    return rows - np.log(np.exp(rows).sum(1, keepdims=True))


@pytest.mark.parametrize("ids", [(1,), (1, 2), (1, 1), (2, 1, 2), (1, 1, 2), (2, 2, 2)])
@pytest.mark.parametrize("frames", [1, 3, 6])
def test_the_forced_path_is_the_best_of_all_that_say_the_letters(
    ids: tuple[int, ...], frames: int
) -> None:
    rows = chances(np.random.default_rng([frames, *ids]), frames, 3)
    at = range(frames)
    scores = [
        sum(rows[t, path[t]] for t in at)
        for path in product(range(3), repeat=frames)
        if written(path) == ids
    ]
    found = forced_path(rows, ids)
    if not scores:
        assert found is None
        return
    assert found is not None
    assert found.ids == ids
    assert rows.max(1).sum() - found.costs.sum() == pytest.approx(max(scores), abs=1e-9)
    for letter, (start, end), chance in zip(found.ids, found.frames, found.chances, strict=True):
        assert chance == rows[start:end, letter].max()
    assert all(a[1] <= b[0] for a, b in zip(found.frames[:-1], found.frames[1:], strict=True))


def test_the_best_path_costs_nothing_and_its_letters_are_those_of_greedy_decoding() -> None:
    rows = chances(np.random.default_rng(3), 40, 4)
    found = best_path(rows)
    assert found.ids == written(tuple(rows.argmax(1).tolist()))
    assert not found.costs.any()


def test_no_letters_are_all_blanks() -> None:
    rows = chances(np.random.default_rng(4), 5, 3)
    found = forced_path(rows, ())
    assert found is not None
    assert found.ids == ()
    assert found.costs.sum() == pytest.approx((rows.max(1) - rows[:, BLANK]).sum())
    assert forced_path(np.zeros((0, 3)), (1,)) is None


def sure(text: str) -> np.ndarray:
    """Log-probabilities of a path that is written frame by frame, `_` for the blank."""
    rows = np.full((len(text), 29), -9.0)
    for t, letter in enumerate(text):
        rows[t, BLANK if letter == "_" else letter_ids(letter)[0]] = -0.001
    return rows


def test_words_begin_and_end_where_spaces_do() -> None:
    #      0123456789012345678
    text = "  a_b_ _c____   de "
    path = forced_path(sure(text), letter_ids(" ab c de "))
    assert path is not None
    # the space between the first two words is one frame, 6: they meet in its middle, 13 halves
    assert word_places(path) == [(1, 3, 4, 13), (4, 5, 13, 26), (6, 8, 32, 36)]


def test_without_spaces_at_its_ends_a_path_has_words_from_letter_to_letter() -> None:
    path = best_path(sure("__ab__   _c_"))
    assert [place[2:] for place in word_places(path)] == [(4, 12), (18, 22)]
    assert word_places(best_path(sure("___"))) == []
    assert SPACE in best_path(sure("   ")).ids
    assert word_places(best_path(sure("   "))) == []


def test_many_letters_are_many_states() -> None:
    text = "_a_b_c" * 40
    path = forced_path(sure(text), letter_ids("abc" * 40))
    assert path is not None
    assert path.frames[-1] == (239, 240)
    assert not path.costs.any()
