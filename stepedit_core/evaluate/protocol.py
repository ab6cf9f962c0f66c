"""The report's protocol: a zero-shot clone, then rounds of one edit, with two kinds of prompt.

Source: arXiv:2511.03601. Iter0 says the case's words in the prompt's voice; Iter k edits the tokens
of Iter k - 1. With `follow` the decoder is prompted by the round before, with `fixed` by the prompt
audio in every round. Sounds have one round. For a model that edits recordings and does not clone,
Iter0 may also be the prompt audio itself through tokenizer and decoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..audio.files import read_clip
from ..pipelines.clock import StageClock
from ..pipelines.clone import clone
from ..pipelines.edit import edit
from ..pipelines.resynthesize import resynthesize
from ..pipelines.tokenize import tokenize, voice_of
from ..registry.registry import Bundle
from ..types import Clip, Hooks, Round
from .cases import Case

ROUNDS = 3
Prompt = Literal["follow", "fixed"]
Start = Literal["clone", "recording"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One clip of one case."""

    case: Case
    prompt: Prompt
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


def run_case(
    bundle: Bundle,
    case: Case,
    *,
    prompt: Prompt,
    rounds: int = ROUNDS,
    seed: int = 0,
    start: Start = "clone",
    hooks: Hooks | None = None,
) -> Iterator[Outcome]:
    """Iter0, then every round; Iter0 is the same with both prompts.

    Raises ValueError where the start is a recording that does not say the case's words.
    """
    original = read_clip(case.prompt_audio)
    if start == "clone":
        made = clone(bundle, original, case.prompt_text, case.words, seed=seed, hooks=hooks)
    elif case.words != case.prompt_text:
        raise ValueError(
            f"the case {case.name} says '{case.words}' and its prompt audio '{case.prompt_text}'; "
            "from a recording, both must be the same. Start from a clone instead."
        )
    else:
        made = resynthesize(bundle, original, seed=seed, hooks=hooks)
    last = rounds_of(case.kind, rounds)
    yield Outcome(
        case=case, prompt=prompt, iteration=0, original=original, made=made, last=last == 0
    )
    _, voice = tokenize(bundle, original, hooks=hooks)
    first = made.codes
    for number in range(1, last + 1):
        clock = StageClock()
        if prompt == "follow":
            with clock.stage("tokenize"):
                voice = voice_of(bundle, made.clip, made.codes, hooks=hooks)
        made = edit(
            bundle,
            made.codes,
            voice,
            case.request,
            seed=seed,
            round_=number,
            score_against=first,
            hooks=hooks,
            clock=clock,
        )
        yield Outcome(
            case=case,
            prompt=prompt,
            iteration=number,
            original=original,
            made=made,
            last=number == last,
        )
