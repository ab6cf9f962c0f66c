"""Scripts as files: CSV, JSON lines and SRT, read into the same lines.

A line that cannot be read is an error of that line, with its number; the others are read all the
same.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ..files.reading import Line, parse_object, read_text
from ..printable import quoted, shown
from .script_lines import (
    REMEDY,
    SLOT,
    AnyLine,
    BrokenLine,
    Defaults,
    ScriptLine,
    is_id,
    line_of,
    number_of,
)

LIMIT = 2**24
"""Most bytes of a script."""
MOST_LINES = 20_000
NUMBER = re.compile(r"[0-9]{1,18}")
"""Of a subtitle."""
LONGEST_SEED = 20
"""Digits of the largest seed, 2**64 - 1."""
SUFFIXES = (".csv", ".jsonl", ".srt")
SOUNDS = (".wav", ".flac", ".mp3", ".ogg")
TIME = r"(\d{1,3}):([0-5]\d):([0-5]\d)[,.](\d{1,3})"
Found = list[tuple[Line, dict[str, Any] | BrokenLine]]
"""Each line as an object, or what is wrong with it, with its id as far as one can be read."""


def read_script(path: Path, defaults: Defaults | None = None) -> list[AnyLine]:
    """The lines of a script in their order, broken ones among them.

    Raises ValueError for a file that is too large, not UTF-8, without lines, or of another kind.
    """
    defaults = defaults or Defaults()
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise ValueError(
            f"'{shown(path.name)}' is not a script; {', '.join(SUFFIXES)} are read. Rename it, or "
            "save it as one of these."
        )
    text = read_text(path, LIMIT, "Save the script as UTF-8, in parts if it is long.")
    if kind == ".srt" and not defaults.recording:
        defaults = replace(defaults, recording=_beside(path))
    return _script(text, kind, f"'{shown(path.name)}'", defaults)


def script_from_text(text: str, defaults: Defaults | None = None) -> list[AnyLine]:
    """The lines of a script that lies in memory as CSV, JSON lines or SRT; it shows which it is.

    Raises ValueError for a text without lines.
    """
    kind = ".csv"
    if text.lstrip().startswith("{"):
        kind = ".jsonl"
    elif re.search(rf"^\s*{TIME}\s*-->", text, re.M):
        kind = ".srt"
    return _script(text, kind, "the script", defaults or Defaults())


def _script(text: str, kind: str, where: str, defaults: Defaults) -> list[AnyLine]:
    """The lines of a text of one of SUFFIXES; `where` names it."""
    readers: Mapping[str, Callable[[str], Found]] = {
        ".csv": _csv,
        ".jsonl": _json_lines,
        ".srt": _srt,
    }
    found = readers[kind](text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
    if not found:
        raise ValueError(f"{where} has no lines; one or more are needed. Add one.")
    if len(found) > MOST_LINES:
        raise ValueError(f"{where} has {len(found)} lines; {MOST_LINES} are allowed. Split it.")
    return _lines_named(found, defaults)


def lines_of(values: Sequence[Mapping[str, Any]], defaults: Defaults) -> list[AnyLine]:
    """Lines of a script that lies in memory, broken ones among them."""
    return _lines_named(
        [(Line(number, ""), dict(value)) for number, value in enumerate(values, start=1)], defaults
    )


def _lines_named(found: Found, defaults: Defaults) -> list[AnyLine]:
    """The lines, each under a name of its own: its id, or else its number in the file."""
    given = {_given_id(value).casefold() for _, value in found}
    made = [_line(line, value, defaults, given) for line, value in found]
    return unique(made, [line.number for line, _ in found])


def _given_id(value: dict[str, Any] | BrokenLine) -> str:
    """The id that a line names; empty where it names none that can be one."""
    named = value.id if isinstance(value, BrokenLine) else value.get("id")
    named = str(named) if type(named) is int and 0 <= named < 2**64 else named
    return named if isinstance(named, str) and is_id(named) else ""


def _line(
    line: Line, value: dict[str, Any] | BrokenLine, defaults: Defaults, given: Container[str]
) -> AnyLine:
    """A line, or what is wrong with it; `given` are the ids that lines name themselves."""
    name = _given_id(value)
    if isinstance(value, BrokenLine):
        return replace(value, id=name)
    number = f"{line.number:04d}"
    if value.get("id") in (None, ""):
        value = {**value, "id": f"line {number}" if number in given else number}
    elif name:
        value = {**value, "id": name}
    try:
        return line_of(value, f"line {line.number}", defaults)
    except ValueError as error:
        return BrokenLine(id=name, error=str(error))


def unique(lines: Sequence[AnyLine], numbers: Sequence[int] = ()) -> list[AnyLine]:
    """The lines, a second one of the same id as an error; ids that differ by case are the same.

    A broken line never takes the id of a good one. `numbers` are those of the lines in their file.
    """
    good = [line.id.casefold() for line in lines if isinstance(line, ScriptLine)]
    seen: set[str] = set()
    made: list[AnyLine] = []
    for number, line in zip(numbers or range(1, len(lines) + 1), lines, strict=True):
        name = line.id.casefold()
        if isinstance(line, BrokenLine):
            if not name or name in seen or name in good:
                line = replace(line, id=f"{line.id} (line {number})".lstrip())
        elif name in seen:
            error = f"the id {quoted(line.id)} is used twice; each line needs its own. Change it."
            line = BrokenLine(id=f"{line.id} (line {number})", error=error)
        seen.add(line.id.casefold())
        made.append(line)
    return made


def _json_lines(text: str) -> Found:
    found: Found = []
    for line in _lines(text):
        try:
            found.append((line, parse_object(line.text, f"line {line.number}", REMEDY)))
        except ValueError as error:
            found.append((line, BrokenLine(id="", error=str(error))))
    return found


def _csv(text: str) -> Found:
    """Lines under a head that names the columns; one line of text is one line of the script."""
    lines = _lines(text)
    if not lines:
        return []
    head, *rest = lines
    delimiter = max(",;\t", key=head.text.count)
    columns = [name.strip().lower() for name in _cells(head.text, delimiter, "line 1")]
    known = [f.name for f in fields(ScriptLine)]
    unknown = [name for name in columns if name not in known]
    wrong = [*unknown, *(name for name in known if columns.count(name) > 1)]
    if wrong:
        times = "" if unknown else " twice"
        raise ValueError(
            f"the first line names the column {quoted(wrong[0])}{times}; known are "
            f"{shown(', '.join(known))}, once each. Correct the first line."
        )
    found: Found = []
    for line in rest:
        where, value = f"line {line.number}", dict[str, Any]()
        try:
            cells = _cells(line.text, delimiter, where)
            value = dict(zip(columns, cells, strict=False))
            if len(cells) > len(columns):
                raise ValueError(
                    f"{where} has {len(cells)} cells for {len(columns)} columns; a cell with a "
                    f"separator in it stands in quotes. {REMEDY}"
                )
            for name in ("start", "end", "fit"):
                if value.get(name, "") not in ("", SLOT):
                    value[name] = number_of(value[name], f"{where}: {name}")
            if seed := value.get("seed", ""):
                if not (seed.isdecimal() and len(seed) <= LONGEST_SEED):
                    raise ValueError(
                        f"{where}: seed is '{shown(seed, 40)}'; a whole number of up to "
                        f"{LONGEST_SEED} digits is needed. {REMEDY}"
                    )
                value["seed"] = int(seed)
            found.append((line, value))
        except ValueError as error:
            found.append((line, BrokenLine(id=value.get("id", ""), error=str(error))))
    return found


def _cells(text: str, delimiter: str, where: str) -> list[str]:
    try:
        rows = list(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ValueError(
            f"{where} is not CSV ({shown(error, 60)}); a cell with quotes in it doubles them. "
            f"{REMEDY}"
        ) from error
    return [cell.strip() for cell in rows[0]]


def _srt(text: str) -> Found:
    """Subtitles: each a range of one recording; edits stand in {braces} before the words."""
    found: Found = []
    block: list[Line] = []
    for number, row in enumerate([*text.split("\n"), ""], start=1):
        if row.strip():
            block.append(Line(number, row.strip()))
        elif block:
            found.append((block[0], _subtitle(block)))
            block = []
    return found


def _subtitle(block: Sequence[Line]) -> dict[str, Any] | BrokenLine:
    """A subtitle as an object, or what is wrong with it."""
    number = block[0].text if NUMBER.fullmatch(block[0].text) else ""
    name = f"{int(number):04d}" if number else ""
    times, *rest = block[1:] if number and len(block) > 1 else block
    match = re.fullmatch(rf"{TIME}\s*-->\s*{TIME}.*", times.text)
    if match is None:
        error = (
            f"line {times.number} is '{shown(times.text, 60)}'; the times of a subtitle are "
            f"expected, as 00:00:01,200 --> 00:00:03,400. {REMEDY}"
        )
        return BrokenLine(id=name, error=error)
    start, end = _seconds(match.groups()[:4]), _seconds(match.groups()[4:])
    words = " ".join(line.text for line in rest)
    if end <= start:
        error = (
            f"line {times.number} has a subtitle from {start:g} to {end:g} s; the end comes after "
            f"the start. {REMEDY}"
        )
        return BrokenLine(id=name, error=error)
    marked = re.match(r"\{([^{}]*)\}\s*", words)
    if brace := re.search(r"[{}]", words[marked.end() :] if marked else words):
        error = (
            f"line {rest[0].number} has a '{brace[0]}' among its words; edits stand in one pair of "
            f"braces before them, as {{speed:faster}}. {REMEDY}"
        )
        return BrokenLine(id=name, error=error)
    value: dict[str, Any] = {"start": start, "end": end}
    if marked:
        words, value["edits"] = words[marked.end() :], marked[1]
    value["text"] = re.sub(r"</?[ibu]>", "", words)
    return {**value, "id": name} if number else value


def _seconds(parts: Sequence[str]) -> float:
    hours, minutes, seconds, rest = parts
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(rest.ljust(3, "0")) / 1000


def _beside(path: Path) -> str:
    """The recording that has the name of the subtitles; empty where there is none."""
    return next((p.name for s in SOUNDS if (p := path.with_suffix(s)).is_file()), "")


def _lines(text: str) -> list[Line]:
    rows = (Line(number, row) for number, row in enumerate(text.split("\n"), start=1))
    return [row for row in rows if row.text.strip()]
