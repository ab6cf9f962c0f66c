"""Which words a recording of any length says: heard piece by piece, one of them in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..audio.clips import SILENCE_PEAK
from ..audio.recordings import Source, check_finite
from ..printable import shown
from ..types import Clip
from .letters import LettersRecogniser
from .pieces import Mixed, quiet_pieces
from .timeline import Recogniser, Word, fit_transcript, words_between
from .word_table import timed_words

WHOLE_S = 60.0
"""Longest recording that a recogniser hears as a whole."""


def hear(recogniser: Recogniser, source: Source, text: str = "") -> tuple[Word, ...]:
    """The words of a recording of any length with their times, heard piece by piece.

    Args:
        recogniser: hears clips.
        source: a recording in memory or in a file; of a file one piece at a time is in memory.
        text: its words where they are known: only their times are looked for. With their times, as
            `word_table` writes them, they are taken as they are.

    Raises ValueError for samples that are not numbers, wherever they are.
    """
    check_finite(source)
    timed = timed_words(text, source.seconds)
    if timed is not None:
        return timed
    rate = source.sample_rate
    if source.seconds <= WHOLE_S:
        clip = source.part(0, source.length).clip()
        return recogniser.align(clip, text) if text.strip() else recogniser.transcribe(clip)
    words: list[Word] = []
    pieces = list(quiet_pieces(Mixed(source), rate))
    for first, end in pieces:
        words += _piece(recogniser, source.part(first, end).clip(), first / rate)
    if not text.strip():
        return tuple(words)
    fitted = fit_transcript(words, text, source.seconds)
    if not isinstance(recogniser, LettersRecogniser):
        return fitted
    # what it hears by itself is a draft: the words that it puts into a piece are aligned there
    aligned: list[Word] = []
    for first, end in pieces:
        said = words_between(fitted, first / rate, end / rate)
        if said:
            aligned += _piece(recogniser, source.part(first, end).clip(), first / rate, said)
    return tuple(aligned)


def hear_surely(recogniser: Recogniser, source: Source, text: str = "") -> tuple[Word, ...]:
    """As `hear`, for words that a run will rely on.

    Raises ValueError where no words are given and the recogniser hears a draft only.
    """
    words = hear(recogniser, source, text)
    if not text.strip():
        check_draft(recogniser, words)
    return words


def sure_listener(recogniser: Recogniser) -> Recogniser | None:
    """The recogniser, or None where what it hears without a transcript is a draft only."""
    return None if isinstance(recogniser, LettersRecogniser) else recogniser


def draft_note(recogniser: Recogniser) -> str:
    """What to say of words that were heard where they are a draft; empty where they are not."""
    if sure_listener(recogniser) is None:
        return "a draft, spelled by ear: most words need to be corrected"
    return ""


def check_draft(recogniser: Recogniser, words: Sequence[Word]) -> None:
    """Raise ValueError, with the words, where what a recogniser hears is a draft only."""
    if draft_note(recogniser):
        heard = words_between(words, float("-inf"), float("inf"))
        raise ValueError(
            "no transcript was given, and this model's recogniser spells by ear: it hears "
            f"'{shown(heard, 200)}'. Correct these words and give them as the transcript, or name "
            "the folder of a faster-whisper model, which hears them ($STEPEDIT_RECOGNISER, or "
            "--recogniser of the command)."
        )


def _piece(recogniser: Recogniser, clip: Clip, offset: float, said: str = "") -> list[Word]:
    """The words of a piece at their times in the whole; none where it is silent, unless given."""
    if not len(clip.wave) or (not said and float(clip.wave.abs().max()) < SILENCE_PEAK):
        return []
    words = recogniser.align(clip, said) if said else recogniser.transcribe(clip)
    return [replace(w, start=w.start + offset, end=w.end + offset) for w in words]
