"""What Iterative Edit shows of a run: scores, chart, report, and the listening panel's rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .picture import rounds_chart

if TYPE_CHECKING:
    from ..stepedit_core.pipelines.plan import Plan
    from ..stepedit_core.registry.handle import Bundle
    from ..stepedit_core.types import Clip, Round

File = dict[str, str]
"""A file as ComfyUI names it: filename, subfolder, type."""
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
    rows: Sequence[dict[str, Any]] = ()
    """The rounds as the panel shows them, see `row`."""
    warnings: tuple[str, ...] = ()
    """What is wrong with the run as a whole, a sentence each."""

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


def row(bundle: Bundle, before: Sequence[Round], made: Round, file: File | None) -> dict[str, Any]:
    """A round as the listening panel shows it; `before` are the finished ones of its run.

    `file` is None where no sound could be written.
    """
    from ..stepedit_core.measure.holding import transcript_fits
    from ..stepedit_core.measure.listening import loudness_db, places
    from ..stepedit_core.output.report import round_entry

    loudness = loudness_db(made.clip)
    return {
        **round_entry(len(before), made, fits=transcript_fits([*before, made][0])),
        "kind": made.request.kind if made.request else "",
        "option": made.request.option if made.request else "",
        "loudness": None if loudness is None else round(loudness, 2),
        "places": places(bundle, before[0], made) if before else [],
        "file": file,
        "peaks": peaks(made.clip),
    }


def used(*, seed: int, rounds: int, voice: str, strength: float) -> dict[str, Any]:
    """What made the rounds of a run, for the panel.

    The browser has often drawn another seed by the time that a round is marked, so the used one
    travels with the rounds. A strength that is not finite is refused by the plan; JSON has none.
    """
    known = strength if math.isfinite(strength) else None
    return {"seed": seed, "asked": rounds, "voice": voice, "strength": known}


def panel(run: FinishedRun) -> dict[str, Any]:
    """One clip for the listening panel: what made it, the chosen round, warnings, its rounds."""
    plan = run.plan
    made_by = used(
        seed=plan.seed, rounds=plan.rounds, voice=plan.voice, strength=plan.decoding.strength
    )
    return {**made_by, "best": run.best, "warnings": list(run.warnings), "rounds": run.rows}


def report(bundle: Bundle, run: FinishedRun) -> str:
    """The report of one clip as JSON text."""
    from ..stepedit_core.output.report import report_of, report_text

    return report_text(report_of(bundle, run.plan, run.rounds, best=run.best))
