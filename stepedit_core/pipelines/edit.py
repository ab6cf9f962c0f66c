"""One round of one edit: codes and voice in, new codes, mel, wave and score out."""

from __future__ import annotations

from ..measure.margin import can_score, score
from ..models.llm import PromptMemory
from ..registry.registry import Bundle
from ..text.edits import text_after
from ..text.prompts import DEFAULT_SPEAKER
from ..types import DualCodes, EditRequest, Hooks, Round, Sampling, SilentHooks, Voice
from .clock import StageClock
from .flow_decode import GUIDANCE, STEPS, flow_decode
from .generate import generate
from .vocode import vocode


def edit(
    bundle: Bundle,
    codes: DualCodes,
    voice: Voice,
    request: EditRequest,
    *,
    seed: int,
    round_: int = 1,
    sampling: Sampling | None = None,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    score_against: DualCodes | None = None,
    speaker: str = DEFAULT_SPEAKER,
    hooks: Hooks | None = None,
    clock: StageClock | None = None,
    memory: PromptMemory | None = None,
) -> Round:
    """One finished round.

    Args:
        bundle: the model.
        codes: what the language model edits.
        voice: what the decoder is prompted with.
        request: the edit.
        seed: of all draws, each from its own stage.
        round_: number of this round, from 1; part of every stage's seed.
        sampling: how ids are drawn.
        steps: Euler steps of the flow decoder.
        guidance: weight of its classifier-free guidance.
        score_against: codes the margin score compares with; None takes `codes`.
        speaker: name in a clone prompt.
        hooks: progress and cancelling.
        clock: times of stages already spent on this round.
        memory: the language model's prompt of the round before; saves time, changes nothing.

    Raises ValueError for a request the bundle does not know, or another bundle's codes.
    """
    hooks = hooks or SilentHooks()
    clock = clock or StageClock()
    with clock.stage("generate"):
        made = generate(
            bundle,
            codes,
            request,
            seed=seed,
            round_=round_,
            sampling=sampling,
            speaker=speaker,
            hooks=hooks,
            memory=memory,
        )
    with clock.stage("flow"):
        mel = flow_decode(
            bundle,
            made,
            voice,
            seed=seed,
            round_=round_,
            steps=steps,
            guidance=guidance,
            hooks=hooks,
        )
    with clock.stage("vocode"):
        clip = vocode(bundle, mel, seed=seed, round_=round_, hooks=hooks)
    margin = None
    if can_score(bundle, request):
        with clock.stage("score"):
            source = codes if score_against is None else score_against
            margin = score(bundle, source, made, request, hooks=hooks)
    return Round(
        clip=clip,
        codes=made,
        request=request,
        score=margin,
        seconds_elapsed=clock.elapsed,
        text=text_after(request),
        stage_seconds=dict(clock.seconds),
    )
