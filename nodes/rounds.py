"""What the listening panel of Iterative Edit receives about a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .picture import rounds_chart

if TYPE_CHECKING:
    from ..stepedit_core.types import Clip, Round

PEAKS = 160
"""Bars of a waveform in the panel."""
NO_SCORE = 0.0
"""In the list of scores, for a round that the bundle cannot score; scores are 1 to 10."""


def scores(rounds: Sequence[Round]) -> list[float]:
    """Margin score of each round without the input; 0 where the bundle has none."""
    return [NO_SCORE if made.score is None else made.score for made in rounds[1:]]


def chart(rounds: Sequence[Round]) -> Tensor:
    """Picture (1, H, W, 3) of score and pitch by round."""
    pitch = [made.measures and made.measures.pitch_hz for made in rounds]
    return rounds_chart([made.score for made in rounds], pitch)


def peaks(clip: Clip) -> list[int]:
    """Loudest sample of each of PEAKS equal parts, 0 to 100."""
    size = -(-clip.wave.shape[0] // PEAKS)
    parts = clip.wave.abs().split(size)
    return [min(100, round(100 * float(part.max()))) for part in parts]


def panel(rounds: Sequence[Round], best: int, files: Sequence[dict[str, str]]) -> dict[str, Any]:
    """One clip for the listening panel in the browser: the chosen round, and a row a round."""
    from ..stepedit_core.output.report import round_entry

    rows = [
        {**round_entry(number, made), "file": file, "peaks": peaks(made.clip)}
        for number, (made, file) in enumerate(zip(rounds, files, strict=True))
    ]
    return {"best": best, "rounds": rows}
