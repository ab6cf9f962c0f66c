"""Tokenize and decode without the language model: what the codec alone does to a clip."""

from __future__ import annotations

from ..registry.registry import Bundle
from ..types import Clip, Hooks, Round, SilentHooks
from .clock import StageClock
from .flow_decode import GUIDANCE, STEPS, flow_decode
from .tokenize import tokenize
from .vocode import vocode


def resynthesize(
    bundle: Bundle,
    clip: Clip,
    *,
    seed: int,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    hooks: Hooks | None = None,
) -> Round:
    """The clip's codes decoded in the clip's own voice; the language model is not loaded."""
    hooks = hooks or SilentHooks()
    clock = StageClock()
    with clock.stage("tokenize"):
        codes, voice = tokenize(bundle, clip, hooks=hooks)
    with clock.stage("flow"):
        mel = flow_decode(
            bundle, codes, voice, seed=seed, steps=steps, guidance=guidance, hooks=hooks
        )
    with clock.stage("vocode"):
        out = vocode(bundle, mel, seed=seed, hooks=hooks)
    return Round(
        clip=out,
        codes=codes,
        request=None,
        score=None,
        seconds_elapsed=clock.elapsed,
        stage_seconds=dict(clock.seconds),
    )
