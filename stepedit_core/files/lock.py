"""One writer in a folder at a time: two runs never mix their files.

The lock is the operating system's (flock, on Windows a locked byte), on a hidden file beside the
folder, so it ends with the process that took it, however that ends: a file that a killed process
left does not block. A file system that knows no locks, as some network drives, has none.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..printable import shown

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".lock"
_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


class Lock:
    """The right to write to a folder, from its making until `release`, or until it is dropped.

    Raises ValueError where another run has it.
    """

    def __init__(self, folder: str | Path, what: str = "folder") -> None:
        self._handle, self._what = -1, what
        place = Path(os.path.abspath(folder))
        beside = place.with_name(f".{place.name}{SUFFIX}")
        try:
            self._take(beside, place)
        except PermissionError:  # the folder may be written to and its parent not
            self._take(place / SUFFIX, place)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            self._take(place / SUFFIX, place)

    def _take(self, path: Path, folder: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        while True:
            handle = os.open(path, flags, 0o666)
            try:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise ValueError(
                        f"'{shown(path)}' is not a plain file; the lock of a run belongs there. "
                        "Remove it."
                    )
                _lock(handle)
                if _is(path, handle):
                    break
            except _TakenError:
                owner = _written(handle)
                os.close(handle)
                raise ValueError(
                    f"another run{owner} is writing to '{shown(folder.name)}'; one at a time "
                    f"can. Wait until it has ended, or name another {shown(self._what)}."
                ) from None
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)  # its last owner has just removed it
        with suppress(OSError):  # for the sentence alone
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
        self._handle, self._path = handle, path

    def release(self) -> None:
        """Let the next run in; nothing is left on the disk."""
        if self._handle < 0:
            return
        with suppress(OSError):  # Windows removes no open file
            self._path.unlink()
        os.close(self._handle)
        self._handle = -1
        with suppress(OSError):
            if fcntl is None:
                self._path.unlink(missing_ok=True)

    def __del__(self) -> None:
        """A run that was dropped without an end, for example by an error."""
        with suppress(OSError):
            self.release()


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """The right to write to a folder, for a block."""
    lock = Lock(folder)
    try:
        yield
    finally:
        lock.release()


class _TakenError(Exception):
    """Another process, or another place in this one, has the lock."""


def _lock(handle: int) -> None:
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            _lock_on_windows(handle)
    except OSError as error:
        if error.errno in _TAKEN:
            raise _TakenError from error
        if error.errno not in _NO_LOCKS:
            raise


def _lock_on_windows(handle: int) -> None:
    import msvcrt

    os.lseek(handle, 1 << 20, os.SEEK_SET)  # past the number, which others may read
    msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    os.lseek(handle, 0, os.SEEK_SET)


def _is(path: Path, handle: int) -> bool:
    """Whether a path still is the open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except OSError:
        return False


def _written(handle: int) -> str:
    """What a lock says of its owner."""
    with suppress(OSError):
        os.lseek(handle, 0, os.SEEK_SET)
        number = os.read(handle, 20)
        if number.isdigit():
            return f" (process {number.decode()})"
    return ""
