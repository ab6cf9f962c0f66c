"""What a run says of itself as a whole: why its rounds ended early, and whether any of them holds.

A round is made of the one before it, so one whose answer never ended, or whose voice is lost, is
the last: what would be made of it is worse, and takes longer.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..measure.holding import VOICE_LOST, faults_of, heard_faults, transcript_fits
from ..types import Round
from .plan import Plan

NONE_HOLDS = (
    "no round holds: in each of them words or the voice are lost, or the answer never ended. best "
    "is the recording, round 0. Check the transcript, or try another seed or a lower strength."
)
OTHER_WORDS = (
    "the transcript does not fit the recording, so nothing can be said of the words of the rounds. "
    "Check that it is the transcript of this clip."
)


def why_last(plan: Plan, made: Round) -> str:
    """Why no round can be made of this one; empty where one can.

    A caller who limits the ids gets what was asked for, as in `rounds.py`. Signal processing needs
    no answer, and takes away noise that hides a voice.
    """
    if made.request is None or made.by_signal or plan.sampling.max_ids:
        return ""
    if not made.ended:
        return f"its answer did not end within {made.codes.seconds:.1f} s"
    measures = made.measures
    if measures is not None and measures.similarity < VOICE_LOST:
        return f"its voice is lost, with a likeness of {measures.similarity:.2f}"
    return ""


def stopped(plan: Plan, rounds: Sequence[Round]) -> str:
    """The sentence of a run that ended before its last round; empty for every other."""
    made, asked = len(rounds) - 1, len(plan.steps)
    why = why_last(plan, rounds[-1]) if 1 <= made < asked else ""
    if not why:
        return ""
    return (
        f"the rounds stop after round {made} of {asked}: {why}, and the next would be made of it. "
        "Check the transcript, or try another seed or fewer rounds."
    )


def holds(rounds: Sequence[Round], best: int) -> bool:
    """Whether the chosen round is an edit whose words and voice hold."""
    return rounds[best].request is not None and not faults_of(rounds[best])


def warnings_of(plan: Plan | None, rounds: Sequence[Round], best: int | None) -> tuple[str, ...]:
    """What a user must know of a run beside its rounds, a sentence each.

    best is None while nothing is chosen.
    """
    said = []
    if rounds and not transcript_fits(rounds[0]):
        said.append(OTHER_WORDS)
    if plan is not None and rounds:
        said.append(stopped(plan, rounds))
    return tuple(sentence for sentence in (*said, *round_warnings(rounds, best)) if sentence)


def round_warnings(rounds: Sequence[Round], best: int | None) -> tuple[str, ...]:
    """What is wrong with each finished round, by its number, and whether none of them holds.

    Nothing while none is chosen. Left out is what was said already: of the recording, that the
    transcript is another clip's, or of the round that signal processing changed.
    """
    if best is None or not rounds:
        return ()
    said = []
    edits = rounds if rounds[0].request else rounds[1:]  # a clone is alone
    fits = transcript_fits(rounds[0])
    for number, made in enumerate(edits, start=1):
        known = () if fits else heard_faults(made)
        if made.source is not None and made.source.request is not None:
            known += faults_of(made.source)
        said += [f"round {number}: {fault}" for fault in faults_of(made) if fault not in known]
    if best == 0 and len(rounds) > 1:
        said.append(NONE_HOLDS)
    return tuple(said)
