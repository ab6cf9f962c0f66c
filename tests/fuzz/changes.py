"""What is done to a good file: its bytes torn and turned, its JSON values replaced."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEEP = "[" * 100_000 + "]" * 100_000
ESCAPE = "\x1b[31m\u202e"
NASTY: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**9,
    2**63,
    10**400,
    1e308,
    math.nan,
    -math.inf,
    1.5,
    "",
    "1",
    "\ud800",
    ESCAPE,
    "x" * 100_000,
    [],
    {},
    [-1, 1],
    {"a": None},
)


@dataclass(frozen=True)
class Change:
    """One spoilt input."""

    name: str
    spoil: Callable[[Path], None]
    """Changes the files of a folder."""
    wrong: bool
    """Whether reading it must fail; else it may be meant so."""


def of_bytes(file: str, rng: random.Random, *, wrong: bool = False) -> Change:
    """A file torn, turned, emptied, filled with something else."""
    kinds = ("cut", "flip", "drop", "double", "zeros", "noise", "empty", "text", "head", "folder")
    kind, seed = rng.choice(kinds), rng.random()

    def spoil(folder: Path) -> None:
        path, dice = folder / file, random.Random(seed)
        data = bytearray(path.read_bytes())
        at = dice.randrange(len(data) or 1)
        end = min(len(data), at + 1 + dice.randrange(200))
        if kind == "cut":
            del data[at:]
        elif kind == "flip":
            for _ in range(dice.choice((1, 1, 3, 30))):
                data[dice.randrange(min(len(data), dice.choice((64, 4096, 10**9))))] ^= (
                    1 << dice.randrange(8)
                )
        elif kind == "drop":
            del data[at:end]
        elif kind == "double":
            data[at:at] = data[at:end]
        elif kind == "zeros":
            data[at:end] = bytes(end - at)
        elif kind == "noise":
            data[:] = dice.randbytes(dice.choice((8, 100, 10_000)))
        elif kind == "empty":
            data.clear()
        elif kind == "text":
            data[:] = b"<!DOCTYPE html><html>404</html>\n" * 20
        elif kind == "head":
            data[:8] = dice.randbytes(8)
        path.unlink()
        if kind == "folder":
            path.mkdir()
        else:
            path.write_bytes(data)

    surely = kind in ("noise", "empty", "text", "folder")
    return Change(f"{file} {kind} {seed:.6f}", spoil, wrong or surely)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all values inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in inner:
        yield (*path, key)
        if isinstance(item, (dict, list)):
            yield from places(item, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of a JSON value with another value at a path."""
    made = copy.deepcopy(value)
    inside = made
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = new
    return made


def at(value: Any, path: tuple[Any, ...]) -> Any:
    """The value at a path."""
    for key in path:
        value = value[key]
    return value


def other_kind(old: Any, new: Any) -> bool:
    """Whether a value cannot be what was there: another kind, or no finite number."""
    if isinstance(new, float) and not math.isfinite(new):
        return True
    if isinstance(new, str) and "\ud800" in new:
        return True
    if old is None:
        return False
    if type(old) is float:
        return type(new) not in (int, float) or abs(new) > 1e300
    return type(new) is not type(old)


def of_json(value: Any, rng: random.Random, free: tuple[str, ...] = ()) -> tuple[str, Any, bool]:
    """A name, a changed JSON value, and whether it is wrong for certain.

    Values below a key of `free` may be anything.
    """
    path = rng.choice(list(places(value)))
    old = at(value, path)
    name = ".".join(map(str, path))
    lax = any(str(key) in free for key in path)
    if rng.random() < 0.12 and isinstance(path[-1], str):
        made = replaced(value, path, None)
        del at(made, path[:-1])[path[-1]]
        return f"{name} removed", made, False
    if rng.random() < 0.08 and isinstance(old, dict):
        return f"{name} has another key", replaced(value, path, {**old, "zzz": 1}), False
    new = rng.choice(NASTY)
    same = type(new) is type(old) and new == old
    made = replaced(value, path, new)
    return f"{name} = {str(new)[:20]!a}", made, not same and not lax and other_kind(old, new)


