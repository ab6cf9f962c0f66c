"""Runs of Iterative Edit: every clip of a batch through the core's loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .host import models, progress
from .rounds import FinishedRun

if TYPE_CHECKING:
    from ..stepedit_core.pipelines.plan import Plan
    from ..stepedit_core.types import Clip, Round


def run_clips(
    model: models.LoadedModel, clips: Sequence[Clip], plans: Sequence[Plan], marked: int
) -> list[FinishedRun]:
    """The runs of all clips; the model keeps their rounds."""
    from ..stepedit_core.pipelines.best import best_round, check_mark
    from ..stepedit_core.pipelines.rounds import iterate_rounds

    count = len(plans[0].steps)
    check_mark(marked, count)
    if all(step.request.engine == "signal" for step in plans[0].steps):
        bundle = model.listening()
    else:
        bundle = model.ready(2 * max(clip.seconds for clip in clips))
    hooks = progress.GraphHooks(count, clips=len(clips))
    runs = []
    for clip, plan in zip(clips, plans, strict=True):
        rounds: list[Round] = []
        for made in iterate_rounds(bundle, clip, plan, hooks=hooks, memory=model.memory):
            hooks.round_finished(len(rounds), made.score)
            rounds.append(made)
        runs.append(FinishedRun(plan, rounds, best_round(rounds, marked)))
    hooks.finish(runs[-1].best, runs[-1].chosen.score)
    return runs
