"""What the command shows: a progress bar on stderr and tables as text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from time import perf_counter
from types import TracebackType

from ..printable import printable

WIDTH = 24
"""Characters of the bar."""
PAUSE_S = 0.1
"""Least time between two drawings."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned with two spaces between; numbers to the right, cells printable."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    right = [all(_number(row[i]) for row in rows) for i in range(len(head))]
    lines = []
    for row in (head, *rows):
        cells = [
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _number(text: str) -> bool:
    return text == "-" or text.replace(".", "", 1).isdigit()


class Bar:
    """Hooks that draw one line on stderr, only when that is a terminal.

    `rounds` is 0 where none are counted.
    """

    def __init__(self, rounds: int = 0) -> None:
        self._rounds = rounds
        self._round = 0
        self._shown = sys.stderr.isatty()
        self._last = 0.0

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the bar."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def finished(self) -> None:
        """Count a finished round; round 0 is the input."""
        self._round += 1

    def progress(self, stage: str, done: int, total: int) -> None:
        """Draw `done` of about `total` units of `stage`."""
        now = perf_counter()
        if not self._shown or (done < total and now - self._last < PAUSE_S):
            return
        self._last = now
        full = WIDTH * min(done, total) // max(total, 1)
        where = f"round {max(self._round, 1)}/{self._rounds}  " if self._rounds else ""
        bar = "#" * full + "." * (WIDTH - full)
        sys.stderr.write(f"\r\x1b[K{where}{stage:9s} [{bar}] {done}/{total}")
        sys.stderr.flush()

    def check(self) -> None:
        """Ctrl-C arrives as KeyboardInterrupt by itself."""
