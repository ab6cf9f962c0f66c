"""Words with their times as a text of lines that a person can read, correct and give back."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..files.terminal import table
from ..printable import shown
from .timeline import Word

HEAD = ("start", "end", "word", "sure")
LATE_S = 0.05
"""So much later than its recording a word may end: times are rounded."""
_LINE = re.compile(r"(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)\s+(\S+)(?:\s+([01](?:\.\d+)?))?")


def word_table(words: Sequence[Word]) -> str:
    """A line for each word: start and end in seconds, the word, how sure it is, 0 to 1."""
    rows = [(f"{w.start:.3f}", f"{w.end:.3f}", w.text, f"{w.confidence:.2f}") for w in words]
    return table(HEAD, rows)


def timed_words(text: str, seconds: float) -> tuple[Word, ...] | None:
    """As read_word_table, for a recording of so many seconds; ValueError as check_inside."""
    words = read_word_table(text)
    if words is not None:
        check_inside(words, seconds)
    return words


def check_inside(words: Sequence[Word], seconds: float) -> None:
    """Raise ValueError where words end after their recording."""
    late = next((word for word in words if word.end > seconds + LATE_S), None)
    if late is not None:
        raise ValueError(
            f"'{shown(late.text, 60)}' ends at {late.end:.2f} s; the recording ends at "
            f"{seconds:.2f} s. Correct the times, or give the words of this recording."
        )


def read_word_table(text: str) -> tuple[Word, ...] | None:
    """The words of a text that `word_table` made, corrected or not; None for any other text.

    The head may be missing, and so may the last column: such a word is sure. Raises ValueError for
    a line without two times and a word, and for times that are not in order.
    """
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    headed = bool(lines) and tuple(lines[0].split()) == HEAD
    if not lines or not (headed or _LINE.fullmatch(lines[0])):
        return None
    words: list[Word] = []
    for line in lines[headed:]:
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(
                f"'{shown(line)}' is not a line of words and times; start and end in seconds and "
                "the word are needed, such as '0.50 0.82 hello'. Correct it."
            )
        word = Word(found[3], float(found[1]), float(found[2]), float(found[4] or 1))
        if word.end <= word.start or (words and word.start < words[-1].end):
            raise ValueError(
                f"'{shown(line)}' begins before the word above has ended, or ends before it "
                "begins; words follow each other. Correct its times."
            )
        words.append(word)
    return tuple(words)
