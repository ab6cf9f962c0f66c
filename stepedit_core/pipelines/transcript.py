"""Whether words can be those of a clip, and a model can read them: cheap checks before a run.

They find a transcript that cannot be right: letters that the model never learnt, and more words
than anybody says in the time. Words of another clip of the same length pass; a bundle with a
recogniser hears those in round 0 (`measure/holding.py`).
"""

from __future__ import annotations

from ..audio.fbank import RATE
from ..audio.quiet_speech import wide_bounds
from ..audio.resample import resample
from ..audio.trim import cap_peak, normalise_energy
from ..printable import shown
from ..registry.handle import Bundle
from ..text.edits import without_tags
from ..text.pace import FASTEST, SLOWEST, USUAL, seconds_to_say, spoken_letters
from ..text.tokenizer import TextTokenizer
from ..types import Clip
from ..vocab import GROUP_SECONDS
from .limits import LONGEST_CLONE

MOST_UNLEARNT = 0.2
"""Share of the letters that may be unknown to the model: names and borrowed words."""
MOST_WITH_DIGITS = 0.5
"""The same, digits included: a few numbers among words are said in a note."""
ONE_LANGUAGE = 8192
"""Most pieces of a vocabulary that was made for one language; nano has 3000."""
FEWEST_LETTERS = 25
"""One odd word decides on fewer."""
FOREIGN = 1.76
"""Letters a piece below which words are of another language. With nano's vocabulary transcripts of
LibriSpeech have 1.9 to 3.5, sentences in German, French, Spanish or pinyin mostly 1.1 to 1.75."""
SHOWN_WORDS = 40
SHOWN = 8
"""Most letters that a sentence lists."""


def check_letters(bundle: Bundle, text: str) -> None:
    """Raise ValueError for words without a letter, or in a script that the model never learnt."""
    words = without_tags(text)
    letters = [letter for letter in words if letter.isalnum()]
    if words and not letters:
        raise ValueError(
            f"the words are '{shown(words, SHOWN_WORDS)}', which has no letter; what is spoken is "
            "needed. Write the words."
        )
    unlearnt = [x for x in bundle.text.unlearnt(words) if x.isalnum()]
    strange = [letter for letter in letters if letter in unlearnt]
    script = sum(letter.isalpha() for letter in strange)
    alphabetic = sum(letter.isalpha() for letter in letters)
    if script > MOST_UNLEARNT * alphabetic or len(strange) > MOST_WITH_DIGITS * len(letters):
        raise ValueError(
            f"{len(strange)} of the {len(letters)} letters of the words were never learnt by "
            f"'{shown(bundle.name)}' ({shown(_listed(unlearnt))}); it reads the language "
            "of its examples. Write the words in that language, numbers as words, or choose "
            "another model."
        )


def speech_seconds(clip: Clip) -> float:
    """Seconds of a clip between its first and last speech."""
    heard = normalise_energy(resample(cap_peak(clip.wave), clip.sample_rate, RATE))
    first, last, _ = wide_bounds(heard)
    return (last - first) / RATE


class PaceError(ValueError):
    """Words that cannot be those of a recording: one of the two is another's."""


def check_pace(text: str, seconds: float) -> None:
    """Raise PaceError for words that nobody can say in so many seconds of speech."""
    least = seconds_to_say(text, FASTEST)
    if least > seconds + GROUP_SECONDS:
        raise PaceError(
            f"the transcript has {sum(spoken_letters(text))} letters; the clip has {seconds:.1f} s "
            f"of speech, and the fastest speaker needs {least:.1f} s for them. Check that these "
            "are the words of this clip, and that none of it is too quiet."
        )


def check_length(text: str) -> None:
    """Raise ValueError for new words that take longer to say than an answer may be."""
    needed = seconds_to_say(text, USUAL)
    if needed > LONGEST_CLONE:
        raise ValueError(
            f"the new words have {sum(spoken_letters(text))} letters, which take {needed:.0f} s to "
            f"say; at most {LONGEST_CLONE:.0f} s are said at once. Say them in parts."
        )


def transcript_notes(bundle: Bundle, text: str, seconds: float) -> tuple[str, ...]:
    """What is odd, but may be right, about the words of a clip with so many seconds of codes."""
    if not text.strip():
        return ()
    notes = []
    unlearnt = bundle.text.unlearnt(without_tags(text))
    if unlearnt:
        notes.append(
            f"'{bundle.name}' never learnt {_listed(unlearnt)}; write them in letters that it "
            "knows, numbers and signs as words."
        )
    if sounds_foreign(bundle.text, text):
        notes.append(
            f"the words look like another language than the one that '{bundle.name}' learnt; an "
            "edit of them is a guess."
        )
    slowest = seconds_to_say(text, SLOWEST)
    if seconds > 2.0 + 2.0 * slowest:
        notes.append(
            f"the words take {slowest:.1f} s at most, the speech lasts {seconds:.1f} s; check that "
            "the transcript is whole."
        )
    return tuple(notes)


def sounds_foreign(tokenizer: TextTokenizer, text: str) -> bool:
    """Whether words, but a few, are of another language than the one of a small vocabulary."""
    words = without_tags(text)
    if tokenizer.size > ONE_LANGUAGE or sum(x.isalpha() for x in words) < FEWEST_LETTERS:
        return False
    return tokenizer.letters_per_piece(words) < FOREIGN


def _listed(letters: list[str]) -> str:
    more = " and more" if len(letters) > SHOWN else ""
    return ", ".join(ascii(x) if not x.isprintable() else f"'{x}'" for x in letters[:SHOWN]) + more
