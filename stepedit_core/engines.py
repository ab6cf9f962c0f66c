"""Independent tasks on several workers: in this process, in fresh processes, or on Ray.

A task is a frozen dataclass of plain values, so any engine can carry it. A worker is made once in
each process by `start`, for example to load a bundle, and is called with one task after another.
Results arrive in the order of the tasks with every engine.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, TypeVar

from .files.missing import pip_line
from .printable import shown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from .registry.handle import Bundle

    T = TypeVar("T", bound=DataclassInstance)
else:
    T = TypeVar("T")
R = TypeVar("R")
Start = Callable[[], Callable[[T], R]]
"""Makes the worker of a process; it can be pickled."""

ENGINES = ("local", "ray")
RAY_BLOCK = 4
"""Tasks that Ray moves at a time."""
AHEAD = 4
"""Tasks a worker that wait in a pool of processes."""


@dataclass(frozen=True, kw_only=True)
class WorkerSetting:
    """Bundle and threads of a worker."""

    bundle: str = "nano"
    folders: tuple[str, ...] = field(default_factory=tuple)
    """Where the registry also looks for the bundle."""
    device: str = "cpu"
    threads: int = 1
    """Threads of torch in each worker; 0 leaves them as they are."""

    def load(self) -> Bundle:
        """The bundle, with the threads set for this process."""
        import torch

        from .registry.registry import Registry

        if self.threads:
            torch.set_num_threads(self.threads)
        return Registry(self.folders).load(self.bundle, device=self.device)


def run_tasks(
    tasks: Sequence[T], start: Start[T, R], *, workers: int = 1, engine: str = "local"
) -> Iterator[R]:
    """The result of each task, in the order of the tasks.

    Args:
        tasks: frozen dataclasses of plain values.
        start: makes a worker; it is called in each process, here with one local worker.
        workers: processes; 1 is this process alone with the engine local.
        engine: local or ray.

    Raises ValueError for an unknown engine and for Ray where it is not installed.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine '{shown(engine)}' is unknown; allowed are {', '.join(ENGINES)}.")
    if not tasks:
        return iter(())
    if engine == "ray":
        return _with_ray(tasks, start, workers)
    if workers <= 1:
        return map(start(), tasks)
    return _with_processes(tasks, start, workers)


_worker: Callable[[Any], Any] | None = None
"""The worker of a pool's process; set by its initialiser there, never in the main process."""


def _start(start: Start[Any, Any], parent: int) -> None:
    global _worker  # noqa: PLW0603 - a pool's initialiser has no other place
    _worker = start()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: a killed parent cannot tell its workers."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _work(task: Any) -> Any:
    assert _worker is not None
    return _worker(task)


def _with_processes(tasks: Iterable[T], start: Start[T, R], workers: int) -> Iterator[R]:
    """Fresh processes, each with a worker of its own; a few tasks ahead of the reader."""
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_start, initargs=(start, os.getpid())
    )
    waiting: deque[Future[R]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(_work, task))
            if len(waiting) >= AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _with_ray(tasks: Sequence[T], start: Start[T, R], workers: int) -> Iterator[R]:
    """The same worker as an actor pool of Ray Data; rows arrive in the order of the tasks.

    Ray passes whole blocks on, so blocks are small: a kill costs what is inside them.
    """
    try:
        import ray.data
    except ImportError as error:
        raise ValueError(
            f"the engine ray is not installed. Run `{pip_line('ray[data]')}`, or use the "
            "engine local."
        ) from error
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    blocks = -(-len(tasks) // RAY_BLOCK)
    rows = ray.data.from_items([asdict(task) for task in tasks], override_num_blocks=blocks)
    pool = ray.data.ActorPoolStrategy(size=max(1, workers))
    results = rows.map(RayWorker, fn_constructor_args=(start, type(tasks[0])), compute=pool)
    return (row["result"] for row in results.iter_rows())


class RayWorker:
    """A worker in the shape that Ray Data calls: a row in, a row out."""

    def __init__(self, start: Start[Any, Any], kind: type[Any]) -> None:
        self._worker, self._kind = start(), kind

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Fields of a task to {"result": ...}."""
        return {"result": self._worker(self._kind(**row))}
