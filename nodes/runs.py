"""Runs of Iterative Edit: every clip of a batch through the core's loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .host import models, progress, sound
from .rounds import FinishedRun, row

if TYPE_CHECKING:
    from ..stepedit_core.pipelines.plan import Plan
    from ..stepedit_core.types import Clip, Round
    from .host.takes import TakeLog


def run_clips(
    model: models.LoadedModel,
    clips: Sequence[Clip],
    plans: Sequence[Plan],
    marked: int,
    log: TakeLog,
) -> list[FinishedRun]:
    """The runs of all clips; the model keeps their rounds, and the log shows each at once."""
    from ..stepedit_core.pipelines.best import best_round, check_mark
    from ..stepedit_core.pipelines.rounds import iterate_rounds
    from ..stepedit_core.pipelines.verdict import warnings_of

    count = len(plans[0].steps)
    check_mark(marked, count)
    if all(step.request.engine == "signal" for step in plans[0].steps):
        bundle = model.listening()
    else:
        bundle = model.ready(2 * max(clip.seconds for clip in clips))
    hooks = progress.GraphHooks(count, clips=len(clips))
    runs = []
    for number, (clip, plan) in enumerate(zip(clips, plans, strict=True)):
        rounds: list[Round] = []
        rows: list[dict[str, Any]] = []
        for made in iterate_rounds(bundle, clip, plan, hooks=hooks, memory=model.memory):
            hooks.round_finished(len(rounds), made.score)
            file, unplayable = sound.preview_if_possible(made.clip)
            rows.append({**row(bundle, rounds, made, file), "unplayable": unplayable})
            rounds.append(made)
            log.add(number, rows[-1])
        best = best_round(rounds, marked if marked < len(rounds) else 0)
        warnings = warnings_of(plan, rounds, best)
        if marked >= len(rounds):
            warnings = (*warnings, f"round {marked} is marked, and was not made.")
        runs.append(FinishedRun(plan, rounds, best, rows, tuple(warnings)))
        log.chosen(number, best, warnings)
        hooks.clip_finished(number + 1)
    last = runs[-1]
    made = len(last.rounds) - 1
    hooks.finish(last.best, last.chosen.score, made=made, warnings=last.warnings)
    return runs
