"""What lies in the folder of a run before it: an older result, and files of other people.

A file belongs to a result when the report beside it names it with its sha256; whatever else has a
name that a run writes is somebody's own and is never replaced.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..bundle.manifest import sha256_of
from ..files.reading import read_object
from ..files.whole import exchange, hidden, leftovers, sweep, write_whole
from ..printable import shown

REPORT = "report.json"
OURS = re.compile(r"(round_\d+|clone|resynthesized)\.wav|tokens(_\d+)?\.safetensors")
"""Names of the waves and tokens that a run writes."""
REPORT_LIMIT = 2**24
"""Most bytes of a report that are read."""
STAGE = "stepedit"
"""Name in the hidden folder where files lie until they are whole."""
READY = ".ready"
"""Suffix of that folder once it is complete and takes the older result's place."""
REPLACES = "replaces.json"
"""In such a folder: the older files that go, with their digests."""


def settle(folder: Path) -> None:
    """Finish what a killed run had begun here: a whole result arrives, a torn one goes."""
    sweep(folder)
    sweep(folder / REPORT)
    for path in leftovers(folder / STAGE, READY):
        with suppress(OSError, ValueError):
            _arrive(path, folder)
    for path in leftovers(folder / STAGE):
        shutil.rmtree(path, ignore_errors=True)


def own_files(folder: Path) -> dict[str, str]:
    """Name -> sha256 of the files of an older result that are as its report says, and the report.

    Empty where there is no report, or one that is not of StepEdit.
    """
    path = folder / REPORT
    report = _read(path)
    if report is None:
        return {}
    found = {REPORT: sha256_of(path)}
    for name, digest in _named(report):
        file = folder / name
        if OURS.fullmatch(name) and _is_file(file) and sha256_of(file) == digest:
            found[name] = digest
    return found


def check_free(folder: Path, names: Iterable[str], own: Mapping[str, str]) -> None:
    """Raise ValueError for a file that a run would replace and that no run wrote."""
    for name in names:
        if name not in own and os.path.lexists(folder / name):
            raise ValueError(
                f"'{shown(name)}' in '{shown(folder)}' is not as a run of StepEdit wrote it, and "
                "this run would replace it. Move it away, or name another --out."
            )


def check_input(folder: Path, source: Path, names: Iterable[str]) -> None:
    """Raise ValueError for a recording that a run would replace."""
    inside = source.resolve().parent == folder.resolve()
    if inside and (source.resolve().name in names or OURS.fullmatch(source.resolve().name)):
        raise ValueError(
            f"'{shown(source.name)}' lies in --out {shown(folder.name)}, and this run replaces "
            "such files. Name another --out, or move the recording."
        )


def replace_result(stage: Path, folder: Path, own: Mapping[str, str]) -> None:
    """Put the finished files of a folder inside `folder` in the place of the older result.

    Where nothing else lies there the whole folder is exchanged. Else file by file; then a run that
    is killed meanwhile is finished by the next one (`settle`).
    """
    if _alone(folder, stage, own):
        beside = hidden(folder)
        with suppress(OSError):
            os.rename(stage, beside)
            exchange(beside, folder)
            return
        if beside.exists():
            os.rename(beside, stage)
    write_whole(stage / REPLACES, json.dumps(dict(own), allow_nan=False))
    ready = hidden(folder / STAGE, READY)
    os.rename(stage, ready)
    _arrive(ready, folder)


def free_name(folder: Path) -> Path:
    """A name beside the folder that nothing has, for a run that was stopped."""
    for number in range(1, 10_000):
        path = folder.with_name(f"{folder.name}-unfinished{'' if number == 1 else f'-{number}'}")
        if not os.path.lexists(path):
            return path
    raise ValueError(f"'{shown(folder)}' has too many unfinished runs beside it. Remove some.")


def _arrive(ready: Path, folder: Path) -> None:
    """Move complete files in, the report last, after what they replace has gone.

    It may have been begun before: what is done already is passed over.
    """
    own = read_object(ready / REPLACES, REPORT_LIMIT)
    new = {path.name for path in ready.iterdir()} - {REPLACES}
    if REPORT in new:
        (folder / REPORT).unlink(missing_ok=True)
    for name, digest in own.items():
        file = folder / name
        goes = OURS.fullmatch(name) and name not in new and _is_file(file)
        if goes and sha256_of(file) == digest:
            file.unlink()
    for name in sorted(new - {REPORT}):
        os.replace(ready / name, folder / name)
    if REPORT in new:
        os.replace(ready / REPORT, folder / REPORT)
    shutil.rmtree(ready, ignore_errors=True)


def _alone(folder: Path, stage: Path, own: Mapping[str, str]) -> bool:
    """Whether a folder has nothing but an older result, and may be renamed."""
    place = folder.resolve()
    return (
        {path.name for path in folder.iterdir()} == {*own, stage.name}
        and not folder.is_symlink()
        and not os.path.ismount(folder)
        and not Path.cwd().is_relative_to(place)
    )


def _read(path: Path) -> dict[str, Any] | None:
    """A report of StepEdit; None for anything else."""
    try:
        if not _is_file(path):
            return None
        report = read_object(path, REPORT_LIMIT)
    except (OSError, ValueError):
        return None
    if not isinstance(report.get("stepedit"), str):
        return None
    return report


def _named(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The files a report names, with their digests; entries of other shapes are passed over."""
    files = report.get("files")
    pairs = files.items() if isinstance(files, dict) else ()
    return [(name, digest) for name, digest in pairs if isinstance(digest, str)]


def _is_file(path: Path) -> bool:
    """Whether a path is a plain file, not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False
