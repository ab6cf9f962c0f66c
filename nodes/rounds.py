"""What Iterative Edit shows of a run: scores, chart, report, and the listening panel's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .picture import rounds_chart

if TYPE_CHECKING:
    from ..stepedit_core.pipelines.plan import Plan
    from ..stepedit_core.registry.handle import Bundle
    from ..stepedit_core.types import Clip, Round

PEAKS = 160
"""Bars of a waveform in the panel."""
NO_SCORE = 0.0
"""In the list of scores, for a round that the bundle cannot score; scores are 1 to 10."""


@dataclass(frozen=True)
class FinishedRun:
    """All rounds of one clip."""

    plan: Plan
    rounds: Sequence[Round]
    """The input first."""
    best: int
    """Number of the chosen round."""

    @property
    def chosen(self) -> Round:
        """The round that `best` names."""
        return self.rounds[self.best]


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


def panel(run: FinishedRun, files: Sequence[dict[str, str]]) -> dict[str, Any]:
    """One clip for the listening panel in the browser: what made it, the chosen round, its rounds.

    The browser has often drawn another seed by the time that a round is marked, so the used one
    travels with the rounds.
    """
    from ..stepedit_core.output.report import round_entry

    rows = [
        {**round_entry(number, made), "file": file, "peaks": peaks(made.clip)}
        for number, (made, file) in enumerate(zip(run.rounds, files, strict=True))
    ]
    used = {"seed": run.plan.seed, "asked": run.plan.rounds, "voice": run.plan.voice}
    return {**used, "best": run.best, "rounds": rows}


def report(bundle: Bundle, run: FinishedRun) -> str:
    """The report of one clip as JSON text."""
    from ..stepedit_core.output.report import report_of, report_text

    return report_text(report_of(bundle, run.plan, run.rounds, best=run.best))
