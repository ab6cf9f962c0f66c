"""The folder of a script: a file for each line, and script.json with what was done.

Every line that was made is known at once, in a journal beside the results, so a run that is killed
resumes; the journal becomes script.json at the end, a line of text for each result. A line has a
key of all that decides its samples: as long as that and its file are the same, the file is not
touched.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from .. import __version__
from ..bundle.manifest import sha256_of
from ..files.lock import Lock
from ..files.reading import parse_object, read_lines, read_object
from ..files.whole import append, hidden, leftovers, ready_folder, write_whole
from ..printable import shown

MANIFEST = "script.json"
JOURNAL = ".script.jsonl"
LIMIT = 2**28
"""Most bytes of a manifest that are read."""
STAGE = "line"
"""Name in the hidden file that becomes a result."""
Entry = dict[str, Any]
"""A line of the manifest."""


class ScriptFolder:
    """Results of lines; use it with `with`: the block is the one writer of the folder."""

    def __init__(self, folder: Path, inputs: Iterable[Path] = ()) -> None:
        """`inputs` are the recordings that the run reads; none of them is replaced."""
        ready_folder(folder)
        self._folder = folder
        self._inputs = {known for path in inputs if (known := _identity(path)) is not None}
        self._lock = Lock(folder)
        try:
            for path in leftovers(folder / STAGE, ".wav"):
                path.unlink(missing_ok=True)
            self._old = _entries(folder)
            self._own: dict[str, set[str]] = {}
            for entry in self._old:
                self._learn(entry)
            self._by_id = {entry["id"]: entry for entry in self._old}
            (folder / JOURNAL).unlink(missing_ok=True)
            if self._old:  # what a killed run had made, before this one begins its own journal
                self._write(self._by_id.values())
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> ScriptFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the next run in; what was made so far is in the journal."""
        self._lock.release()

    def entry(self, name: str) -> Entry:
        """The entry of a line that was made before."""
        return self._by_id[name]

    def older(self, name: str) -> str:
        """What was made of a line before, as JSON: its key, file and digests; empty for nothing.

        "known" are all digests that its file may have, as results of this and older runs; "input"
        says whether this run reads the file.
        """
        entry = self._by_id.get(name, {})
        file = f"{name}.wav"
        value = {
            "key": "" if entry.get("error") else entry.get("key", ""),
            "file": file,
            "sha256": entry.get("sha256", ""),
            "known": sorted(self._own.get(file, ())),
            "input": _identity(self._folder / file) in self._inputs,
        }
        return json.dumps(value, allow_nan=False) if value["known"] else ""

    def add(self, entry: Entry, staged: Path) -> Entry:
        """Take a finished line: its file under its own name, its entry in the journal."""
        entry = {**entry, "sha256": sha256_of(staged)}
        try:
            path = self._folder / entry["file"]
            check_replaced(path, self.older(entry["id"]))
            self._note(entry)  # first: a process killed between the two knows whose the file is
            os.replace(staged, path)
        finally:
            staged.unlink(missing_ok=True)
        return entry

    def add_error(self, name: str, error: str, **facts: Any) -> Entry:
        """Take a line that could not be made; an older result of it stays and stays known."""
        older = self._by_id.get(name, {})
        entry: Entry = {"id": name, **facts, "error": error}
        if older.get("file"):
            entry["older"] = {"file": older["file"], "sha256": older["sha256"]}
        elif older.get("older"):
            entry["older"] = older["older"]
        self._note(entry)
        return entry

    def finish(self, entries: Iterable[Entry], facts: Mapping[str, Any]) -> None:
        """Write the manifest: this run's lines in their order, then those of older scripts."""
        made = {entry["id"]: entry for entry in entries}
        others = [entry for name, entry in self._by_id.items() if name not in made]
        self._write(made.values(), facts, others)
        (self._folder / JOURNAL).unlink(missing_ok=True)

    def _note(self, entry: Entry) -> None:
        append(self._folder / JOURNAL, _json(entry) + "\n")
        self._learn(entry)
        self._by_id[entry["id"]] = entry

    def _learn(self, entry: Entry) -> None:
        for known in (entry, entry.get("older") or {}):
            if known.get("file") and known.get("sha256"):
                self._own.setdefault(known["file"], set()).add(known["sha256"])

    def _write(
        self,
        lines: Iterable[Entry],
        facts: Mapping[str, Any] | None = None,
        others: Iterable[Entry] = (),
    ) -> None:
        head = {"stepedit": __version__, **(facts or {}), "finished": facts is not None}
        parts = [f" {_json(name)}: {_json(value)}" for name, value in head.items()]
        for name, entries in (("lines", lines), ("others", others)):
            rows = ",\n".join(f"  {_json(entry)}" for entry in entries)
            parts.append(f' "{name}": [\n{rows}\n ]' if rows else f' "{name}": []')
        text = "{\n" + ",\n".join(parts) + "\n}\n"
        write_whole(self._folder / MANIFEST, text)


def _json(value: Any) -> str:
    """A value on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def staged_in(folder: Path) -> Path:
    """Where the file of a line is written before it is whole."""
    return hidden(folder / STAGE, ".wav")


def is_as_made(folder: Path, older: Entry, key: str) -> bool:
    """Whether an older result has this key, and its file is as it was."""
    path = folder / str(older["file"])
    same = bool(older["key"]) and older["key"] == key
    return same and path.is_file() and sha256_of(path) == older["sha256"]


def check_replaced(path: Path, older: str) -> None:
    """Raise ValueError where a result would replace an input, or a file that no run wrote.

    `older` as of ScriptFolder.older.
    """
    before = parse_object(older, "an older line") if older else {}
    known = before.get("known", ())
    if before.get("input"):
        raise ValueError(
            f"'{shown(path.name)}' in '{shown(path.parent.name)}' is an input of this run, and "
            "this line would replace it; inputs stay. Give the line another id, or name another "
            "--out."
        )
    if os.path.lexists(path) and (
        path.is_symlink() or not path.is_file() or sha256_of(path) not in known
    ):
        raise ValueError(
            f"'{shown(path.name)}' in '{shown(path.parent.name)}' is not as a run of StepEdit "
            "wrote it, and this line would replace it. Move it away, or name another --out."
        )


def _identity(path: Path) -> tuple[int, int] | None:
    """What two names of one file share; None for no file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _entries(folder: Path) -> list[Entry]:
    """What older runs have made: the manifest, then the journal of one that was killed."""
    found: list[Entry] = []
    path = folder / MANIFEST
    if path.is_file():
        try:
            value = read_object(path, LIMIT)
            for name in ("lines", "others"):
                found += [entry for entry in value[name] if _is_entry(entry)]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"'{shown(path)}' is not a manifest of StepEdit, and this run would replace it. "
                "Move it away, or name another --out."
            ) from error
    journal = folder / JOURNAL
    if journal.is_file():
        for line in read_lines(journal):
            with suppress(ValueError):  # the last one may be torn
                entry = parse_object(line.text, JOURNAL)
                found += [entry] if _is_entry(entry) else []
    return found


def _is_entry(entry: object) -> bool:
    """Whether a value has what an entry is found by."""
    return (
        isinstance(entry, dict)
        and all(isinstance(entry.get(name, ""), str) for name in ("id", "key", "file", "sha256"))
        and "id" in entry
        and "/" not in entry.get("file", "")
        and "\\" not in entry.get("file", "")
    )