def dumped(value: Any) -> str:
    """JSON as Python writes it, half letters and NaN included."""
    return json.dumps(value, ensure_ascii=True)


def of_json_file(
    file: str, rng: random.Random, free: tuple[str, ...] = (), *, torn: bool = True
) -> Change:
    """A JSON file with one value changed, or, where `torn`, its text spoilt."""
    if torn and rng.random() < 0.1:
        text = rng.choice((DEEP, "null", "[]", "1", '""', "{}", "NaN", "\ufeff{}", '{"a":1,"a":2}'))
        return Change(f"{file} is {text[:12]}", lambda f: _write(f / file, text), True)
    if torn and rng.random() < 0.2:
        return of_bytes(file, rng)
    seed = rng.random()
    found: list[tuple[str, Any, bool]] = []

    def spoil(folder: Path) -> None:
        path = folder / file
        path.write_text(dumped(found[0][1]), encoding="utf-8")

    def plan(folder: Path) -> Change:
        value = json.loads((folder / file).read_text(encoding="utf-8"))
        found.append(of_json(value, random.Random(seed), free))
        return Change(f"{file} {found[0][0]}", spoil, found[0][2])

    return Later(f"{file} {seed}", spoil, False, plan)


@dataclass(frozen=True)
class Later(Change):
    """A change that is chosen when the good files can be seen."""

    plan: Callable[[Path], Change]


def of_lines_file(file: str, rng: random.Random, free: tuple[str, ...] = ()) -> Change:
    """A JSON-lines file with a value of one line changed, a line torn, or its bytes spoilt."""
    if rng.random() < 0.15:
        return of_bytes(file, rng)
    seed = rng.random()

    def plan(folder: Path) -> Change:
        dice = random.Random(seed)
        lines = (folder / file).read_text(encoding="utf-8").split("\n")[:-1]
        number = dice.randrange(len(lines))
        if dice.random() < 0.15:
            new = dice.choice((DEEP, "null", "[]", "1", "{}", "{", lines[0][:-9], "NaN", "\x00"))
            name, wrong = f"line {number} is {new[:12]!a}", True
        else:
            name, value, wrong = of_json(json.loads(lines[number]), dice, free)
            new = dumped(value)
        lines[number] = new
        text = "\n".join(lines) + "\n"
        return Change(f"{file} {name}", lambda f: _write(f / file, text), wrong)

    return Later(f"{file} {seed}", lambda f: None, False, plan)


def named(name: str, spoil: Callable[[Path], None], *, wrong: bool = True) -> Change:
    """One of the known bad inputs."""
    return Change(name, spoil, wrong)


def json_at(file: str, path: tuple[Any, ...], new: Any, *, wrong: bool = True) -> Change:
    """One value of a JSON file replaced."""

    def spoil(folder: Path) -> None:
        value = json.loads((folder / file).read_text(encoding="utf-8"))
        _write(folder / file, dumped(replaced(value, path, new)))

    return Change(f"{file} {'.'.join(map(str, path))} = {str(new)[:20]!a}", spoil, wrong)


def line_at(file: str, number: int, path: tuple[Any, ...], new: Any) -> Change:
    """One value of one line of a JSON-lines file replaced."""

    def spoil(folder: Path) -> None:
        lines = (folder / file).read_text(encoding="utf-8").split("\n")
        lines[number] = dumped(replaced(json.loads(lines[number]), path, new))
        _write(folder / file, "\n".join(lines))

    return Change(f"{file} {number}.{'.'.join(map(str, path))} = {str(new)[:20]!a}", spoil, True)


def text_of(file: str, text: str, *, wrong: bool = True, name: str = "") -> Change:
    """A file with another text."""
    return Change(name or f"{file} = {text[:30]!a}", lambda f: _write(f / file, text), wrong)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
