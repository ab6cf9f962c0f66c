"""Lines of a script: a clip, its words and its edits each.

An edit is written as

    emotion:happy rounds=2 strength=0.8 words="so happy"

with the kind, its option, and what is its own; several have a semicolon between them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from ..files.reading import kind_of_value
from ..files.strict import from_json
from ..printable import quoted, shown
from ..text.edits import EDITS
from ..types import EditRequest
from .settings import MOST_ROUNDS, MOST_STRENGTH

MOST_EDITS = 20
"""Of one line."""
REMEDY = "Correct the line."
SLOT = "slot"
"""In place of the seconds of `fit`: as long as the line's range."""
NAME = re.compile(r"\w[\w.\- ]{0,99}")
"""An id: the name of the result, so it has no separators of folders."""


@dataclass(frozen=True, kw_only=True)
class ScriptEdit:
    """One edit of a line."""

    kind: str
    option: str = ""
    """Of the kind; for sounds the words with [tags] in between."""
    rounds: int = 1
    strength: float = 1.0
    engine: str = "auto"
    seconds: float = 0.0
    """Of speed "fit to seconds"."""
    start: float | None = None
    """With `end`: only these seconds of the line's clip are edited."""
    end: float | None = None
    words: str = ""
    """In place of seconds: only these words of the line's clip are edited."""

    BOUNDS = {"rounds": (1, MOST_ROUNDS), "strength": (0, MOST_STRENGTH), "seconds": (0, 120)}  # noqa: RUF012

    @property
    def ranged(self) -> bool:
        """Whether it changes only a part of the clip."""
        return bool(self.words.strip()) or self.start is not None

    def request(self, text: str) -> EditRequest:
        """The edit of a clip with these words."""
        sounds = self.kind == "sounds"
        return EditRequest(
            kind=self.kind,
            option="" if sounds else self.option,
            text=text,
            new_text=self.option if sounds else "",
            engine=self.engine,  # type: ignore[arg-type]
            seconds=self.seconds,
        )


@dataclass(frozen=True, kw_only=True)
class ScriptLine:
    """One line: a clip, its words, what is done with it."""

    id: str
    """Name of the result; unique in a script."""
    file: str
    """The recording; a relative path begins at the script's folder."""
    start: float | None = None
    """With `end`: the clip is these seconds of the recording."""
    end: float | None = None
    words: str = ""
    """In place of seconds: the clip is these words of the recording."""
    text: str = ""
    """The words of the clip; empty: what the recogniser hears."""
    edits: tuple[ScriptEdit, ...] = ()
    fit: float = 0.0
    """Length of the result in seconds; 0: what the edits make of it."""
    seed: int | None = None
    """None takes the seed of the run."""


@dataclass(frozen=True, kw_only=True)
class BrokenLine:
    """A line that cannot be read."""

    id: str
    error: str
    """What is wrong with it, one sentence."""


