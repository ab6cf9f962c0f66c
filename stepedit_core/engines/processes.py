"""Fresh processes of this machine, each with a worker of its own and one task at a time.

A process that is killed takes one task with it, and it is known which. Ctrl-C is for the process
that started them: it ends them at once.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from ..files.reading import said_of
from ..printable import shown

CONTEXT = get_context("spawn")
log = logging.getLogger(__name__)


def in_processes(
    tasks: Sequence[Any], start: Callable[[], Callable[[Any], Any]], workers: int, deaths: int
) -> Iterator[tuple[int, Any]]:
    """Number and result of each task as they are finished; of lost ones there is none.

    Raises what a worker raises.
    """
    waiting = deque(range(len(tasks)))
    died = [0] * len(tasks)
    pool = [_Process(start) for _ in range(min(workers, len(tasks)))]
    try:
        for one in pool:
            one.give(waiting, tasks)
        while busy := {one.pipe: one for one in pool if one.number is not None}:
            for pipe in wait(list(busy)):
                one = busy[pipe]  # type: ignore[index]
                number, answer = one.take()
                if answer is not None:
                    one.give(waiting, tasks)
                    yield number, result_of(answer)
                    continue
                died[number] += 1
                if died[number] < deaths:
                    waiting.appendleft(number)
                if waiting:
                    pool[pool.index(one)] = new = _Process(start)
                    new.give(waiting, tasks)
    finally:
        for one in pool:
            one.end()


class _Process:
    """One process and the task that it has."""

    def __init__(self, start: Callable[[], Callable[[Any], Any]]) -> None:
        self.pipe, theirs = CONTEXT.Pipe()
        self.number: int | None = None
        self._process = CONTEXT.Process(
            target=_serve, args=(theirs, start, os.getpid()), daemon=True
        )
        self._process.start()
        theirs.close()

    def give(self, waiting: deque[int], tasks: Sequence[Any]) -> None:
        """The next task that waits, if any."""
        self.number = waiting.popleft() if waiting else None
        if self.number is not None:
            with suppress(OSError):  # it has died: known by `take`
                self.pipe.send(tasks[self.number])

    def take(self) -> tuple[int, tuple[bool, Any] | None]:
        """The number of the task, and its answer; None where the process has died."""
        number, self.number = self.number, None
        assert number is not None
        try:
            return number, self.pipe.recv()
        except (EOFError, OSError):
            self.end()
            return number, None

    def end(self) -> None:
        """End the process now."""
        self._process.kill()
        self._process.join()
        self.pipe.close()


def answer_of(make: Callable[[], Any]) -> tuple[bool, Any]:
    """What a worker makes: True and the result, or False and the words of its error.

    Errors travel as words: many of them cannot be pickled.
    """
    try:
        return True, make()
    except (ValueError, OSError) as error:
        return False, (said_of(error), "")
    except Exception as error:
        return False, (f"{type(error).__name__}: {shown(error, 600)}", traceback.format_exc())


def result_of(answer: tuple[bool, Any]) -> Any:
    """The result of an answer; the error of one is raised here."""
    good, value = answer
    if good:
        return value
    sentence, trace = value
    if trace:
        log.error("%s", shown(trace, 4000))
        raise RuntimeError(sentence)
    raise ValueError(sentence)


def _serve(pipe: Connection, start: Callable[[], Callable[[Any], Any]], parent: int) -> None:
    """A process: makes its worker with the first task, then one answer a task."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    worker: list[Callable[[Any], Any]] = []

    def make(task: Any) -> Any:
        if not worker:
            worker.append(start())
        return worker[0](task)

    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(answer_of(partial(make, task)))


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: a killed parent cannot tell its workers."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
