"""How alike two clips sound in voice: cosine of the bundle's own speaker vectors."""

from __future__ import annotations

import torch

from ..audio.fbank import RATE, speaker_features
from ..audio.resample import resample
from ..audio.trim import cap_peak
from ..models.cancel import cancellable
from ..registry.handle import Bundle
from ..registry.torch_state import in_own_state
from ..types import Clip, Hooks, SilentHooks
from .finite import check_finite, check_weights


@in_own_state
def speaker_vector(bundle: Bundle, clip: Clip, *, hooks: Hooks | None = None) -> torch.Tensor:
    """Speaker vector (192,) float32 on the CPU of an untrimmed clip, as in its Voice."""
    heard = resample(cap_peak(clip.wave), clip.sample_rate, RATE)
    return vector_of(bundle, heard, hooks or SilentHooks())


@torch.no_grad()
def vector_of(bundle: Bundle, heard: torch.Tensor, hooks: Hooks) -> torch.Tensor:
    """Speaker vector (192,) float32 on the CPU of a capped wave (N,) at 16 kHz."""
    hooks.check()
    check_weights(bundle, "speaker")
    features = speaker_features(heard).to(next(bundle.speaker.parameters()))
    with cancellable(bundle.speaker, hooks):
        vectors: torch.Tensor = bundle.speaker(features[None])
    vector = vectors[0].float().cpu()
    check_finite(vector, "speaker encoder", bundle)
    return vector


def voice_similarity(one: torch.Tensor, other: torch.Tensor) -> float:
    """Cosine of two speaker vectors (192,): 1 is the same voice, 0 unrelated."""
    return float(torch.nn.functional.cosine_similarity(one, other, dim=0))
