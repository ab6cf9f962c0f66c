"""Text units of the recogniser: their list in tokens.json, and words joined from them.

A unit is a Chinese character, a whole English word, or a piece of one: `@@` at its end says that
the word continues with the next unit (8501 units, those that say nothing included).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from ..files.reading import decoded, kind_of_value, parse_json, read_bytes
from ..printable import shown

REMEDY = "Take the file from the released Paraformer folder."
UNITS_LIMIT = 2**20
"""Most bytes of tokens.json that are read; 8501 units need about 100 kB."""
UNIT_LIMIT = 64
"""Most characters of one unit."""
JOINS = "@@"
"""End of a unit whose word continues."""
SILENT = ("<blank>", "<s>", "</s>", "<unk>", "<OOV>")
"""Units that are not words."""


def read_units(path: Path, count: int) -> tuple[str, ...]:
    """The list of `count` units in tokens.json, in the order of their ids.

    Raises ValueError for any other content: too large, not JSON, not a list of `count` short texts.
    """
    return parse_units(read_bytes(path, UNITS_LIMIT, REMEDY), count, path.name)


def parse_units(data: bytes, count: int, name: str) -> tuple[str, ...]:
    """As read_units, of the bytes of the file that messages call `name`."""
    units = parse_json(decoded(data, name, REMEDY), name, REMEDY)
    if not isinstance(units, list):
        raise ValueError(f"{shown(name)} has {kind_of_value(units)}; expected is a list. {REMEDY}")
    if len(units) != count:
        raise ValueError(f"{shown(name)} has {len(units)} units; the network has {count}. {REMEDY}")
    for place, unit in enumerate(units):
        if not isinstance(unit, str) or not 0 < len(unit) <= UNIT_LIMIT or not unit.isprintable():
            found = (
                kind_of_value(unit) if not isinstance(unit, str) else repr(shown(unit, UNIT_LIMIT))
            )
            raise ValueError(
                f"{shown(name)} has {shown(found)} as unit {place}; expected are 1 to {UNIT_LIMIT} "
                f"printable characters. {REMEDY}"
            )
    return tuple(units)


def units_text(units: Sequence[str]) -> bytes:
    """A list of units as parse_units reads it, without spaces."""
    return json.dumps(
        list(units), ensure_ascii=False, separators=(",", ":"), allow_nan=False
    ).encode()


def word_groups(units: Sequence[str]) -> list[tuple[str, tuple[int, ...]]]:
    """Words of a row of units, each with the places of its units.

    Units of `SILENT` are left out. Each Chinese character is a word; so is what stands between
    spaces in other scripts. A piece without a continuation ends its word as if it were whole.
    """
    words: list[tuple[str, tuple[int, ...]]] = []
    text = ""
    places: tuple[int, ...] = ()

    def close() -> None:
        nonlocal text, places
        if text:
            words.append((text, places))
        text, places = "", ()

    for place, unit in enumerate(units):
        if unit in SILENT:
            continue
        if is_character(unit):
            close()
        text, places = text + unit.removesuffix(JOINS), (*places, place)
        if not unit.endswith(JOINS) or unit == JOINS:
            close()
    close()
    return words


def split_words(text: str) -> list[str]:
    """A transcript as the words of a timeline: between spaces, and each Chinese character alone.

    Punctuation stays at the word it touches, after a Chinese character too.
    """
    words: list[str] = []
    for chunk in text.split():
        open_word = False
        for letter in chunk:
            starts = is_character(letter) or bool(words and is_character(words[-1][0]))
            if open_word and (not starts or not letter.isalnum()):
                words[-1] += letter
            else:
                words.append(letter)
                open_word = True
    return words


def bare(word: str) -> str:
    """A word for comparing: lower case, full and half width the same, letters and digits only."""
    folded = unicodedata.normalize("NFKC", word).casefold()
    return "".join(letter for letter in folded if letter.isalnum())


def is_character(text: str) -> bool:
    """Whether a text is one Chinese character: those are words without spaces between them."""
    return len(text) == 1 and unicodedata.name(text, "").startswith("CJK ")
