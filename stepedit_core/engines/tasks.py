"""Independent tasks on several workers: in this process, in fresh processes, or on Ray.

A task is a frozen dataclass of plain values, so any engine can carry it. A worker is made once in
each process by `start`, for example to load a bundle, and is called with one task after another. A
task whose worker is killed is tried again, and after DEATHS of them it has a result of its own, so
that one bad clip never ends a run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from ..printable import shown
from .on_ray import on_ray
from .processes import in_processes

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)
else:
    T = TypeVar("T")
R = TypeVar("R")
Start = Callable[[], Callable[[T], R]]
"""Makes the worker of a process; it can be pickled."""

ENGINES = ("local", "ray")
DEATHS = 3
"""Workers that a task may take with it."""
LOST = (
    f"{DEATHS} workers ended while they made it, killed or out of memory. Run the same command "
    "again, with fewer workers."
)
"""What `lost` says of a task."""


def finished_tasks(
    tasks: Sequence[T],
    start: Start[T, R],
    lost: Callable[[T], R],
    *,
    workers: int = 1,
    engine: str = "local",
    gpus: bool = True,
) -> Generator[tuple[int, R], None, None]:
    """Place in `tasks` and result of each task, as they are finished.

    Args:
        tasks: frozen dataclasses of plain values.
        start: makes a worker; it is called in each process, here with one local worker.
        lost: the result of a task whose workers were killed, DEATHS of them.
        workers: processes; 1 is this process alone with the engine local.
        engine: local or ray.
        gpus: give workers on Ray a GPU each, or a share of one, where there are some.

    Raises ValueError for an unknown engine, for Ray where it is not installed, and what `start`
    raises in a worker.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine '{shown(engine)}' is unknown; allowed are {', '.join(ENGINES)}.")
    if not tasks:
        return
    if engine == "local" and workers <= 1:
        yield from enumerate(map(start(), tasks))
        return
    if engine == "ray":
        made = on_ray(tasks, start, workers, DEATHS, gpus)
    else:
        made = in_processes(tasks, start, workers, DEATHS)
    missing = set(range(len(tasks)))
    for number, result in made:
        missing.discard(number)
        yield number, result
    for number in sorted(missing):
        yield number, lost(tasks[number])


def run_tasks(
    tasks: Sequence[T],
    start: Start[T, R],
    lost: Callable[[T], R],
    *,
    workers: int = 1,
    engine: str = "local",
) -> Iterator[R]:
    """The result of each task in the order of the tasks; else as finished_tasks."""
    early: dict[int, R] = {}
    due = 0
    for number, result in finished_tasks(tasks, start, lost, workers=workers, engine=engine):
        early[number] = result
        while due in early:
            yield early.pop(due)
            due += 1
