"""Which round a run gives when nobody has chosen one."""

from __future__ import annotations

from collections.abc import Sequence

from ..measure.holding import faults_of
from ..types import Round


def best_round(rounds: Sequence[Round], marked: int = 0) -> int:
    """Number of the marked round; else the strongest round of the last edit that holds.

    Of the rounds whose words and voice hold (`measure/holding.py`) it is the one with the highest
    score, the earlier of equals, the last where nothing has a score. Where none holds it is 0, the
    recording: nobody gets lost words as the best. Raises ValueError for a mark that the run does
    not have.
    """
    check_mark(marked, len(rounds) - 1)
    if marked:
        return marked
    last = rounds[-1].request
    candidates = [number for number, made in enumerate(rounds) if made.request == last]
    holding = [number for number in candidates if not faults_of(rounds[number])]
    if not holding:
        return 0
    scores = [(score, -number) for number in holding if (score := rounds[number].score) is not None]
    return -max(scores)[1] if scores else holding[-1]


def check_mark(marked: int, rounds: int) -> None:
    """Raise ValueError for a marked round that a run of so many rounds does not have."""
    if not 0 <= marked <= rounds:
        raise ValueError(
            f"best_round is {marked}; this run has rounds 1 to {rounds}, and 0 chooses by score. "
            "Mark one of these."
        )
