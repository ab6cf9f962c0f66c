"""What Iterative Edit shows of its rounds: a chart and a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .picture import rounds_chart
from .pitch import median_pitch_hz

if TYPE_CHECKING:
    from ..stepedit_core.registry import Bundle
    from ..stepedit_core.types import Round


def chart(rounds: Sequence[Round]) -> Tensor:
    """Picture (1, H, W, 3) of score and pitch by round."""
    return rounds_chart(
        [round_.score for round_ in rounds], [median_pitch_hz(round_.clip) for round_ in rounds]
    )


def report(bundle: Bundle, seed: int, rounds: Sequence[Round]) -> dict[str, Any]:
    """Bundle, seed and the figures of every round, ready for JSON."""
    return {
        "bundle": bundle.name,
        "bundle_sha256": bundle.sha256,
        "seed": seed,
        "rounds": [_figures(number, round_) for number, round_ in enumerate(rounds)],
    }


def _figures(number: int, round_: Round) -> dict[str, Any]:
    pitch = median_pitch_hz(round_.clip)
    request = round_.request
    return {
        "round": number,
        "edit": f"{request.kind} {request.option}".strip() if request else "input",
        "seconds": round(round_.clip.seconds, 3),
        "ids": 5 * round_.codes.groups,
        "score": None if round_.score is None else round(round_.score, 3),
        "median_pitch_hz": None if pitch is None else round(pitch, 1),
        "seconds_elapsed": round(round_.seconds_elapsed, 3),
    }