AnyLine = ScriptLine | BrokenLine


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a line has that does not say otherwise."""

    edits: tuple[ScriptEdit, ...] = ()
    recording: str = ""
    """For SRT, and for lines without a file."""
    fit: float | str = 0.0


def line_of(value: Mapping[str, Any], where: str, defaults: Defaults | None = None) -> ScriptLine:
    """A line from an object with the fields of ScriptLine; `edits` may be a text.

    Raises ValueError, in a sentence, for what is wrong.
    """
    defaults = defaults or Defaults()
    given = {key: entry for key, entry in value.items() if entry not in ("", None)}
    edits = given.get("edits")
    if isinstance(edits, str):
        given["edits"] = edits_of(edits, where)
    elif isinstance(edits, list):
        given["edits"] = [_edit_of(edit, where) for edit in edits]
    elif edits is not None:
        raise ValueError(
            f"{where}.edits is {kind_of_value(edits)}; a list or a text is expected. {REMEDY}"
        )
    given.setdefault("edits", defaults.edits)
    given.setdefault("file", defaults.recording)
    if type(given.get("fit")) in (int, float) and not given["fit"]:
        raise ValueError(
            f"{where} should be 0 s long; more than 0 s are needed. Leave fit empty where it keeps "
            "its length."
        )
    given.setdefault("fit", defaults.fit)
    if given["fit"] == SLOT:
        given["fit"] = _slot(given, where)
    edits = given.pop("edits")
    line = from_json(ScriptLine, given, where, REMEDY, {"fit": (0, 3600), "seed": (0, 2**64 - 1)})
    line = replace(line, edits=tuple(edits))
    _check(line, where)
    return line


def line_from_json(value: Mapping[str, Any]) -> ScriptLine:
    """A line that `asdict` made plain values of, for another process."""
    return from_json(ScriptLine, value, "the line", REMEDY)


def edits_of(text: str, where: str) -> tuple[ScriptEdit, ...]:
    """Edits that are written as a text; see the top of this file."""
    tokens = re.findall(r'(?:"[^"]*"|[^\s;"])+|;|"', text)
    made, part = [], list[str]()
    for token in [*tokens, ";"]:
        if token != ";":
            part.append(token)
        elif part:
            made.append(_edit_of_tokens(part, where))
            part = []
    return tuple(made)


def _edit_of_tokens(tokens: Sequence[str], where: str) -> ScriptEdit:
    named: dict[str, Any] = {}
    name: list[str] = []
    for token in tokens:
        key, equals, value = token.partition("=")
        if not equals or '"' in key or ":" in key:
            name.append(token)
            continue
        if key in named:
            raise ValueError(f"{where} has {quoted(key)} twice in one edit. {REMEDY}")
        value = value.replace('"', "")
        named[key] = value if key in ("words", "engine") else number_of(value, f"{where}: {key}")
        if key == "rounds" and named[key] == int(named[key]):
            named[key] = int(named[key])
    kind, _, option = " ".join(name).partition(":")
    return _edit_of(
        {"kind": kind.strip(), "option": option.replace('"', "").strip(), **named}, where
    )


def _edit_of(value: Any, where: str) -> ScriptEdit:
    """An edit from an object, or from the text of one."""
    if isinstance(value, str):
        made = edits_of(value, where)
        if len(made) != 1:
            raise ValueError(f"{where} has {len(made)} edits in one text; 1 is needed. {REMEDY}")
        return made[0]
    edit = from_json(ScriptEdit, value, f"{where}.edits", REMEDY)
    if edit.kind not in EDITS:
        raise ValueError(
            f"{where} has the edit {quoted(edit.kind)}; allowed are {', '.join(EDITS)}, as "
            f"emotion:happy. {REMEDY}"
        )
    _check_range(edit, where)
    return edit


def is_id(name: str) -> bool:
    """Whether a text can be the id of a line: the name of a file on every system."""
    return NAME.fullmatch(name) is not None and not name.endswith((" ", "."))


def _check(line: ScriptLine, where: str) -> None:
    """Raise ValueError for a line that cannot be made, whatever the model is."""
    if not is_id(line.id):
        raise ValueError(
            f"{where} has the id {quoted(line.id)}; it is the name of a file: letters, digits, "
            "'-', '_', '.' and spaces, at most 100. Change it."
        )
    if not line.file:
        raise ValueError(f"{where} names no file; a recording is needed. Add one.")
    if not line.edits and not line.fit:
        raise ValueError(f"{where} has neither edits nor a length to fit. Add an edit.")
    if len(line.edits) > MOST_EDITS:
        raise ValueError(f"{where} has {len(line.edits)} edits; {MOST_EDITS} are allowed. {REMEDY}")
    _check_range(line, where)
    spans = sorted((e.start, e.end) for e in line.edits if e.start is not None and e.end)
    for (_, end), (start, _) in pairwise(spans):
        check_apart(end, start, where)


def check_apart(end: float, start: float, where: str) -> None:
    """Raise ValueError where a range begins before the one before it ends."""
    if start < end:
        raise ValueError(
            f"{where} has ranges that overlap: one ends at {end:.2f} s, the next begins at "
            f"{start:.2f} s. Move them apart, or edit one range with both in two lines."
        )


def _check_range(part: ScriptLine | ScriptEdit, where: str) -> None:
    """Raise ValueError for half a range, one that runs backwards, and seconds beside words."""
    if (part.start is None) != (part.end is None):
        raise ValueError(f"{where} has a start or an end alone; both are needed. Add the other.")
    if part.start is not None and part.words.strip():
        raise ValueError(f"{where} has a range in seconds and in words; one is needed. {REMEDY}")
    if part.start is not None and part.end is not None and not 0 <= part.start < part.end:
        raise ValueError(
            f"{where} has a range from {part.start:g} to {part.end:g} s; the start is 0 or more "
            f"and before the end. {REMEDY}"
        )


def _slot(given: Mapping[str, Any], where: str) -> float:
    start, end = given.get("start"), given.get("end")
    if not isinstance(start, (int, float)) or not isinstance(end, (int, float)):
        raise ValueError(
            f"{where} should fit its slot and has no start and end. Give the seconds that it "
            "should last."
        )
    if not 0 <= start < end:
        raise ValueError(
            f"{where} should fit its slot from {start:g} to {end:g} s; the start is 0 or more and "
            f"before the end. {REMEDY}"
        )
    return float(end - start)


def number_of(text: str, where: str) -> float:
    """A number that is written as text; ValueError for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{where} is '{shown(text, 40)}'; a number is needed. {REMEDY}")
    return value
