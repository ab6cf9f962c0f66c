"""Runs of Iterative Edit: every clip of a batch, and what the listening panel receives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from . import host
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


def run_clips(
    model: host.LoadedModel, clips: Sequence[Clip], plans: Sequence[Plan], marked: int
) -> list[FinishedRun]:
    """The runs of all clips; the model keeps their rounds."""
    from ..stepedit_core.pipelines.best import best_round, check_mark
    from ..stepedit_core.pipelines.rounds import iterate_rounds

    count = len(plans[0].steps)
    check_mark(marked, count)
    bundle = model.ready(2 * max(clip.seconds for clip in clips))
    hooks = host.GraphHooks(count, clips=len(clips))
    runs = []
    for clip, plan in zip(clips, plans, strict=True):
        rounds: list[Round] = []
        for made in iterate_rounds(bundle, clip, plan, hooks=hooks, memory=model.memory):
            hooks.round_finished(len(rounds), made.score)
            rounds.append(made)
        runs.append(FinishedRun(plan, rounds, best_round(rounds, marked)))
    hooks.finish(runs[-1].best, runs[-1].chosen.score)
    return runs


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


def panel(run: FinishedRun) -> dict[str, Any]:
    """One clip for the listening panel in the browser: the chosen round, and a row a round."""
    from ..stepedit_core.output.report import round_entry

    rows = [
        {
            **round_entry(number, made),
            "file": host.preview(made.clip),
            "peaks": peaks(made.clip),
        }
        for number, made in enumerate(run.rounds)
    ]
    return {"best": run.best, "rounds": rows}


def report(bundle: Bundle, run: FinishedRun) -> str:
    """The report of one clip as JSON text."""
    from ..stepedit_core.output.report import report_of, report_text

    return report_text(report_of(bundle, run.plan, run.rounds, best=run.best))
