"""A clip to its dual codes (16.67 + 25 Hz) and to the voice that prompts the decoder.

Source: spec 2.1 to 2.6. The peak-capped wave at its own rate feeds three branches: the prompt mel
from 24 kHz and the speaker vector from 16 kHz, both untrimmed, and the codes from trimmed 16 kHz.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import torch
from torch import Tensor

from ..audio.clips import check_clip
from ..audio.fbank import RATE as CODE_RATE
from ..audio.fbank import linguistic_features
from ..audio.mel import PROMPT_HOP, prompt_mel, semantic_log_mel, semantic_pieces
from ..audio.quiet_speech import wide_bounds
from ..audio.resample import resample
from ..audio.trim import cap_peak, normalise_energy, trim_silence
from ..measure.finite import check_weights
from ..measure.voice import vector_of
from ..models.cancel import cancellable
from ..registry.handle import Bundle
from ..registry.torch_state import in_own_state
from ..types import SAMPLE_RATE, Clip, DualCodes, Hooks, SilentHooks, Voice
from ..vocab import align

STAGE = "tokenize"
STEPS = 4
"""Units of progress: two code streams, speaker, mel."""


@in_own_state
def tokenize(bundle: Bundle, clip: Clip, *, hooks: Hooks | None = None) -> tuple[DualCodes, Voice]:
    """Codes of the trimmed clip and the voice of the untrimmed one; the same every time.

    Raises ValueError when the clip is empty, silent, not finite, too short or too long.
    """
    hooks = hooks or SilentHooks()
    check_clip(clip)
    wave = cap_peak(clip.wave)
    heard = resample(wave, clip.sample_rate, CODE_RATE)
    hooks.check()
    heard_loud = normalise_energy(heard)
    *bounds, saved = wide_bounds(heard_loud)
    speech, start = trim_silence(heard_loud, (bounds[0], bounds[1]))
    codes = _codes(bundle, speech, hooks)
    speaker = vector_of(bundle, heard, hooks)
    voice = _voice(clip, wave, speaker, codes, start, hooks)
    return codes, replace(voice, saved=saved)


@in_own_state
def codes_of(bundle: Bundle, clip: Clip, *, hooks: Hooks | None = None) -> DualCodes:
    """Codes of a clip that a round made: as `tokenize`, without its voice.

    Its length is not judged. Raises ValueError where it has no speech that can be heard.
    """
    hooks = hooks or SilentHooks()
    heard = resample(cap_peak(clip.wave), clip.sample_rate, CODE_RATE)
    return _codes(bundle, trim_silence(normalise_energy(heard))[0], hooks)


@in_own_state
def voice_of(
    bundle: Bundle,
    clip: Clip,
    codes: DualCodes,
    *,
    recorded: bool = False,
    speaker: Tensor | None = None,
    hooks: Hooks | None = None,
) -> Voice:
    """The voice of a clip and its codes; ValueError for another bundle's codes.

    The clip was decoded from these codes, or, `recorded`, is what they were tokenized from. Its
    length and level are not judged. `speaker` (192,) is its speaker vector where that is known.
    """
    bundle.vocabulary.check_codebook(codes)
    hooks = hooks or SilentHooks()
    wave = cap_peak(clip.wave)
    heard = resample(wave, clip.sample_rate, CODE_RATE)
    start = 0
    if recorded:
        heard_loud = normalise_energy(heard)
        start = trim_silence(heard_loud, wide_bounds(heard_loud)[:2])[1]
    if speaker is None:
        speaker = vector_of(bundle, heard, hooks)
    return _voice(clip, wave, speaker, codes, start, hooks)


@torch.no_grad()
def _codes(bundle: Bundle, speech: Tensor, hooks: Hooks) -> DualCodes:
    """Both code streams of trimmed speech (N,) at 16 kHz, cut to whole groups."""
    hooks.check()
    for part in ("linguistic", "semantic"):  # a NaN inside gives codes, which hide it
        check_weights(bundle, part)
    tokenizer = bundle.linguistic
    features = linguistic_features(speech).to(tokenizer.codebook)
    with cancellable(tokenizer, hooks):
        linguistic = tokenizer.encode(features[None])[0]
    hooks.progress(STAGE, 1, STEPS)
    hooks.check()
    semantic = []
    mels = [semantic_log_mel(piece) for piece in semantic_pieces(speech)]
    # whole pieces of 30 s are one batch; a rest would be padded, at its cost
    for _, equal in groupby(mels, key=lambda mel: mel.shape[-1]):
        batch = torch.stack(list(equal)).to(bundle.semantic.codebook)
        with cancellable(bundle.semantic, hooks):
            semantic.append(bundle.semantic.encode(batch).flatten())
    hooks.progress(STAGE, 2, STEPS)
    codes = align(linguistic.cpu(), torch.cat(semantic).cpu(), bundle.vocabulary.codebook)
    if not codes.groups:
        raise ValueError(
            "the clip has less than 0.12 s of speech, one group of codes. Record a longer clip."
        )
    return codes


def _voice(
    clip: Clip, capped: Tensor, speaker: Tensor, codes: DualCodes, start: int, hooks: Hooks
) -> Voice:
    """Speaker vector, prompt mel of the capped, untrimmed wave, and its sound at its own level.

    `start` is the sample, at 16 kHz, where the codes begin.
    """
    hooks.progress(STAGE, 3, STEPS)
    hooks.check()
    rate = clip.sample_rate
    sound = resample(clip.wave, rate, SAMPLE_RATE)
    mel = prompt_mel(sound if capped is clip.wave else resample(capped, rate, SAMPLE_RATE))
    hooks.progress(STAGE, STEPS, STEPS)
    lead = start / CODE_RATE * SAMPLE_RATE / PROMPT_HOP
    return Voice(speaker=speaker, mel=mel, codes=codes, lead=lead, wave=sound)
