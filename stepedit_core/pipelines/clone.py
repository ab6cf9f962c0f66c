"""New words in the voice of a clip. Source: spec 6.6 (clone) and 8.1."""

from __future__ import annotations

from ..registry.registry import Bundle
from ..text.prompts import DEFAULT_SPEAKER, speaker_name
from ..types import Clip, EditRequest, Hooks, Round, Sampling, SilentHooks
from .clock import StageClock
from .edit import edit
from .flow_decode import GUIDANCE, STEPS
from .generate import check_request
from .tokenize import tokenize


def clone(
    bundle: Bundle,
    clip: Clip,
    text: str,
    new_text: str,
    *,
    seed: int,
    sampling: Sampling | None = None,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    hooks: Hooks | None = None,
) -> Round:
    """One round that says new_text in the voice of a clip that says text.

    Raises ValueError for a bad clip, missing words, or tags the bundle does not know.
    """
    hooks = hooks or SilentHooks()
    request = EditRequest(kind="clone", text=text, new_text=new_text)
    check_request(bundle, request)
    clock = StageClock()
    with clock.stage("tokenize"):
        codes, voice = tokenize(bundle, clip, hooks=hooks)
    layout = bundle.manifest.prompt_layout
    named = speaker_name(text, clip.wave) if layout.startswith("2025") else DEFAULT_SPEAKER
    return edit(
        bundle,
        codes,
        voice,
        request,
        seed=seed,
        sampling=sampling,
        steps=steps,
        guidance=guidance,
        speaker=named,
        hooks=hooks,
        clock=clock,
    )
