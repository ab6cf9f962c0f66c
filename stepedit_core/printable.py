"""Foreign text in messages: names, paths and words of other people, printable characters only.

A terminal obeys escape codes, a right-to-left mark turns a line around, half a surrogate pair stops
a strict log stream. `shown` is for one such value inside a sentence, `quoted` where its
type matters, `printable` for a whole sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MOST = 300
"""Characters of one foreign value in a sentence."""
LONGEST_NUMBER = 40
"""Digits of a whole number that are shown."""
_LARGEST = 10**LONGEST_NUMBER


def printable(text: str) -> str:
    """The text on one line, with an escape code in place of what is not printed."""
    return " ".join("".join(map(_visible, text)).split())


def shown(value: object, most: int = MOST) -> str:
    """Any foreign value, printable, on one line, at most so many characters."""
    # a text of 10^8 characters is not walked through for the sake of its first 120
    text = _as_text(value)
    line = printable(text[: 4 * most])
    return line if len(line) <= most and len(text) <= 4 * most else line[: most - 1] + "…"


def printable_lines(text: str) -> str:
    """Several lines, as of a table, each printable; spaces stay."""
    return "\n".join("".join(map(_visible, line)) for line in text.split("\n"))


def storable(name: str) -> str:
    """A name as a text file can keep it: one in another encoding than UTF-8 has half letters."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def quoted(value: object, most: int = 60) -> str:
    """A value of any type as Python writes it: a text in quotes, a number without."""
    number = isinstance(value, int) and abs(value) >= _LARGEST
    return shown(value if number else repr(value), most)


def listed(values: Iterable[object], none: str = "none", most: int = 20) -> str:
    """Foreign values with commas between; `none` where there is none, a count after `most`."""
    names = [shown(value) for value in values]
    rest = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *rest]) or none


def _as_text(value: object) -> str:
    """Python writes no number of more than 4,300 digits."""
    if isinstance(value, int) and abs(value) >= _LARGEST:
        return f"a number of more than {LONGEST_NUMBER} digits"
    return str(value)


def _visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    return " " if letter.isspace() else letter.encode("unicode_escape").decode("ascii")


_SAID: ContextVar[set[str] | None] = ContextVar("notes that were said", default=None)


@contextmanager
def said_once() -> Iterator[None]:
    """Within a block no note is new twice: a run looks at many parts of one recording."""
    token = _SAID.set(set())
    try:
        yield
    finally:
        _SAID.reset(token)


def is_new(note: str) -> bool:
    """Whether a note was not said yet in a block of `said_once`; outside of one it always is."""
    already = _SAID.get()
    if already is None:
        return True
    new = note not in already
    already.add(note)
    return new
