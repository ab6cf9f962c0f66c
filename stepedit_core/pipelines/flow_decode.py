"""Codes to an 80-bin mel at 50 Hz in a given voice. Source: spec 8.1 and 8.4."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..measure.alignment import guide_of
from ..measure.finite import check_finite, check_weights
from ..models.cancel import cancellable
from ..models.flow import Euler, PromptGuide
from ..registry.handle import Bundle
from ..registry.torch_state import in_own_state
from ..types import Decoding, Draws, DualCodes, Hooks, SilentHooks, Voice
from ..vocab import MEL_FRAMES_PER_GROUP, pairs
from .settings import check_decoding

STAGE = "flow"


def resized_prompt(voice: Voice) -> Tensor:
    """The voice's mel (1, 80, 6P), resized, not cut, to its P groups of codes (spec 13, trap 7)."""
    frames = MEL_FRAMES_PER_GROUP * voice.codes.groups
    if not frames:
        return voice.mel[None, :, :0]
    return F.interpolate(voice.mel[None], size=frames, mode="nearest")


def prompt_and_answer_noise(codes: DualCodes, voice: Voice, draws: Draws) -> Tensor:
    """Standard normal noise (1, 80, 6P + 6G) for a prompt and an answer, on the CPU."""
    frames = MEL_FRAMES_PER_GROUP * (voice.codes.groups + codes.groups)
    return torch.randn(1, voice.mel.shape[0], frames, generator=draws.generator(STAGE))


@in_own_state
@torch.no_grad()
def flow_decode(
    bundle: Bundle,
    codes: DualCodes,
    voice: Voice,
    *,
    draws: Draws,
    decoding: Decoding | None = None,
    hooks: Hooks | None = None,
) -> Tensor:
    """Natural-log mel (80, 6G) float32 on the CPU for codes of G groups.

    The voice's mel is resized, not cut, to its codes' length (spec 13, trap 7) and stands before
    the result as the prompt. Noise comes from the stage "flow". Raises ValueError when codes or
    voice were made by another bundle's tokenizers, or have no group, and for decoding out of range.
    """
    hooks, decoding = hooks or SilentHooks(), decoding or Decoding()
    check_decoding(decoding)
    bundle.vocabulary.check_codebook(codes)
    bundle.vocabulary.check_codebook(voice.codes)
    if not codes.groups:
        raise ValueError(
            "there are no tokens to decode (0 groups); 1 or more are needed. Generate again with "
            "another seed."
        )
    hooks.check()
    check_weights(bundle, "flow")
    flow = bundle.flow
    weight = flow.encoder_proj.weight
    rows = torch.cat([pairs(part.linguistic, part.semantic) for part in (voice.codes, codes)]).to(
        weight.device
    )
    mel = resized_prompt(voice)
    noise = prompt_and_answer_noise(codes, voice, draws)

    guide = None
    if flow.config.prompt_guide:
        laid = guide_of(bundle).lay(voice.codes, codes)
        if laid is not None:
            guide = PromptGuide(
                mel=laid.mel(voice.mel, voice.lead)[None].to(weight),
                pairs=laid.rows(rows[: 3 * voice.codes.groups])[None],
                known=torch.from_numpy(laid.known)[None].to(weight.device),
            )

    def on_step(done: int, total: int) -> None:
        hooks.progress(STAGE, done, total)
        hooks.check()

    with cancellable(flow, hooks):
        out = flow.sample(
            rows[None],
            mel.to(weight),
            voice.speaker[None].to(weight),
            noise=noise.to(weight.device),
            euler=Euler(
                steps=decoding.steps,
                guidance=decoding.guidance,
                contrast=decoding.contrast,
                on_step=on_step,
            ),
            guide=guide,
        )
    drawn = out[0].float().cpu()
    check_finite(drawn, "flow decoder", bundle)
    return drawn
