"""Whether given words can be those of a recording: what speaks against them, from their times.

A transcript of another recording has times too, and a cut at one of them takes real speech away. So
a run that cuts or edits chosen words asks here first; one that changes no chosen words only warns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..audio.clips import SILENCE_PEAK, float_samples
from ..audio.recordings import CHECKED, Source
from ..printable import shown
from ..text.letters import letter_words
from ..text.pace import FASTEST, seconds_to_say, spoken_letters
from ..types import WordLimits
from ..vocab import GROUP_SECONDS
from .holding import apart
from .letters import WORD_FACTOR, Fit
from .timeline import Word, phrase_places

HEARD = 0.35
"""Confidence below which a recogniser of words heard another word, or none, at a given one."""
SURE = 0.15
"""Mean confidence of given words below which it is doubtful that anybody says them: with nano
noise and music have 0.1, speech 0.4 to 0.7."""
CHECK = "Check that it is the transcript of this recording."


@dataclass(frozen=True, kw_only=True)
class Given:
    """Given words at their times in a recording, and what speaks against them."""

    words: tuple[Word, ...]
    fault: str = ""
    """Why they are not the recording's words, a sentence; empty where nothing says so."""
    impossible: bool = False
    """Whether nothing at all can be done with them."""
    doubt: str = ""
    """What is odd, but may be right."""
    unfit: tuple[float, ...] = ()
    """How much the sound of each word is another's: from 1 on, on average, a phrase is not said."""
    by_words: bool = False
    """Whether a recogniser of words says so, which hears the others."""


def impossible(source: Source, text: str) -> str:
    """Why no recording of this length and level can have these words; empty where it can."""
    least = seconds_to_say(text, FASTEST)
    if least > source.seconds + GROUP_SECONDS:
        return (
            f"the transcript has {sum(spoken_letters(text))} letters; the recording lasts "
            f"{source.seconds:.2f} s, and the fastest speaker needs {least:.1f} s for them. {CHECK}"
        )
    return silent(source, "no word of the transcript")


def silent(source: Source, missed: str) -> str:
    """That a recording is silent, and so `missed` is found in it; empty where it is not."""
    peak = 0.0
    for at in range(0, source.length, CHECKED):
        part = source.part(at, min(at + CHECKED, source.length)).samples
        peak = max(peak, float(float_samples(part).abs().max()))
        if peak >= SILENCE_PEAK:
            return ""
    return (
        f"the recording is silent (its peak is {peak:.5f} of full scale), so {shown(missed)} is "
        f"found in it; speech must reach {SILENCE_PEAK}. Check the recording, or raise its volume."
    )


def by_letters(
    words: Sequence[Word], fits: Sequence[Fit], limits: WordLimits, most: float
) -> Given:
    """What the fits of a transcript's pieces say; each of at most `most` nats per letter."""
    known = [sum(len(letters) for _, letters in letter_words(_text(fit.words))) for fit in fits]
    fault, doubt = "", _unsure(words)
    misfit = sum(min(fit.misfit, most) * count for fit, count in zip(fits, known, strict=True))
    misfit /= max(1, sum(known))
    if words and not sum(known):
        fault = (
            "the transcript has no letter that this recogniser knows (a to z), so its words cannot "
            "be found. Name the folder of a faster-whisper model (--recogniser, or "
            "$STEPEDIT_RECOGNISER)."
        )
    elif misfit > limits.other_misfit:
        far = apart(misfit, limits.other_misfit)
        fault = (
            f"the transcript does not fit the recording: its misfit is {far}, up to "
            f"{limits.other_misfit:.2f} it fits. {CHECK}"
        )
    least = WORD_FACTOR * limits.other_misfit
    unfit = tuple(min(misfit, most) / least for fit in fits for misfit in fit.misfits)
    return Given(words=tuple(words), fault=fault, doubt=doubt, unfit=unfit)


def by_hearing(words: Sequence[Word], limits: WordLimits) -> Given:
    """What the confidence of words says that a recogniser of words has found."""
    missed = sum(word.confidence < HEARD for word in words)
    fault = ""
    if words and missed > limits.other_heard * len(words):
        fault = (
            f"{missed} of the {len(words)} words of the transcript are not heard in the recording; "
            f"up to {limits.other_heard:.0%} may be. {CHECK}"
        )
    # where nothing was heard, as at a filler, nothing speaks against a word
    unfit = tuple(float(0 < word.confidence < HEARD) for word in words)
    return Given(words=tuple(words), fault=fault, doubt="", unfit=unfit, by_words=True)


def unfit_phrases(given: Given, phrases: Sequence[str]) -> list[str]:
    """Chosen phrases at whose places the sound is other words'."""
    found = []
    for phrase in phrases:
        try:
            places = phrase_places(given.words, phrase)
        except ValueError:  # not said: the caller says so
            continue
        if given.unfit and any(sum(given.unfit[at:end]) >= end - at for at, end in places):
            found.append(phrase)
    return found


def phrase_said(phrase: str) -> str:
    """The sentence for a chosen phrase at whose place others are heard."""
    return (
        f"other words are heard where the transcript has '{shown(phrase, 100)}'; it must be what "
        "is said there. Correct the transcript, or leave it out to have the words heard."
    )


def check_sure(words: Sequence[Word]) -> None:
    """Raise ValueError for words, most of which nobody has heard: they are another recording's."""
    if unsure := _unsure(words):
        raise ValueError(unsure)


def _unsure(words: Sequence[Word]) -> str:
    sure = sum(word.confidence for word in words) / max(1, len(words))
    if not words or sure >= SURE:
        return ""
    return (
        f"the words are hardly heard in the recording: on average they are sure by {sure:.2f}, "
        f"from {SURE} on they are heard. Check that they are this recording's."
    )


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)
