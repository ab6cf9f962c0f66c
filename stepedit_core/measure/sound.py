"""What is measured on every round: voice, pitch, words, peak."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..registry.handle import Bundle
from ..types import Clip, Hooks, Measures, Round, SilentHooks
from .holding import heard_by, with_heard
from .pitch import median_pitch_hz
from .timeline import Recogniser
from .voice import speaker_vector, voice_similarity
from .words import SAME_WORDS, WordDistances, lost_words


def measure_round(
    bundle: Bundle,
    made: Round,
    before: Sequence[Round],
    *,
    distances: WordDistances | None = None,
    ears: Recogniser | None = None,
    hooks: Hooks | None = None,
) -> Measures:
    """Measures of a round; `before` are the finished rounds of its run, the input first.

    `distances` are those that the run has computed already; `ears` hear the words where they do
    better than the bundle's own recogniser.

    The voice is compared with the input's. The words are compared with the last round that changed
    them, or with the input.
    """
    original = None
    if before and before[0].measures is not None:
        original = before[0].measures.speaker
    words = None
    if before and made.request is not None and made.request.kind in SAME_WORDS:
        spoken = next((b for b in reversed(before) if _changed_words(b)), before[0])
        known = distances or WordDistances()
        words = max(0.0, known.between(bundle, spoken.codes, made.codes))
    elif before and made.request is not None and made.request.kind == "sounds":
        words = lost_words(bundle, before[-1].codes, made.codes)
    measures = measure_sound(bundle, made.clip, original, words=words, hooks=hooks)
    expected = made.text
    if not expected and before and before[0].measures is not None:
        expected = before[0].measures.heard or ""
    hooks = hooks or SilentHooks()
    measures = with_heard(bundle, measures, made.clip, expected, hooks=hooks)
    return measures if ears is None else heard_by(ears, measures, made.clip, expected)


def measure_sound(
    bundle: Bundle,
    clip: Clip,
    original: Tensor | None,
    *,
    words: float | None = None,
    hooks: Hooks | None = None,
) -> Measures:
    """Measures of a clip whose voice should be that of `original` (192,); None: its own."""
    speaker = speaker_vector(bundle, clip, hooks=hooks or SilentHooks())
    return Measures(
        speaker=speaker,
        similarity=voice_similarity(speaker, speaker if original is None else original),
        pitch_hz=median_pitch_hz(clip),
        words=words,
        peak=float(clip.wave.abs().max()) if clip.wave.numel() else 0.0,
    )


def _changed_words(made: Round) -> bool:
    return made.request is not None and made.request.kind not in SAME_WORDS
