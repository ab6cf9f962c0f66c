"""Mel at 50 Hz to a wave at 24 kHz with the bundle's vocoder. Source: spec 9."""

from __future__ import annotations

import torch
from torch import Tensor

from ..measure.finite import check_finite, check_weights
from ..models.bigvgan import BigVGAN
from ..models.cancel import cancellable
from ..registry.handle import Bundle
from ..registry.torch_state import in_own_state
from ..types import SAMPLE_RATE, Clip, Draws, Hooks, SilentHooks

STAGE = "vocode"


@in_own_state
@torch.no_grad()
def vocode(bundle: Bundle, mel: Tensor, *, draws: Draws, hooks: Hooks | None = None) -> Clip:
    """Clip of 480 F samples from a natural-log mel (80, F).

    The noise of HiFT and SourceFilter comes from the stage "vocode"; BigVGAN draws none.
    """
    hooks = hooks or SilentHooks()
    hooks.check()
    check_weights(bundle, "vocoder")
    vocoder = bundle.vocoder
    rows = mel[None].to(next(vocoder.parameters()))
    with cancellable(vocoder, hooks):
        if isinstance(vocoder, BigVGAN):
            wave = vocoder(rows)
        else:
            wave = vocoder(rows, generator=draws.generator(STAGE))
    hooks.progress(STAGE, 1, 1)
    hooks.check()
    samples = wave.reshape(-1).float().cpu()
    check_finite(samples, "vocoder", bundle)
    return Clip(wave=samples, sample_rate=SAMPLE_RATE)
