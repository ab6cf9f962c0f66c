"""The one gate for files of other people: JSON, JSON lines and text, within limits.

Each reader knows how much it may read and how deep it may go, and says in one sentence what it
found. What JSON allows and nobody means is refused: a key given twice, NaN, numbers of thousands of
digits, half a letter. `tensors.py` and `states.py` are the same gate for weights.
"""

from __future__ import annotations

import json
import math
import re
import stat
from pathlib import Path
from typing import Any, NamedTuple

from ..printable import shown

LINE = re.compile(r"\bline \d+$")
"""The name of a text that is one line of a file."""
TEXT_LIMIT = 2**20
"""Most bytes of one file of settings."""
LINES_LIMIT = 2**30
"""Most bytes of a file of JSON lines."""
DEEPEST = 40
"""Most lists and objects inside one another."""
LONGEST_NUMBER = 40
"""Most digits of a number."""
TAKE_AGAIN = "Take the file again from where it came from."


class UnreadableFileError(OSError):
    """A file that the disk does not give; the text is one sentence, errno and strerror are set."""

    def __init__(self, name: str, error: OSError, remedy: str) -> None:
        super().__init__(error.errno, error.strerror or type(error).__name__)
        if isinstance(error, FileNotFoundError):
            self._sentence = f"no file is at '{shown(name)}'. Check the path and its spelling."
        else:
            self._sentence = f"'{shown(name)}' cannot be read ({self.strerror}). {remedy}"

    def __str__(self) -> str:
        return self._sentence


def said_of(error: Exception) -> str:
    """The sentence of an error: ours, or one for what the operating system refuses."""
    ours = isinstance(error, UnreadableFileError) or getattr(error, "strerror", None) is None
    if ours or not isinstance(error, OSError):
        return str(error) or type(error).__name__
    where = f"'{shown(error.filename)}': " if error.filename else ""
    return f"{where}{error.strerror}. Check the path, its rights and the disk."


class Line(NamedTuple):
    """One line of a file."""

    number: int
    """From 1."""
    text: str
    """Without its end."""


def read_bytes(path: Path, limit: int = TEXT_LIMIT, remedy: str = TAKE_AGAIN) -> bytes:
    """All of a plain file of at most `limit` bytes; ValueError for anything else there."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            kind = "a folder" if stat.S_ISDIR(about.st_mode) else "not a plain file"
            raise ValueError(f"'{shown(path.name)}' is {kind}; a file is expected. {remedy}")
        if about.st_size > limit:
            raise ValueError(
                f"'{shown(path.name)}' has {about.st_size} bytes; allowed are {limit}. {remedy}"
            )
        with path.open("rb") as file:
            return file.read(about.st_size)  # read(limit) would make room for the limit
    except OSError as error:
        raise UnreadableFileError(path.name, error, remedy) from error


def read_text(path: Path, limit: int = TEXT_LIMIT, remedy: str = TAKE_AGAIN) -> str:
    """A UTF-8 text; ValueError where it is none."""
    return decoded(read_bytes(path, limit, remedy), f"'{shown(path.name)}'", remedy)


def decoded(data: bytes, where: str, remedy: str = TAKE_AGAIN) -> str:
    """Bytes as a UTF-8 text."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where} is not UTF-8 text (byte {error.start + 1} is not). {remedy}"
        ) from error


def read_lines(path: Path, remedy: str = TAKE_AGAIN, *, whole: bool = False) -> list[Line]:
    r"""The lines of a text that are not blank; only "\n" ends a line, as JSON lines have it.

    With `whole` the last line must be ended too: one that is not was torn while it was written.
    """
    text = read_text(path, LINES_LIMIT, remedy)
    if whole and text and not text.endswith("\n"):
        raise ValueError(f"'{shown(path.name)}' is torn: its last line has no end. {remedy}")
    lines = (Line(number, line) for number, line in enumerate(text.split("\n"), start=1))
    return [line for line in lines if line.text.strip()]


def read_json(path: Path, limit: int = TEXT_LIMIT, remedy: str = TAKE_AGAIN) -> Any:
    """The JSON value of a file."""
    return parse_json(read_text(path, limit, remedy), f"'{shown(path.name)}'", remedy)


def read_object(path: Path, limit: int = TEXT_LIMIT, remedy: str = TAKE_AGAIN) -> dict[str, Any]:
    """The JSON object of a file."""
    return as_object(read_json(path, limit, remedy), f"'{shown(path.name)}'", remedy)


def parse_object(text: str, where: str, remedy: str = TAKE_AGAIN) -> dict[str, Any]:
    """A JSON object, as parse_json."""
    return as_object(parse_json(text, where, remedy), where, remedy)


def as_object(value: Any, where: str, remedy: str = TAKE_AGAIN) -> dict[str, Any]:
    """A value that must be an object."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {kind_of_value(value)}; an object is expected. {remedy}")
    return value


def parse_json(text: str, where: str, remedy: str = TAKE_AGAIN) -> Any:
    """A JSON value; `where` names it in messages, `remedy` ends them.

    Raises ValueError for text that is not JSON, or JSON beyond the limits above.
    """
    if len(text) > LINES_LIMIT:
        raise ValueError(f"{where} has {len(text)} characters; {LINES_LIMIT} are allowed. {remedy}")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_whole,
            parse_float=_number,
        )
    except _NotMeantError as error:
        raise ValueError(f"{where} has {shown(error)}. {remedy}") from error
    except json.JSONDecodeError as error:
        place = f"column {error.colno}"
        if not LINE.search(where):  # else it names the line already
            place = f"line {error.lineno}, {place}"
        raise ValueError(f"{where} is not JSON (wrong at {place}). {remedy}") from error
    except RecursionError as error:
        raise ValueError(f"{where} is nested too deep; {DEEPEST} is allowed. {remedy}") from error
    _check(value, text, where, remedy)
    return value


def kind_of_value(value: object) -> str:
    """A JSON value in words."""
    if isinstance(value, int) and abs(value) >= 2**128:
        return "a number of too many digits"
    named = {dict: "an object", list: "a list", str: "text", type(None): "null"}
    return named.get(type(value)) or f"the value {shown(value, 40)}"


class _NotMeantError(Exception):
    """Something that JSON allows and nobody means."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _NotMeantError(f"the key '{shown(twice, 40)}' twice")
    return made


def _constant(name: str) -> float:
    raise _NotMeantError(f"{shown(name)}, which is not a number")


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise _NotMeantError(f"a number of {len(text)} digits; {LONGEST_NUMBER} are allowed")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _NotMeantError(f"the number {shown(text, 40)}, which is too large")
    return value


def _check(value: Any, text: str, where: str, remedy: str) -> None:
    """Refuse what is too deep, and half a letter in a text."""
    halves = "\\u" in text or not text.isascii()
    level, depth = [value], 0
    while level:
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
                inner += item if halves else ()
            elif isinstance(item, list):
                inner += item
            elif halves and isinstance(item, str) and has_half_letter(item):
                raise ValueError(
                    f"{where} has half of a letter in a text ({shown(item, 40)}). {remedy}"
                )
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"{where} is nested too deep; {DEEPEST} is allowed. {remedy}")
        level = inner


def has_half_letter(text: str) -> bool:
    """Whether a text has one half of a surrogate pair, which no file can keep."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)
