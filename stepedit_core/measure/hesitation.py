"""Short sounds of a voice between words for which a recogniser heard no word: "um", "uh"."""

from __future__ import annotations

from collections.abc import Sequence

from ..types import Clip
from .timeline import Word


def unheard_speech(clip: Clip, words: Sequence[Word]) -> list[tuple[float, float]]:
    """Seconds from and to of each."""
    return []
