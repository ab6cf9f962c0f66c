"""Tasks and workers for the tests of engines: other processes import them from here."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Count:
    """A task: what to do, and where to note that it was begun."""

    number: int
    what: str = ""
    notes: str = ""


@dataclass(frozen=True)
class Made:
    """A result."""

    number: int
    by: int


def start() -> Callable[[Count], Made]:
    return work


def broken() -> Callable[[Count], Made]:
    raise ValueError("no bundle 'é'; installed are none. Put one there.")


def lost(task: Count) -> Made:
    return Made(task.number, -1)


def work(task: Count) -> Made:
    """Do what a task says; "once" kills its process the first time only."""
    begun = 0
    if task.notes:
        begun = len(list(Path(task.notes).glob(f"{task.number}.*")))
        Path(task.notes, f"{task.number}.{begun}").write_text(str(os.getpid()), "utf-8")
    if task.what == "kill" or (task.what == "once" and not begun):
        os.kill(os.getpid(), signal.SIGKILL)
    if task.what == "slow":
        time.sleep(0.3)
    if task.what == "hang":
        time.sleep(600)
    if task.what == "bug":
        raise KeyError("x")
    return Made(task.number, os.getpid())
