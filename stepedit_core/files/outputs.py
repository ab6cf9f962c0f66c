"""May this path be written? Asked before a run, by every command that names a file or folder.

A command never replaces what it reads, a folder, a pipe or a device, nor a file that StepEdit did
not write. What a single file says of itself decides (`ours`); in a folder of results a hidden file
has the digests of those that were written there.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..printable import shown
from .lock import Lock
from .reading import read_bytes, read_object
from .whole import check_length, ready_folder, write_whole

OWN = ".stepedit.json"
"""In a folder of results: name -> sha256 of the last two files that were written under it."""
SOUNDS = (".wav", ".flac")
REMEDY = "Remove it, or name another folder."
_LARGEST = 2**28
"""Most bytes of a table or a picture."""


def nobody(_: Path) -> bool:
    """For a file that does not say who wrote it."""
    return False


def check_output(
    path: Path,
    inputs: Iterable[str | Path] = (),
    *,
    endings: Sequence[str] = (),
    ours: Callable[[Path], bool] = nobody,
    overwrite: bool = False,
    allowing: str = "add --overwrite",
) -> None:
    """Raise ValueError for a path that a result may not be written to; its folder is made.

    Args:
        path: of the result.
        inputs: what the command reads; a result never takes the place of one of them.
        endings: what its name may end in; none: any.
        ours: whether an existing file is an older result. Asked of plain files only.
        overwrite: replace a file of somebody else.
        allowing: how the caller's user asks for that.
    """
    if endings and path.suffix.lower() not in endings:
        raise ValueError(
            f"'{shown(path.name)}' does not end in {' or '.join(map(shown, endings))}. Rename the "
            "result."
        )
    check_length(path)
    if _there(path):
        check_not_input(path, inputs)
        check_plain(path)
        if not overwrite and not ours(path):
            raise ValueError(
                f"'{shown(path)}' is there and not as StepEdit wrote it, and the result would "
                f"replace it. Name another file, or {shown(allowing)}."
            )
    ready_folder(path.absolute().parent)


def check_not_input(path: Path, inputs: Iterable[str | Path]) -> None:
    """Raise ValueError for a result in the place of one of the files that are read."""
    if any(_same(path, Path(source)) for source in inputs):
        raise ValueError(
            f"'{shown(path)}' is the input; the result needs a file of its own. Rename it."
        )


def check_plain(path: Path) -> None:
    """Raise ValueError for what is not a plain file, or a link to one."""
    try:
        mode = path.stat().st_mode
    except OSError:
        mode = 0
    if stat.S_ISDIR(mode):
        raise ValueError(f"'{shown(path)}' is a folder; the result is one file. Name a file in it.")
    if not stat.S_ISREG(mode):
        kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
        what = next((kind for is_kind, kind in kinds.items() if is_kind(mode)), "a dead link")
        raise ValueError(
            f"'{shown(path)}' is {shown(what)}; the result is a plain file. Name another."
        )


def check_own(folder: Path, names: Iterable[str], inputs: Iterable[str | Path] = ()) -> None:
    """Raise ValueError where one of these files in a folder is not as `write_own` wrote it."""
    inputs = tuple(inputs)
    own = _own(folder)
    for name in names:
        path = folder / name
        if not _there(path):
            continue
        check_not_input(path, inputs)
        check_plain(path)
        if _digest(read_bytes(path, _LARGEST, REMEDY)) not in own.get(name, ()):
            raise ValueError(
                f"'{shown(name)}' in '{shown(folder)}' is not as StepEdit wrote it, and the result "
                "would replace it. Move it away, or name another --out."
            )


def write_own(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files, each whole; the next run knows them as ours, also after a kill in between."""
    own = _own(folder)
    raw = {n: text.encode() if isinstance(text, str) else text for n, text in files.items()}
    known = {name: [*own.get(name, [])[-1:], _digest(data)] for name, data in raw.items()}
    write_whole(folder / OWN, json.dumps(own | known, indent=1, allow_nan=False) + "\n")
    for name, data in raw.items():
        write_whole(folder / name, data)


@contextmanager
def locked_file(path: Path | None) -> Iterator[None]:
    """The right to write one file, for a block; None for a command that writes none.

    The folder of a table, a picture or weights is made, and taken away again where it stays empty.
    That of a recording must be there already, so the command says what is wrong; it also does where
    nothing can be written.
    """
    if path is None:
        yield
        return
    folder, made = path.absolute().parent, False
    if not folder.is_dir() and path.suffix.lower() not in SOUNDS:
        ready_folder(folder)
        made = True
    lock: Lock | None = None
    with suppress(OSError):
        lock = Lock(path, "file")
    try:
        yield
    finally:
        if lock is not None:
            lock.release()
        if made:
            with suppress(OSError):
                folder.rmdir()


def _own(folder: Path) -> dict[str, list[str]]:
    """What `write_own` wrote in a folder; empty where that is not known."""
    path = folder / OWN
    if not _there(path):
        return {}
    try:
        found = read_object(path)
    except (OSError, ValueError):
        return {}
    return {
        name: [digest for digest in digests if isinstance(digest, str)]
        for name, digests in found.items()
        if isinstance(digests, list)
    }


def _there(path: Path) -> bool:
    """Whether anything has this name, a dead link too."""
    return os.path.lexists(path)


def _same(path: Path, source: Path) -> bool:
    """Whether both are one file, under whatever names."""
    try:
        return path.samefile(source)
    except (OSError, ValueError):
        return False


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
