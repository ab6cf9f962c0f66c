"""An edit decoded by difference as sound: the recording's own wave, moved as its mel was.

A vocoder loses words and voice of real recordings, also of a mel that nothing has changed. Where
all of an edit lies on a recording whose wave is known, that wave is moved instead
(`signal/moved.py`): along the time path, its pitch by the factor by which the vocoder's pitch
predictor hears the new mel above the recording's, its colour by the difference of the two mels.
Decision 0043.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..audio.mel import PROMPT_HOP
from ..measure.finite import check_finite, check_weights
from ..models.hift import HiFT
from ..models.source_filter import SourceFilter, fill_pitch
from ..registry.handle import Bundle
from ..registry.torch_state import in_own_state
from ..signal.moved import Move, moved
from ..signal.pitch_marks import HOP_SECONDS, pitch_track
from ..types import SAMPLE_RATE, Clip, Draws, Hooks, SilentHooks, Voice
from .difference import Difference, can_move
from .vocode import STAGE, vocode

MOST_PITCH = 1.6
"""Largest factor on the pitch, up or down, at any strength: eight semitones."""
SAME_PITCH = 0.26
"""Octaves by which the predictor may hear the recording's pitch otherwise than its periods say;
where it is further off (voices above 500 Hz), its factor means nothing."""
MOST_LOUDER = 0.5
"""Most by which the whole becomes louder or weaker, natural logarithm: 4 dB."""
STEADY_FRAMES = 15
"""Mel frames over which the factor is averaged: 0.3 s. A voice's own movement stays."""


def sound_of(
    bundle: Bundle,
    made: Difference,
    voice: Voice,
    *,
    draws: Draws,
    hooks: Hooks | None = None,
) -> Clip:
    """Clip at 24 kHz of an edit of `voice`: its own wave moved, or else vocoded.

    It is vocoded where part of it is new (a laugh), where the voice's wave is not known, and where
    the vocoder has no pitch predictor.
    """
    hooks = hooks or SilentHooks()
    hooks.check()
    if voice.wave is None or not can_move(bundle, made.along, voice):
        return vocode(bundle, made.mel, draws=draws, hooks=hooks)
    move = move_of(bundle, made, voice.wave, SAMPLE_RATE)
    if move.still == 0 and len(move.places) == voice.mel.shape[1]:
        wave = voice.wave.clone()  # with what is left of the last frame
    else:
        wave = moved(voice.wave[None], SAMPLE_RATE, move)[0]
    hooks.progress(STAGE, 1, 1)
    hooks.check()
    return Clip(wave=wave, sample_rate=SAMPLE_RATE)


@in_own_state
def move_of(bundle: Bundle, made: Difference, wave: Tensor, rate: int) -> Move:
    """What becomes of a recording's wave (N,) at `rate` Hz."""
    assert made.along is not None
    frame = rate * PROMPT_HOP / SAMPLE_RATE
    source, places = made.along.source, made.along.frames
    change = made.mel - source
    pitch, track = np.ones(change.shape[1]), None
    if bool(change.any()) and made.more:
        track = pitch_track(wave, rate)
        at = np.rint((places + 0.5) * PROMPT_HOP / SAMPLE_RATE / HOP_SECONDS).astype(np.int64)
        own = np.where((at >= 0) & (at < len(track)), track[np.clip(at, 0, len(track) - 1)], 0.0)
        factor = pitch_factor(bundle, source, made.mel, own) ** made.more
        pitch = np.clip(factor, 1 / MOST_PITCH, MOST_PITCH)
    return Move(places, pitch, _level_kept(made.more * change, source), frame, track)


def _level_kept(change: Tensor, source: Tensor) -> Tensor:
    """A change (80, F) without what would make the changed frames much louder or weaker."""
    moving = change.any(dim=0)
    if not bool(moving.any()):
        return change
    loud = source[:, moving].exp()
    level = float((change[:, moving] * loud).sum() / loud.sum())
    excess = level - min(max(level, -MOST_LOUDER), MOST_LOUDER)
    return torch.where(moving, change - excess, change)


@torch.no_grad()
def pitch_factor(bundle: Bundle, before: Tensor, after: Tensor, own: np.ndarray) -> np.ndarray:
    """How much higher (F,) the voice of a mel (80, F) is than that of another, frame by frame.

    Both are heard by the vocoder's own predictor, whose errors they share. Where one of them has no
    voice, or the first another pitch than the recording's `own` (F,) in Hz, it is as between its
    neighbours.
    """
    check_weights(bundle, "vocoder")
    vocoder = bundle.vocoder
    assert isinstance(vocoder, SourceFilter | HiFT)
    rows = torch.stack((before, after)).to(next(vocoder.parameters()))
    hz = vocoder.f0_predictor(rows).float().cpu()
    check_finite(hz, "pitch predictor", bundle)
    apart = (hz[0].clamp(min=1.0) / torch.from_numpy(own).clamp(min=1.0)).log2().abs()
    voiced = (hz > vocoder.config.voiced_threshold_hz).all(0) & (apart < SAME_PITCH)
    factor = (hz[1] / hz[0].clamp(min=1.0)).clamp(1 / MOST_PITCH, MOST_PITCH)
    filled = fill_pitch(torch.where(voiced, factor, 0.0)[None], 0.0)[0]
    octaves = torch.where(filled > 0, filled, 1.0).log2().double().numpy()
    wide = np.pad(octaves, STEADY_FRAMES // 2, mode="edge")
    steady = np.convolve(wide, np.full(STEADY_FRAMES, 1 / STEADY_FRAMES), "valid")
    return np.asarray(2.0**steady)
