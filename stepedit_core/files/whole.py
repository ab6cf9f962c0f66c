"""Files and folders that are on the disk whole or not at all: the one writer of the project.

A file is written under a hidden temporary name beside its place, brought to the disk and renamed.
A folder is built as a hidden sibling; the older one steps aside under a hidden name first, and a
process that is killed between the two renames has it put back by `restore`, which the next writer
and the list of models call. Rights follow the process's umask; a link that lies at a temporary name
is never followed. What a killed process left is removed by the next one that writes to that place.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..printable import shown
from .lock import locked

_PART, _ASIDE = ".part", ".aside"
_WINDOWS = os.name == "nt"
_DAY_S = 86_400
LONGEST_NAME = 200
"""Most bytes of the name of a result: the hidden names beside it are longer, and a disk has 255."""
_FULL = ("No space left on device", "os error 28)", "os error 112)")
"""How writers in other languages say it (safetensors), on Linux and on Windows."""

_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)
_ROOM = (errno.ENOSPC, errno.EDQUOT)
_BROKEN = (errno.EIO, errno.ENXIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN)
UNWRITABLE = (
    "the folder '{}' cannot be written to (its rights, or a read-only disk). Name a place that you "
    "may write to."
)


class DiskFullError(OSError):
    """The disk has no room for a file; the text is one sentence."""


class UnwritableError(OSError):
    """A place that cannot be written to; the text is one sentence."""


@contextmanager
def whole_file(path: str | Path, *, size: int | None = None) -> Iterator[Path]:
    """Give the temporary path to write to; the file has its own name once the block has ended.

    `size` in bytes, where it is known before, is named when the disk is full. Raises DiskFullError;
    any error leaves an older file of that name as it was.
    """
    target = Path(path)
    sweep(target)
    part = target.with_name(_hidden_name(target.name, _PART))
    with full_disk_said(target, size, part):
        # a new file of our own: an existing name, a link too, is refused
        handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    mode = os.fstat(handle).st_mode & 0o777
    os.close(handle)
    try:
        with full_disk_said(target, size, part):
            yield part
            _to_disk(part)
            os.chmod(part, mode)  # a writer may have made the file anew, for its owner alone
            os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: str | Path, data: str | bytes) -> None:
    """Write a text (UTF-8) or bytes as a whole file."""
    raw = data.encode("utf-8") if isinstance(data, str) else data
    with whole_file(path, size=len(raw)) as part:
        part.write_bytes(raw)


def append(path: str | Path, text: str) -> None:
    """Add lines to a file and bring them to the disk; on a full disk it is as it was before.

    A new file appears whole, so none that a kill left is empty. Raises ValueError for what is not a
    plain file, a link too.
    """
    target, raw = Path(path), text.encode("utf-8")
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if not os.path.lexists(target):
        write_whole(target, raw)
        return
    with full_disk_said(target, len(raw)):
        if not stat.S_ISREG(target.lstat().st_mode):
            raise ValueError(
                f"'{shown(target)}' is not a plain file, and lines go there. Remove it."
            )
        with os.fdopen(os.open(target, flags, 0o666), "ab") as file:
            size = os.fstat(file.fileno()).st_size
            try:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), size)
                raise


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Give a hidden folder to fill; it takes the place of `path` once the block has ended.

    Any error leaves an older folder as it was. Raises ValueError while another process writes it.
    """
    target = Path(path)
    part = target.with_name(_hidden_name(target.name, _PART))
    with full_disk_said(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target):
        with full_disk_said(target):
            sweep(target)
            part.mkdir()
        try:
            with full_disk_said(target, growing=part):
                yield part
                if target.exists():
                    exchange(part, target)
                else:
                    os.rename(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def exchange(new: Path, old: Path) -> None:
    """Put a finished folder in the place of an older one and remove that."""
    aside = old.with_name(_hidden_name(old.name, _ASIDE))
    os.rename(old, aside)
    try:
        os.rename(new, old)
    except OSError:
        os.rename(aside, old)
        raise
    _remove(aside)


def restore(folder: Path) -> None:
    """Put back what killed processes left aside in a folder: their place is empty, they are whole.

    Where the place is taken, the new folder had arrived, and what lay aside is removed.
    """
    for path, name in _left(folder, r"(.+)", _ASIDE):
        with suppress(OSError):
            if (folder / name).exists():
                _remove(path)
            else:
                os.rename(path, folder / name)


def check_length(path: Path) -> None:
    """Raise ValueError for a name that leaves no room for the hidden ones beside it."""
    size = len(os.fsencode(path.name))
    if size > LONGEST_NAME:
        raise ValueError(
            f"the name '{shown(path.name, 40)}' has {size} bytes; {LONGEST_NAME} are allowed. "
            "Shorten it."
        )


def ready_folder(folder: str | Path) -> None:
    """Make a folder, and see that files can be written there.

    Raises ValueError, in a sentence, before a long run has begun.
    """
    place = Path(folder)
    check_length(place)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next((p for p in (place, *place.parents) if os.path.lexists(p)), place)
        raise ValueError(
            f"'{shown(file)}' is a file; expected is a folder. Name another place."
        ) from None
    except OSError as error:
        raise ValueError(
            f"the folder '{shown(place)}' cannot be made ({error.strerror}). Name a place that "
            "you may write to."
        ) from error
    if not os.access(place, os.W_OK | os.X_OK):
        raise ValueError(UNWRITABLE.format(shown(place)))
    sweep(place / "trial")  # of a run that was killed here
    trial = hidden(place / "trial")  # rights are not all: nobody makes a file in /proc
    try:
        os.close(os.open(trial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        trial.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in _ROOM:  # a full disk is said with the bytes that are needed
            raise ValueError(UNWRITABLE.format(shown(place))) from error


def hidden(target: Path, suffix: str = _PART) -> Path:
    """A hidden path beside `target` that no other process has; the number of this one is in it."""
    return target.with_name(_hidden_name(target.name, suffix))


def leftovers(target: Path, suffix: str = _PART) -> list[Path]:
    """Hidden paths of `hidden` whose process has ended."""
    return [path for path, _ in _left(target.parent, f"({re.escape(target.name)})", suffix)]


@contextmanager
def full_disk_said(
    target: Path, size: int | None = None, growing: Path | None = None
) -> Iterator[None]:
    """Turn what the system or a library says of a full, closed or broken disk into a sentence.

    `growing` is what is removed after an error; its bytes are counted as free.
    """
    try:
        yield
    except Exception as error:
        if _is_refused(error, target.parent):
            raise UnwritableError(UNWRITABLE.format(shown(_visible(target.parent)))) from error
        if isinstance(error, OSError) and error.errno in _BROKEN:
            raise UnwritableError(
                f"'{shown(target.name)}' cannot be written ({error.strerror}). Check the disk of "
                f"'{shown(_visible(target.parent))}', or name another place."
            ) from error
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            raise UnwritableError(
                f"'{shown(target.name)}' would be larger than a file may be in "
                f"'{shown(_visible(target.parent))}'. Raise the limit (that of `ulimit -f`, or of "
                "the disk), or name another place."
            ) from error
        free = _free(target.parent)
        full = _means_full(error, free)
        if not full and isinstance(error, OSError) and _is_hidden(error, target):
            place = _visible(target.parent) / target.name
            raise UnwritableError(
                f"'{shown(place)}' cannot be written ({error.strerror}). Name a place that you may "
                "write to."
            ) from error
        if not full:
            raise
        room = _size_said(free + _taken(growing))
        folder = _visible(target.parent)
        said = (
            f"{room} free in '{shown(folder)}'"
            if size is None
            else f"{_size_said(size)} needed in '{shown(folder)}', {room} free"
        )
        raise DiskFullError(f"disk full: {shown(said)}. Free space, then run again.") from error


def _is_refused(error: Exception, folder: Path) -> bool:
    """Whether an error says that nothing may be written to a folder."""
    if not isinstance(error, OSError) or error.errno not in _REFUSED or not error.filename:
        return False
    return Path(os.path.abspath(folder)) in Path(os.path.abspath(error.filename)).parents


def _is_hidden(error: OSError, target: Path) -> bool:
    """Whether an error names the hidden file of `target`, which its user does not know."""
    if isinstance(error, FileExistsError) or not isinstance(error.filename, str):
        return False
    name = Path(error.filename).name
    return name.startswith(f".{target.name}.") and name.endswith(_PART)


def _means_full(error: Exception, free: int) -> bool:
    """Whether an error is a full disk's; safetensors and torch.save raise errors of their own."""
    if isinstance(error, OSError):
        return error.errno in _ROOM
    text = str(error)
    # torch.save only says at which byte its file ended
    return any(said in text for said in _FULL) or ("inline_container" in text and free < 2**20)


def _visible(folder: Path) -> Path:
    """The folder as its user knows it: not the hidden one that a folder is built in."""
    while folder.name.startswith(".") and folder.suffix == _PART:
        folder = folder.parent
    return folder


def _hidden_name(name: str, suffix: str) -> str:
    """A hidden name that no other process has; it ends in the number of this one."""
    return f".{name}.{secrets.token_hex(4)}.{os.getpid()}{suffix}"


def _left(folder: Path, name: str, suffix: str) -> list[tuple[Path, str]]:
    """Hidden paths that dead processes left, and the names they were for; name is a pattern."""
    pattern = re.compile(rf"\.{name}\.[0-9a-f]{{8}}\.(\d+){re.escape(suffix)}")
    found = []
    with suppress(OSError):
        for entry in os.scandir(folder):
            match = pattern.fullmatch(entry.name)
            if match is not None and _is_left(Path(entry.path), int(match[2])):
                found.append((Path(entry.path), match[1]))
    return found


def sweep(target: Path) -> None:
    """Remove or put back what killed processes left of this name."""
    restore(target.parent)
    for path in leftovers(target):
        _remove(path)


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder; what cannot be removed stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _is_left(path: Path, process: int) -> bool:
    """Whether the process that made a temporary path has ended."""
    if not _WINDOWS:
        return not _alive(process)
    # os.kill(process, 0) asks on POSIX and sends Ctrl+C on Windows: there the age decides
    if path.suffix == _ASIDE:
        return True
    with suppress(OSError):
        return time.time() - path.lstat().st_mtime > _DAY_S
    return False


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)  # Windows syncs no file that is open for reading only
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def _taken(path: Path | None) -> int:
    """Bytes of a file, or of the files in a folder."""
    if path is None:
        return 0
    with suppress(OSError):
        files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
        return sum(p.stat().st_size for p in files)
    return 0


def _size_said(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} KB"
