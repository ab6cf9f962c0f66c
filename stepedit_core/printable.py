"""Foreign text in messages: names, paths and words of other people, printable characters only.

A terminal obeys escape codes, a right-to-left mark turns a line around, half a surrogate pair stops
a strict log stream. `shown` is for one such value inside a sentence, `quoted` where its
type matters, `printable` for a whole sentence.
"""

from __future__ import annotations

from collections.abc import Iterable

MOST = 300
"""Characters of one foreign value in a sentence."""


def printable(text: str) -> str:
    """The text on one line, with an escape code in place of what is not printed."""
    return " ".join("".join(map(_visible, text)).split())


def shown(value: object, most: int = MOST) -> str:
    """Any foreign value, printable, on one line, at most so many characters."""
    # a text of 10^8 characters is not walked through for the sake of its first 120
    text = str(value)
    line = printable(text[: 4 * most])
    return line if len(line) <= most and len(text) <= 4 * most else line[: most - 1] + "…"


def quoted(value: object, most: int = 60) -> str:
    """A value of any type as Python writes it: a text in quotes, a number without."""
    return shown(repr(value), most)


def listed(values: Iterable[object], none: str = "none", most: int = 20) -> str:
    """Foreign values with commas between; `none` where there is none, a count after `most`."""
    names = [shown(value) for value in values]
    rest = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *rest]) or none


def _visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    return " " if letter.isspace() else letter.encode("unicode_escape").decode("ascii")
