"""The report's protocol: rounds of one edit on a clone or on a recording, with two voices.

Source: arXiv:2511.03601. Iter0 says the case's words in the prompt audio's voice, or, for a model
that edits recordings and does not clone, it is the recording itself; Iter k is round k of the
product's own loop. With the voice `previous` the decoder hears the round before (the report's
plain run), with `original` the prompt audio in every round (its prompt-fixed run). Sounds have one
round. Where a round is the last because its answer never ended, it counts for those after it too:
what failed stays in every mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..audio.files import read_clip
from ..pipelines.clone import clone, clone_plan
from ..pipelines.plan import VoiceMode, make_plan
from ..pipelines.rounds import iterate_rounds
from ..printable import shown
from ..registry.handle import Bundle
from ..types import Clip, Hooks, Round
from .cases import Case

ROUNDS = 3
Start = Literal["clone", "recording"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One clip of one case."""

    case: Case
    voice: VoiceMode
    iteration: int
    """0 for the start."""
    original: Clip
    """The prompt audio."""
    made: Round
    last: bool
    """Whether this is the case's last round."""


def rounds_of(kind: str, rounds: int = ROUNDS) -> int:
    """Edit rounds of a kind: inserted sounds have one."""
    return min(1, rounds) if kind == "sounds" else rounds


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What is done with every case."""

    voices: tuple[VoiceMode, ...] = ("previous", "original")
    """Which runs."""
    rounds: int = ROUNDS
    """Edit rounds; sounds have one."""
    seed: int = 0
    """Of all draws."""
    start: Start = "clone"
    """What Iter0 is."""


def run_case(
    bundle: Bundle,
    case: Case,
    protocol: Protocol,
    *,
    voice: VoiceMode,
    hooks: Hooks | None = None,
) -> Iterator[Outcome]:
    """Iter0, then every round; Iter0 is the same with both voices.

    Raises ValueError where the start is a recording that does not say the case's words.
    """
    original, start, seed = read_clip(case.prompt_audio), protocol.start, protocol.seed
    if start == "recording" and case.words != case.prompt_text:
        raise ValueError(
            f"the case {shown(case.name)} says '{shown(case.words)}' and its prompt audio "
            f"'{shown(case.prompt_text)}'; from a recording, both must be the same. Start from a "
            "clone instead."
        )
    first = None
    if start == "clone":
        plan = clone_plan(bundle, original, case.prompt_text, case.words, seed=seed)
        first = clone(bundle, original, plan, hooks=hooks)
    last = rounds_of(case.kind, protocol.rounds)
    how = {"rounds": max(1, last), "voice": voice, "seed": seed}
    plan = make_plan(bundle, original, [case.request], **how)
    made = None
    rounds = iterate_rounds(bundle, original, plan, hooks=hooks, start=first)
    for iteration in range(last + 1):
        made = next(rounds, made)  # what a run that ended early has is what it gives
        assert made is not None
        yield Outcome(
            case=case,
            voice=voice,
            iteration=iteration,
            original=original,
            made=made,
            last=iteration == last,
        )
