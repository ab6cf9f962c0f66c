"""Rounds of edits, each building on the one before: the only loop.

Source: spec 6.9 and the prompt-fixed ablation of arXiv:2511.03601. Command, nodes, evaluation and
library all call it.

What the release does between rounds is save the wave and tokenize it anew. Here the language
model's input in round k > 1 is the ids that round k - 1 generated: the wave was decoded from
exactly these, so they are the same speech, and a second trip through vocoder and tokenizers would
only add its errors. Reports say "reused" there. What differs is the voice that prompts the decoder:

original  the input's, in every round
previous  the round before's: speaker vector and mel of its wave, with the codes it was decoded
          from; changes of voice can build up. Round 1 hears the input (decision 0015)

A round by signal processing (decision 0021) is a recording as the input is: without noise or
pauses, at another speed, or whispered. From then on it takes the input's place as the original
voice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..audio.mel import PROMPT_HOP
from ..audio.resample import resample
from ..measure.holding import damage, faults_of, recording_notes
from ..measure.sound import measure_round
from ..printable import shown
from ..registry.handle import Bundle
from ..registry.torch_state import rounds_in_own_state
from ..types import SAMPLE_RATE, Clip, EditResult, Hooks, Rejected, Round, SilentHooks, Voice
from ..vocab import MEL_FRAMES_PER_GROUP
from .best import best_round
from .clock import StageClock
from .edit import RoundInput, edit
from .memory import RoundMemory
from .plan import Plan, decided
from .run import Run
from .signal_edit import signal_edit
from .tokenize import tokenize, voice_of
from .transcript import transcript_notes
from .verdict import stopped, warnings_of, why_last

log = logging.getLogger(__name__)


def iterate(
    bundle: Bundle,
    clip: Clip,
    plan: Plan,
    *,
    hooks: Hooks | None = None,
    memory: RoundMemory | None = None,
) -> EditResult:
    """All rounds and the best of them; arguments as in iterate_rounds."""
    rounds = tuple(iterate_rounds(bundle, clip, plan, hooks=hooks, memory=memory))
    best = best_round(rounds)
    return EditResult(rounds=rounds, best_number=best, warnings=warnings_of(plan, rounds, best))


@rounds_in_own_state
def iterate_rounds(
    bundle: Bundle,
    clip: Clip,
    plan: Plan,
    *,
    hooks: Hooks | None = None,
    memory: RoundMemory | None = None,
    start: Round | None = None,
) -> Iterator[Round]:
    """Yield round 0, then every round as soon as it is finished and measured.

    A round that nothing can be made of (`verdict.py`) is the last.

    Args:
        bundle: the model.
        clip: the recording, any rate; the one that the plan was made for.
        plan: edits and settings, from `make_plan` of the same bundle.
        hooks: progress and cancelling.
        memory: rounds of earlier runs; those that this plan shares are not made again, and the
            rounds of this run are kept there, finished or cancelled.
        start: round 0 where it is not the recording itself but was made elsewhere, a clone in the
            clip's voice. The voice "original" is the clip's all the same.
    """
    hooks = hooks or SilentHooks()
    plan = decided(bundle, plan)
    done = memory.recall(plan) if memory is not None else []
    known = len(done)
    yield from done
    run = Run(hooks=hooks, recogniser=plan.recogniser, bundle=bundle)
    recorded: Voice | None = None
    try:
        if not done:
            first, recorded = _input(bundle, clip, plan, run, start)
            done.append(first)
            yield first
        for number in range(len(done), len(plan.steps) + 1):
            if number > 1 and why_last(plan, done[-1]):
                log.warning("%s", shown(stopped(plan, done)))
                break
            run.clock = StageClock()
            previous, step = done[-1], plan.steps[number - 1]
            base = done[step.base].codes
            if step.request.engine == "signal":
                made = signal_edit(bundle, previous, base, step, draws=plan.draws(number), run=run)
                made = _measured(bundle, made, done, run)
                done.append(replace(made, notes=faults_of(made)))
                yield done[-1]
                continue
            heard = _heard(plan, done, start)
            if heard is not None:
                with run.clock.stage("tokenize"):
                    voice = _voice(bundle, heard, hooks)
            else:
                if recorded is None:  # round 0 was remembered
                    with run.clock.stage("tokenize"):
                        codes = done[0].codes
                        recorded = voice_of(bundle, clip, codes, recorded=True, hooks=hooks)
                voice = recorded
            given = RoundInput(codes=previous.codes, voice=voice, base=base)
            made = _round(bundle, given, plan, done, run)
            new = previous.by_signal or (number == 1 and start is None)
            done.append(replace(made, tokens="tokenized" if new else "reused"))
            yield done[-1]
    finally:  # a cancelled run resumes where it stopped
        if memory is not None and len(done) > known:
            memory.keep(plan, done)


def _heard(plan: Plan, done: Sequence[Round], start: Round | None) -> Round | None:
    """The round whose sound prompts the decoder of the next one; None for the recording."""
    if plan.voice == "previous" and (len(done) > 1 or start is not None):
        return done[-1]
    return next((made for made in reversed(done) if made.by_signal), None)


def _voice(bundle: Bundle, made: Round, hooks: Hooks) -> Voice:
    """The voice of a finished round."""
    speaker = None if made.measures is None else made.measures.speaker
    return voice_of(
        bundle,
        made.clip,
        made.codes,
        recorded=made.by_signal or keeps_ends(made),
        speaker=speaker,
        hooks=hooks,
    )


def _round(bundle: Bundle, given: RoundInput, plan: Plan, done: Sequence[Round], run: Run) -> Round:
    """The next round, measured; made a second time where it has a fault, the better one kept.

    Where the caller limits the ids, or nothing is drawn, a second try would have the same fault.
    """
    number = len(done)
    step = plan.steps[number - 1]

    def attempt(again: bool) -> Round:
        made = edit(bundle, replace(given, again=again), step, plan, number=number, run=run)
        return _measured(bundle, made, done, run)

    made = attempt(False)
    faults = faults_of(made)
    if faults and plan.sampling.temperature > 0 and not plan.sampling.max_ids:
        log.info("round %d is made again: %s", number, shown(" ".join(faults)))
        other = attempt(True)
        if damage(other) < damage(made):
            made, other = other, made
        made = replace(
            made,
            rejected=_figures(other),
            seconds_elapsed=run.clock.elapsed,
            stage_seconds={
                **run.clock.seconds,
                "measure": made.stage_seconds["measure"] + other.stage_seconds["measure"],
            },
        )
        faults = faults_of(made)
    return replace(made, notes=faults)


def _figures(made: Round) -> Rejected:
    """What is kept of a try that is not."""
    assert made.measures is not None
    return Rejected(
        score=made.score, measures=made.measures, ended=made.ended, faults=faults_of(made)
    )


def keeps_ends(made: Round) -> bool:
    """Whether a round's sound has what lies before and after its codes, as a recording has."""
    return made.clip.wave.shape[0] != made.codes.groups * MEL_FRAMES_PER_GROUP * PROMPT_HOP


