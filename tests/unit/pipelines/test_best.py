"""Which round a run gives."""

from __future__ import annotations

import pytest

from stepedit_core.pipelines.best import best_round
from tests.rounds import finished


@pytest.mark.parametrize(
    ("made", "marked", "best"),
    [
        ([("happy", 3.0), ("happy", 8.0), ("happy", 5.0)], 0, 2),
        ([("happy", 3.0), ("happy", 8.0), ("happy", 5.0)], 3, 3),
        ([("happy", 8.0), ("happy", 8.0)], 0, 1),
        ([("happy", 9.0), ("faster", 2.0), ("faster", 3.0)], 0, 3),
        ([("happy", 9.0), ("faster", None), ("faster", None)], 0, 3),
    ],
    ids=["highest score", "marked", "first of equals", "after the last edit", "no scores"],
)
def test_the_best_round(made: list[tuple[str, float | None]], marked: int, best: int) -> None:
    assert best_round([finished("", None), *(finished(*one) for one in made)], marked) == best


@pytest.mark.parametrize("marked", [-1, 2])
def test_a_mark_that_the_run_does_not_have_is_refused(marked: int) -> None:
    with pytest.raises(ValueError, match=f"best_round is {marked}; this run has rounds 1 to 1"):
        best_round([finished("", None), finished("happy", 1.0)], marked)
