"""Which words a recording of any length says: heard piece by piece, one of them in memory."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from ..audio.clips import SILENCE_PEAK
from ..audio.recordings import Source, check_finite
from ..printable import is_new, shown
from ..text.missing_words import MissingWordsError
from ..types import Clip, WordLimits
from .given_words import (
    Given,
    by_hearing,
    by_letters,
    impossible,
    phrase_said,
    silent,
    unfit_phrases,
)
from .holding import MISFIT_MOST
from .letters import Fit, LettersRecogniser
from .pieces import Mixed, quiet_pieces
from .timeline import Recogniser, Word, fit_transcript, words_between
from .word_table import timed_words

WHOLE_S = 60.0
"""Longest recording that a recogniser hears as a whole."""
log = logging.getLogger(__name__)


def hear(recogniser: Recogniser, source: Source, text: str = "") -> tuple[Word, ...]:
    """The words of a recording of any length with their times, heard piece by piece.

    Args:
        recogniser: hears clips.
        source: a recording in memory or in a file; of a file one piece at a time is in memory.
        text: its words where they are known: only their times are looked for. With their times, as
            `word_table` writes them, they are taken as they are.

    Raises ValueError for samples that are not numbers, wherever they are.
    """
    return hear_given(recogniser, source, text).words


def hear_given(recogniser: Recogniser, source: Source, text: str = "") -> Given:
    """As `hear`, with what speaks against the words that are given."""
    check_finite(source)
    timed = timed_words(text, source.seconds)
    if timed is not None:
        return Given(words=timed)
    if not text.strip():
        return Given(words=_heard(recogniser, source))
    if why := impossible(source, text):
        return Given(words=(), fault=why, impossible=True)
    limits = recogniser.limits if isinstance(recogniser, LettersRecogniser) else WordLimits()
    if isinstance(recogniser, LettersRecogniser):
        words, fits = _placed(recogniser, source, text)
        return by_letters(words, fits, limits, MISFIT_MOST)
    if source.seconds <= WHOLE_S:
        return by_hearing(recogniser.align(source.part(0, source.length).clip(), text), limits)
    fitted = fit_transcript(_heard(recogniser, source), text, source.seconds)
    return by_hearing(fitted, limits)


def _heard(recogniser: Recogniser, source: Source) -> tuple[Word, ...]:
    """What is heard, a long recording piece by piece."""
    rate = source.sample_rate
    if source.seconds <= WHOLE_S:
        return recogniser.transcribe(source.part(0, source.length).clip())
    words: list[Word] = []
    for first, end in quiet_pieces(Mixed(source), rate):
        words += _piece(recogniser, source.part(first, end).clip(), first / rate)
    return tuple(words)


def _placed(
    recogniser: LettersRecogniser, source: Source, text: str
) -> tuple[tuple[Word, ...], list[Fit]]:
    """Given words at their times, and how well they fit each piece.

    What the letters hear by themselves is a draft: the words that it puts into a piece are aligned
    there.
    """
    rate = source.sample_rate
    if source.seconds <= WHOLE_S:
        fit = recogniser.fit(source.part(0, source.length).clip(), text)
        return fit.words, [fit]
    fitted = fit_transcript(_heard(recogniser, source), text, source.seconds)
    words: list[Word] = []
    fits: list[Fit] = []
    for first, end in quiet_pieces(Mixed(source), rate):
        said = words_between(fitted, first / rate, end / rate)
        clip = source.part(first, end).clip()
        if said and len(clip.wave):
            fits.append(recogniser.fit(clip, said))
            words += _moved(fits[-1].words, first / rate)
    return tuple(words), fits


def hear_surely(
    recogniser: Recogniser, source: Source, text: str = "", *, chosen: Sequence[str] | None = None
) -> tuple[Word, ...]:
    """As `hear`, for words that a run will rely on.

    Args:
        recogniser: hears clips.
        source: as of `hear`.
        text: its words where they are known.
        chosen: phrases of it that the run changes, or empty where it chooses words by another
            way; None where it changes no chosen words.

    Raises ValueError where no words are given and the recogniser hears a draft only, where the
    given ones cannot be the recording's, and where words are chosen of a transcript that is
    another's. What is doubtful is logged.
    """
    found = hear_given(recogniser, source, text)
    if not text.strip():
        if not found.words and draft_note(recogniser) and (why := silent(source, "no speech")):
            raise ValueError(why)
        check_draft(recogniser, found.words)
        return found.words
    check_given(found, chosen)
    return found.words


def check_given(found: Given, chosen: Sequence[str] | None = None) -> None:
    """Log what is doubtful of given words; ValueError as of hear_surely."""
    if found.fault and (found.impossible or chosen is not None):
        raise ValueError(found.fault)
    said = [phrase_said(phrase) for phrase in unfit_phrases(found, chosen or ())]
    if said and found.by_words:
        raise ValueError(said[0])
    for note in filter(None, (found.fault or found.doubt, *said)):
        if is_new(note):
            log.warning("%s", shown(note, 400))


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
        raise MissingWordsError(
            "no transcript was given, and this model's recogniser spells by ear: it hears "
            f"'{shown(heard, 200)}'. Correct these words and give them as the transcript, or name "
            "the folder of a faster-whisper model, which hears them ($STEPEDIT_RECOGNISER, or "
            "--recogniser of the command)."
        )


def _piece(recogniser: Recogniser, clip: Clip, offset: float) -> list[Word]:
    """The words of a piece at their times in the whole; none where it is silent."""
    if not len(clip.wave) or float(clip.wave.abs().max()) < SILENCE_PEAK:
        return []
    return _moved(recogniser.transcribe(clip), offset)


def _moved(words: Sequence[Word], offset: float) -> list[Word]:
    """Words so many seconds later."""
    return [replace(w, start=w.start + offset, end=w.end + offset) for w in words]
