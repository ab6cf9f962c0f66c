"""Decoding inside of a hole only: the mel around it is the recording's and stays.

The sampler runs over the whole of the codes, so that the model hears both sides. Before every step
the frames outside of the hole are set to their place on the way from noise to the recording's mel,
as in the inpainting of images by diffusion models (Lugmayr et al. 2022, arXiv:2201.09865, without
its repetitions); after the last step they are that mel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..measure.finite import check_finite, check_weights
from ..models.cancel import cancellable
from ..models.flow import step_times
from ..registry.handle import Bundle
from ..registry.torch_state import in_own_state
from ..types import Decoding, Draws, DualCodes, Hooks, SilentHooks, Voice
from ..vocab import MEL_FRAMES_PER_GROUP, pairs
from .flow_decode import STAGE, prompt_and_answer_noise, resized_prompt
from .settings import check_decoding


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What stays of a recording under codes of G groups."""

    mel: Tensor
    """(80, 6G); anything inside of the hole."""
    known: Tensor
    """(6G,) bool, False inside of the hole."""


@in_own_state
@torch.no_grad()
def infill_decode(
    bundle: Bundle,
    codes: DualCodes,
    kept: Kept,
    voice: Voice,
    *,
    draws: Draws,
    how: tuple[Decoding, Hooks] | None = None,
) -> Tensor:
    """Natural-log mel (80, 6G) float32 on the CPU: drawn inside of the hole, `kept` outside.

    Args:
        bundle: the model; any flow decoder will do.
        codes: G groups, the recording's around the hole and new ones in it.
        kept: the recording's mel around the hole.
        voice: prompts the decoder.
        draws: of the noise, from the stage "flow": the same draw as in `flow_decode`.
        how: Euler steps and guidance, as in `flow_decode` but without contrast; and who watches.

    Raises ValueError when codes or voice were made by another bundle's tokenizers, and for decoding
    out of range.
    """
    decoding, hooks = how or (Decoding(), SilentHooks())
    check_decoding(decoding)
    bundle.vocabulary.check_codebook(codes)
    bundle.vocabulary.check_codebook(voice.codes)
    hooks.check()
    check_weights(bundle, "flow")
    flow = bundle.flow
    estimator, weight = flow.decoder.estimator, flow.encoder_proj.weight
    place = weight.device
    prompt = MEL_FRAMES_PER_GROUP * voice.codes.groups
    rows = torch.cat([pairs(part.linguistic, part.semantic) for part in (voice.codes, codes)])
    mu = flow.encode(rows[None].to(place))
    lead_in = resized_prompt(voice).to(place)
    known, recorded = kept.known.to(place), kept.mel[None].to(place)
    cond = torch.zeros_like(mu)
    cond[..., :prompt] = lead_in
    if flow.config.prompt_guide:
        cond[..., prompt:] = torch.where(known, recorded, 0.0)
    context = estimator.context(mu, flow.project_speaker(voice.speaker[None].to(weight)), cond)
    guidance = decoding.guidance * flow.config.guidance_scale
    if guidance:
        context = torch.cat((context, estimator.in_proj.bias.expand_as(context)))
    # sums in float32 also where the network is in half precision
    noise = prompt_and_answer_noise(codes, voice, draws).to(place) * flow.config.noise_scale
    target = F.pad(torch.where(known, recorded, 0.0), (prompt, 0))
    outside = F.pad(known, (prompt, 0), value=False)
    x = noise
    times, lengths = step_times(decoding.steps)
    modulations = estimator.modulations(times.to(place))
    with cancellable(flow, hooks):
        for step in range(decoding.steps):
            t = float(times[step])
            x = torch.where(outside, (1 - t) * noise + t * target, x)
            said = estimator.velocity(x.to(weight), context, modulations.row(step)).float()
            v = (1 + guidance) * said[:1] - (guidance * said[1:] if guidance else 0.0)
            x = x + float(lengths[step]) * v
            hooks.progress(STAGE, step + 1, decoding.steps)
            hooks.check()
    drawn = torch.where(known.cpu(), kept.mel.float(), x[0, :, prompt:].float().cpu())
    check_finite(drawn, "flow decoder", bundle)
    return drawn
