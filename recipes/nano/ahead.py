"""Batches made ahead by other processes, for a device that learns faster than one core can draw.

A batch depends on its step alone, so any process may draw it, and a run with `--ahead` sees what
one without it sees. The corpus must be finished: each process has its own view of it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import count
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def to_device(value: Any, device: torch.device) -> Any:
    """Tensors of a nest of tuples, lists, mappings and dataclasses, on the device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: to_device(part, device) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_device(part, device) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: to_device(getattr(value, f.name), device) for f in fields(value)}
        return replace(value, **parts)
    return value


def _draw(draw: Callable[[int], Any], first: int, stride: int, end: Connection) -> None:
    """Body of a process: batches of every `stride`-th step, each when the one before is taken."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a training saves at it; this one just ends
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        for step in count(first, stride):
            end.send_bytes(pickle.dumps(draw(step)))


def drawn_ahead(draw: Callable[[int], T], first: int, processes: int) -> Iterator[T]:
    """draw(first), draw(first + 1), ... without end, by so many processes; 0 draws here.

    Each process keeps one batch ready. Needs `fork`.
    """
    if not processes:
        yield from map(draw, count(first))
    fork = multiprocessing.get_context("fork")
    workers, ends = [], []
    for k in range(processes):
        here, there = fork.Pipe(duplex=False)
        worker = fork.Process(target=_draw, args=(draw, first + k, processes, there), daemon=True)
        worker.start()
        there.close()
        workers.append(worker)
        ends.append(here)
    try:
        for step in count():
            yield pickle.loads(ends[step % processes].recv_bytes())
    finally:
        for worker in workers:
            worker.kill()  # it may not have come to its own handler yet
            worker.join()
