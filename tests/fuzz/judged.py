"""One read in a child process with limits on memory and time, and what came of it.

The child is forked from a process that has the libraries and the material already, so a case costs
milliseconds. Nothing the child does to its memory, its time or its files reaches the next case.
"""

from __future__ import annotations

import linecache
import os
import resource
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple

Outcome = Literal["sentence", "accepted", "silent", "traceback", "foreign", "hang", "out-of-memory"]
OUTCOMES: tuple[Outcome, ...] = (
    "sentence",
    "accepted",
    "silent",
    "traceback",
    "foreign",
    "hang",
    "out-of-memory",
)
"""sentence: our own error. accepted: read, and the input may well be meant. silent: read, though
the input is known to be wrong. foreign: an error of another program's words. traceback: any other
exception, or the death of the process."""
MEMORY_BYTES = 3 * 2**29
"""Address space a read may take beside what the process has."""
CPU_S, WALL_S = 5, 40
LONGEST = 900
"""Characters of a sentence; above it a message repeats what it was fed."""
CORE = Path(__file__).parents[2] / "stepedit_core"
NODES = CORE.parent / "nodes"


class Verdict(NamedTuple):
    """What came of a read, and the words of its error."""

    outcome: Outcome
    words: str


def judge(read: Callable[[], object], *, wrong: bool) -> Verdict:
    """Run `read` in a child; `wrong` says that its input must be refused."""
    here, there = os.pipe()
    child = os.fork()
    if not child:
        os.close(here)
        _in_child(read, there)
    os.close(there)
    said, late = _heard(here)
    if late:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(here)
    if late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        return Verdict("hang", "")
    outcome, _, words = said.partition("\n")
    if outcome not in (*OUTCOMES, "read"):
        return Verdict("traceback", f"the process died, status {status}")
    if outcome == "read":
        return Verdict("silent" if wrong else "accepted", "")
    return Verdict(outcome, words)  # type: ignore[arg-type]


def _heard(pipe: int) -> tuple[str, bool]:
    """All that a child writes, and whether it took too long."""
    until, parts = time.monotonic() + WALL_S, b""
    while True:
        ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return parts.decode(errors="replace"), True
        block = os.read(pipe, 65_536)
        if not block:
            return parts.decode(errors="replace"), False
        parts += block


def _in_child(read: Callable[[], object], pipe: int) -> None:
    """Never returns."""
    outcome, words = "traceback", ""
    try:
        loud = os.memfd_create("stderr")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(loud, 2)
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        room = pages * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        warnings.simplefilter("error")
        try:
            read()
            outcome = "read"
        except BaseException as error:
            outcome, words = outcome_of(error)
        sys.stderr.flush()
        heard = os.pread(loud, 65_536, 0).decode(errors="replace").strip()
        # the decoder of MP3 has no switch for its notes, and writes them about good files too
        heard = "\n".join(line for line in heard.splitlines() if "libmpg123" not in line)
        if heard and outcome in ("read", "sentence"):
            outcome, words = "foreign", f"on the terminal: {heard}"
        os.write(pipe, f"{outcome}\n{words[:2000]}".encode(errors="backslashreplace"))
    finally:
        os._exit(0)


def outcome_of(error: BaseException) -> tuple[Outcome, str]:
    """Whether an error is our own sentence, and its words with where it was raised."""
    text = str(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    words = f"{type(error).__name__} at {where}: {text}"
    low = text.lower()
    if isinstance(error, MemoryError) or "allocate" in low or "bad_alloc" in low:
        return "out-of-memory", words
    if not isinstance(error, (ValueError, OSError)) or isinstance(error, UnicodeError):
        return "traceback", words
    plain = all(letter.isprintable() or letter == "\n" for letter in text)
    ours = raised_by_us(error.__traceback__) and 20 <= len(text) <= LONGEST and plain
    ends = text.rstrip().endswith((".", "?", "`", ")"))
    return ("sentence" if ours and ends else "foreign"), words


def raised_by_us(trace: TracebackType | None) -> bool:
    """Whether the innermost frame is a `raise` in the project's own code."""
    frames = traceback.extract_tb(trace)
    if not frames:
        return False
    last = frames[-1]
    path = Path(last.filename)
    if not (path.is_relative_to(CORE) or path.is_relative_to(NODES)):
        return False
    return linecache.getline(last.filename, last.lineno or 0).strip().startswith("raise")
