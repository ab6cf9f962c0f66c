"""How long words take to say, by their letters: bounds that hold for every speaker.

A letter of an alphabet and a character that is a syllable (Chinese, kana, Hangul) take different
times. English is read at about 15 letters a second and Mandarin at 4 to 5 characters; the fastest
speakers say less than 30 letters and 9 characters.
"""

from __future__ import annotations

import unicodedata

from .edits import without_tags
from .units import bare

FASTEST = (40.0, 14.0)
"""Letters and syllable characters a second that nobody exceeds."""
USUAL = (14.0, 4.5)
SLOWEST = (8.0, 2.5)
"""Of a slow reader, pauses included."""
SYLLABLES = ("CJK ", "HIRAGANA ", "KATAKANA ", "HANGUL ")
"""Beginnings of the Unicode names of characters that are a syllable each."""


def spoken_letters(text: str) -> tuple[int, int]:
    """Letters and digits of a text without its tags: of alphabets, and those that are syllables."""
    letters = bare(without_tags(text))
    syllables = sum(unicodedata.name(letter, "").startswith(SYLLABLES) for letter in letters)
    return len(letters) - syllables, syllables


def seconds_to_say(text: str, pace: tuple[float, float]) -> float:
    """Seconds that the words of a text take at FASTEST, USUAL or SLOWEST."""
    letters, syllables = spoken_letters(text)
    return letters / pace[0] + syllables / pace[1]
