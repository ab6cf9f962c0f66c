"""Which round a run gives when nobody has chosen one."""

from __future__ import annotations

from collections.abc import Sequence

from ..types import Round


def best_round(rounds: Sequence[Round], marked: int = 0) -> int:
    """Number of the marked round; else, of the last edit, the one with the highest score.

    Of equal scores the earlier round wins; where nothing has a score it is the last round. Raises
    ValueError for a mark that the run does not have.
    """
    check_mark(marked, len(rounds) - 1)
    if marked:
        return marked
    last = rounds[-1].request
    scores = [
        (made.score, -number)
        for number, made in enumerate(rounds)
        if made.request == last and made.score is not None
    ]
    return -max(scores)[1] if scores else len(rounds) - 1


def check_mark(marked: int, rounds: int) -> None:
    """Raise ValueError for a marked round that a run of so many rounds does not have."""
    if not 0 <= marked <= rounds:
        raise ValueError(
            f"best_round is {marked}; this run has rounds 1 to {rounds}, and 0 chooses by score. "
            "Mark one of these."
        )
