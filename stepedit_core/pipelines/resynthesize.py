"""Tokenize and decode without the language model: what the codec alone does to a clip."""

from __future__ import annotations

from ..measure.sound import measure_sound
from ..registry.handle import Bundle
from ..registry.torch_state import in_own_state
from ..types import Clip, Decoding, Draws, Hooks, Round, SilentHooks
from .clock import StageClock
from .flow_decode import flow_decode
from .tokenize import tokenize
from .vocode import vocode


@in_own_state
def resynthesize(
    bundle: Bundle,
    clip: Clip,
    *,
    seed: int,
    decoding: Decoding | None = None,
    hooks: Hooks | None = None,
) -> Round:
    """The clip's codes decoded in the clip's own voice; the language model is not loaded."""
    hooks = hooks or SilentHooks()
    clock, draws = StageClock(), Draws(seed=seed)
    with clock.stage("tokenize"):
        codes, voice = tokenize(bundle, clip, hooks=hooks)
    with clock.stage("flow"):
        mel = flow_decode(bundle, codes, voice, draws=draws, decoding=decoding, hooks=hooks)
    with clock.stage("vocode"):
        out = vocode(bundle, mel, draws=draws, hooks=hooks)
    return Round(
        clip=out,
        codes=codes,
        request=None,
        score=None,
        seconds_elapsed=clock.elapsed,
        measures=measure_sound(bundle, out, voice.speaker, hooks=hooks),
        stage_seconds=dict(clock.seconds),
    )
