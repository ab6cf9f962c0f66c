"""One round of one edit: codes and voice in, new codes, mel, wave and score out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..measure.margin import can_score, score
from ..registry.handle import Bundle
from ..text.edits import text_after
from ..types import DualCodes, Round, Voice
from .difference import Difference, by_difference, difference_decode, stands_still
from .flow_decode import flow_decode
from .generate import Generated, generate
from .limits import longest_answer
from .own_sound import sound_of
from .plan import Plan, Step
from .run import Run


@dataclass(frozen=True, kw_only=True)
class RoundInput:
    """What one round starts from."""

    codes: DualCodes
    """What the language model edits."""
    voice: Voice
    """What prompts the decoder."""
    base: DualCodes
    """Codes from before the first round of this edit; the margin score compares with them."""
    again: bool = False
    """Whether this is the second try of the round, with draws of its own."""


def edit(
    bundle: Bundle,
    start: RoundInput,
    step: Step,
    plan: Plan,
    *,
    number: int = 1,
    run: Run,
) -> Round:
    """One finished round, not yet measured.

    Args:
        bundle: the model.
        start: codes and voice.
        step: the request.
        plan: seed, sampling and decoding.
        number: of this round, from 1; part of every stage's seed.
        run: who watches, and the clock of this round.

    Raises ValueError for a request the bundle does not know, or another bundle's codes.
    """
    draws, request, hooks = plan.draws(number, again=start.again), step.request, run.hooks
    if stands_still(bundle, request, plan.decoding):
        made = Generated(start.codes, ended=True)
    else:
        with run.clock.stage("generate"):
            sampling = plan.sampling
            if start.base is not start.codes and not sampling.max_ids:
                most = longest_answer(request, start.codes, start.base)
                sampling = replace(sampling, max_ids=most)
            made = generate(bundle, start.codes, request, draws=draws, sampling=sampling, run=run)
    with run.clock.stage("flow"):
        how: dict[str, Any] = {"draws": draws, "decoding": plan.decoding, "hooks": hooks}
        if by_difference(bundle, request, plan.decoding):
            decoded = difference_decode(bundle, made.codes, start.voice, **how)
        else:
            decoded = Difference(flow_decode(bundle, made.codes, start.voice, **how), None)
    with run.clock.stage("vocode"):
        clip = sound_of(bundle, decoded, start.voice, draws=draws, hooks=hooks)
    margin = None
    if can_score(bundle, request):
        with run.clock.stage("score"):
            margin = score(bundle, start.base, made.codes, request, hooks=hooks)
    return Round(
        clip=clip,
        codes=made.codes,
        request=request,
        score=margin,
        seconds_elapsed=run.clock.elapsed,
        text=text_after(request),
        ended=made.ended,
        stage_seconds=dict(run.clock.seconds),
    )
