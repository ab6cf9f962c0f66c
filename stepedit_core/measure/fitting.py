"""Which words of a transcript do not fit what a recogniser heard.

Both sides are compared as they are spoken: without case and signs, numbers as digits, abbreviations
and signs of money as words. A recogniser errs too, so a place counts only where it is sure of what
it heard, and where that shares fewer than three of five letters with what is written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

from ..text.units import is_character, split_words
from .recogniser import spoken_numbers
from .timeline import Word

SURE = 0.5
"""Least mean confidence of what was heard where it speaks against a transcript."""
ALIKE = 0.6
"""Share of letters from which on a written place fits what was heard there."""
LETTERS, CHARACTERS = 3, 2
"""Least letters, or Chinese characters, of a place that can be judged: less is misheard easily."""
SHORT = {
    **{"mr": "mister", "mrs": "missus", "ms": "miss", "dr": "doctor", "prof": "professor"},
    **{"vs": "versus", "etc": "et cetera", "approx": "approximately", "no.": "number"},
    **{"e.g": "for example", "i.e": "that is", "ok": "okay", "&": "and", "%": "percent"},
    **{"1st": "first", "2nd": "second", "3rd": "third", "4th": "fourth", "5th": "fifth"},
    **{"km": "kilometers", "kg": "kilograms", "cm": "centimeters", "min": "minutes"},
}
"""Abbreviation -> what is said."""
MONEY = {"$": "dollars", "€": "euros", "£": "pounds", "¥": "yuan"}


def unfit_words(transcript: str, heard: Sequence[Word]) -> tuple[str, ...]:
    """Words of a transcript, as they are written, that the sound does not have."""
    written = split_words(transcript)
    ours = spoken(written)
    theirs = spoken([word.text for word in heard])
    if not ours or not theirs or _sure(heard, 0, len(heard)) < SURE:
        return ()
    texts, others = [text for text, _, _ in ours], [text for text, _, _ in theirs]
    unfit: list[str] = []
    for kind, a, a_end, b, b_end in SequenceMatcher(
        a=texts, b=others, autojunk=False
    ).get_opcodes():
        if kind == "equal" or a == a_end:
            continue
        mine, found = "".join(texts[a:a_end]), "".join(others[b:b_end])
        least = CHARACTERS if is_character(mine[0]) else LETTERS
        enough = len(mine) >= least or mine.isdigit()
        alike = SequenceMatcher(a=mine, b=found, autojunk=False).ratio()
        sure = b == b_end or _sure(heard, theirs[b][1], theirs[b_end - 1][2]) >= SURE
        if enough and sure and alike < ALIKE:
            unfit += written[ours[a][1] : ours[a_end - 1][2]]
    return tuple(unfit)


def spoken(words: Sequence[str]) -> list[tuple[str, int, int]]:
    """What is said by some words: each text for comparing, with first and last place + 1 in them.

    "Dr. Lee paid $1,200" is doctor, lee, paid, 1200, dollars.
    """
    parts = [(part, n, n + 1) for n, word in enumerate(words) for part in _said(word)]
    parts = _letters_joined(parts)
    made, at = [], 0
    for text, used in spoken_numbers([part for part, _, _ in parts]):
        made.append((text, parts[at][1], parts[at + used - 1][2]))
        at += used
    return made


def _said(word: str) -> list[str]:
    """What one written word says, in lower case without signs."""
    text = unicodedata.normalize("NFKC", word).lower().replace("\u2019", "'")
    text = text.strip(" \t\"'()[]{},;:!?。、")
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    if text in SHORT or text.rstrip(".") in SHORT:
        return (SHORT.get(text) or SHORT[text.rstrip(".")]).split()
    if re.fullmatch(r"(\w\.)+\w?", text):  # U.S.A.
        return [text.replace(".", "")]
    for sign, name in MONEY.items():
        if text.startswith(sign) and text[1:2].isdigit():
            text = f"{text[1:]} {name}"
    text = text.replace("%", " percent").replace("&", " and ").replace("'", "")
    text = re.sub(r"([\u4e00-\u9fff])", r" \1 ", text)
    return re.sub(r"[^\w ]+", " ", text).split()


def _letters_joined(parts: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Letters that follow each other as one word: "u s a" is usa."""
    made: list[tuple[str, int, int]] = []
    run: list[tuple[str, int, int]] = []
    for part in [*parts, ("", -1, -1)]:
        if len(part[0]) == 1 and part[0].isascii() and part[0].isalpha():
            run.append(part)
            continue
        if run:
            made.append(("".join(text for text, _, _ in run), run[0][1], run[-1][2]))
        run = []
        made += [part] if part[0] else []
    return made


def _sure(heard: Sequence[Word], first: int, end: int) -> float:
    """Mean confidence of words first to end."""
    inside = heard[first:end]
    return sum(word.confidence for word in inside) / max(1, len(inside))
