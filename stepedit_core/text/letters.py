"""English words in the letters that a letter recogniser writes: numbers spelled, no marks.

Ids: 0 is the blank of CTC, then the space, the apostrophe and a to z.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from ..printable import shown
from .units import split_words

ALPHABET = " 'abcdefghijklmnopqrstuvwxyz"
"""Letters by id; the id of ALPHABET[k] is k + 1."""
BLANK = 0
SPACE = 1
CLASSES = len(ALPHABET) + 1
_IDS = {letter: place + 1 for place, letter in enumerate(ALPHABET)}
_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth"}
_ORDINALS |= {"nine": "ninth", "twelve": "twelfth"}
MOST_DIGITS = 12
"""Longer numbers are said digit by digit."""
_SAID = {"&": "and", "%": "percent", "$": "dollars", "£": "pounds", "€": "euros", "+": "plus"}
_SAID |= {"=": "equals", "@": "at", "°": "degrees"}
_SHORT = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint", "etc": "et cetera"}
_NUMBER = re.compile(r"([$£€]?)(\d[\d,]*)(?:\.(\d+))?(?:(st|nd|rd|th|s)(?![a-z]))?")


def spelled(word: str) -> str:
    """One word of a transcript as it is said, in letters of ALPHABET; empty where none remain.

    "25th" is "twenty fifth", "$3.50" "three point five zero dollars", "1984" "nineteen eighty
    four", "Café" "cafe". A word in another script has no letters.
    """
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", word)).lower()
    text = text.replace("\u2019", "'").replace("ß", "ss")
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = _NUMBER.sub(_number_said, text)
    for mark, said in _SAID.items():
        text = text.replace(mark, f" {said} ")
    text = re.sub(r"[^a-z' ]", " ", text)
    parts = [part.strip("'") for part in text.split()]
    return " ".join(_SHORT.get(part, part) for part in parts if part)


def letter_words(transcript: str) -> list[tuple[str, str]]:
    """The words of a transcript as a timeline has them, each with its letters."""
    return [(word, spelled(word)) for word in split_words(transcript)]


def letter_ids(text: str) -> list[int]:
    """Ids of a text that has letters of ALPHABET only."""
    return [_IDS[letter] for letter in text]


def text_of(ids: Sequence[int]) -> str:
    """Letters of ids without blanks."""
    return "".join(ALPHABET[i - 1] for i in ids)


def number_words(value: int) -> str:
    """A whole number from 0 on in English words, without "and"."""
    if value < 0:
        raise ValueError(
            f"{shown(value)} is negative; a number from 0 on is needed. Write it in words."
        )
    if value < 20:
        return _UNITS[value]
    if value < 100:
        tens, rest = divmod(value, 10)
        return _TENS[tens - 2] + (f" {_UNITS[rest]}" if rest else "")
    size, name = next(scale for scale in _SCALES if value >= scale[0])
    many, rest = divmod(value, size)
    return f"{number_words(many)} {name}" + (f" {number_words(rest)}" if rest else "")


def _year(value: int) -> str:
    """A number of four digits from 1100 to 1999 without thousands, as a year is said."""
    century, rest = divmod(value, 100)
    if rest == 0:
        return f"{number_words(century)} hundred"
    return f"{number_words(century)} {'oh ' if rest < 10 else ''}{number_words(rest)}"


def _number_said(found: re.Match[str]) -> str:
    money, digits, part, ending = found.groups()
    plain = digits.replace(",", "")
    value = int(plain) if len(plain) <= MOST_DIGITS else -1
    if value < 0 or (len(plain) > 1 and plain[0] == "0"):
        said = " ".join(_UNITS[int(d)] for d in plain)
    elif len(digits) == 4 and not part and not money and 1100 <= value < 2000:
        said = _year(value)
    else:
        said = number_words(value)
    if part:
        said += " point " + " ".join(_UNITS[int(d)] for d in part)
    if ending in ("st", "nd", "rd", "th"):
        said = _ordinal(said)
    elif ending == "s":
        said = said[:-1] + "ies" if said.endswith("y") else said + "s"
    return f" {said} {_SAID[money] if money else ''} "


def _ordinal(said: str) -> str:
    """The ordinal of a number in words."""
    before, _, last = said.rpartition(" ")
    last = _ORDINALS.get(last, last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return f"{before} {last}".strip()
