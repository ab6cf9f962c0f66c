"""Rows of a small network side by side, each on a thread of its own.

A small network runs on one thread (`registry/threads.py`): two threads that share every layer wait
for each other, and on a busy machine for the slower one. Rows that are independent wait once a
call, and their numbers are the same however many run at once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import torch
from torch import Tensor

at_once: ContextVar[int] = ContextVar("at_once", default=1)
"""Rows that may run side by side; `own_threads` sets it where a run leaves threads unused."""


def side_by_side(run: Callable[[int], Tensor], rows: int) -> Tensor:
    """The results (1, ...) of run(0), run(1), ... one after the other in a tensor (rows, ...).

    The first runs on the calling thread. No gradient passes.
    """
    others = min(rows, at_once.get()) - 1
    if others < 1:
        return torch.cat([run(row) for row in range(rows)])
    with ThreadPoolExecutor(others) as pool:
        later = [pool.submit(_without_gradient, run, row) for row in range(1, rows)]
        first = run(0)
        return torch.cat([first, *(row.result() for row in later)])


def _without_gradient(run: Callable[[int], Tensor], row: int) -> Tensor:
    with torch.inference_mode():  # torch keeps this for each thread
        return run(row)