def _input(
    bundle: Bundle, clip: Clip, plan: Plan, run: Run, start: Round | None
) -> tuple[Round, Voice]:
    """Round 0 and the voice of the recording."""
    run.clock = StageClock()
    with run.clock.stage("tokenize"):
        codes, voice = tokenize(bundle, clip, hooks=run.hooks)
    if start is not None:
        return _measured(bundle, start, [], run), voice
    text = plan.requests[0].text
    wave = resample(clip.wave, clip.sample_rate, SAMPLE_RATE)
    first = Round(
        clip=Clip(wave=wave, sample_rate=SAMPLE_RATE),
        codes=codes,
        request=None,
        score=None,
        seconds_elapsed=run.clock.elapsed,
        text=text,
        stage_seconds=dict(run.clock.seconds),
    )
    first = _measured(bundle, first, [], run)
    notes = [*recording_notes(first, voice)]
    if any(request.engine != "signal" for request in plan.requests):  # that one reads no words
        notes = [*transcript_notes(bundle, text, codes.seconds), *notes]
    for note in notes:
        log.warning("the recording: %s", shown(note))
    return replace(first, notes=(*clip.notes, *notes)), voice


def _measured(bundle: Bundle, made: Round, before: Sequence[Round], run: Run) -> Round:
    """The round with its measures, and the time they took."""
    clock = StageClock()
    with clock.stage("measure"):
        measures = measure_round(
            bundle, made, before, distances=run.distances, ears=run.ears, hooks=run.hooks
        )
    if before:  # the input fills no part of a round's bar
        run.hooks.progress("measure", 1, 1)
    return replace(
        made,
        measures=measures,
        seconds_elapsed=made.seconds_elapsed + clock.elapsed,
        stage_seconds={**made.stage_seconds, **clock.seconds},
    )
