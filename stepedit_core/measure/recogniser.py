"""How many words of a text are wrong in what a recogniser heard.

One normalisation and one word error rate for evaluation, recipes and data: words in lower case
without punctuation, English numbers as digits, a Chinese character is a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from ..files.missing import pip_line
from ..printable import shown

UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
NUMBERS = {word: value for value, word in enumerate(UNITS)}
TENS = {
    word: 10 * value
    for value, word in enumerate(
        ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), start=2
    )
}
SCALES = {"thousand": 1000, "million": 1_000_000}


def plain_words(text: str) -> list[str]:
    """Words to be compared: lower case, no punctuation, English numbers as digits.

    "Twenty-five" and "25" are one word, as are "1,000" and "one thousand". A Chinese character is a
    word.
    """
    text = unicodedata.normalize("NFKC", text).lower().replace("\u2019", "'")
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"([\u4e00-\u9fff])", r" \1 ", text)
    words = re.sub(r"[^\w' ]+", " ", text).replace("'", "").split()
    return [word for word, _ in spoken_numbers(words)]


def spoken_numbers(words: Sequence[str]) -> list[tuple[str, int]]:
    """Words with every English number from zero on as digits, and how many words each was.

    "nineteen eighty" is 1980.
    """
    out: list[tuple[str, int]] = []
    at = 0
    while at < len(words):
        value, used = _number(words[at:])
        if used == 1 and 10 < value <= 20:
            years, further = _number(words[at + 1 :])
            if 10 <= years < 100:
                value, used = 100 * value + years, 1 + further
        out.append((str(value) if used else words[at], used or 1))
        at += used or 1
    return out


def _number(words: Sequence[str]) -> tuple[int, int]:
    """Value of the number that begins here, and how many words it has; 0 words for none."""
    whole, part, used = 0, 0, 0
    low = 0
    """What may still be added to `part` is less than this; 0 before its first word."""
    for place, word in enumerate(words):
        if word in TENS and (not place or low > TENS[word]):
            part, low = part + TENS[word], 10
        elif word in NUMBERS and (not place or low > NUMBERS[word] > 0):
            part, low = part + NUMBERS[word], 0
        elif word == "hundred" and 0 < part < 100:
            part, low = 100 * part, 100
        elif word in SCALES and part > 0:
            whole, part, low = whole + part * SCALES[word], 0, 1000
        elif word == "and" and low >= 100 and _goes_on(words[place + 1 :]):
            continue
        else:
            break
        used = place + 1
    return whole + part, used


def _goes_on(words: Sequence[str]) -> bool:
    """Whether a number has more words after its `and`."""
    return bool(words) and (words[0] in TENS or (words[0] in NUMBERS and words[0] != "zero"))


def word_error_rate(reference: str, heard: str) -> float:
    """Edit distance of the normalised words over the reference's; it may exceed 1.

    1.0 where nothing is heard. A reference without words gives 0.0 or 1.0.
    """
    jiwer = jiwer_module()
    expected, found = plain_words(reference), plain_words(heard)
    if not expected or not found:
        return float(expected != found)
    return float(jiwer.wer(" ".join(expected), " ".join(found)))


def jiwer_module() -> Any:
    """The package that counts word errors; ValueError with its pip line where it is absent."""
    try:
        import jiwer
    except ImportError as error:
        raise ValueError(
            f"the word error rate needs jiwer, which is not installed ({shown(error)}). Run "
            f"`{pip_line('jiwer')}`."
        ) from error
    return jiwer
