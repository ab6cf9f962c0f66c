"""Work of fixed shapes that is captured in a CUDA graph once and then replayed.

NOT SEEN ON A GPU: no machine with one was at hand when this was written. What is proved on a CPU is
the work itself, run as it is (tests/unit/pipelines/test_static_sampling.py); `tools/gpu_check.py`
compares and measures the replay. It is off unless a bundle's `steps` is "static" (decision 0041).
Left to see there: that every operation of a step can be captured, and that warming up leaves no
trace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UP = 3
"""Runs before a capture, in which libraries make what they keep (torch's notes on CUDA graphs)."""


def replayable(work: Callable[[], None], state: Sequence[Tensor]) -> Callable[[], None]:
    """`work`, or on CUDA what replays it; work takes and gives nothing but changes `state`.

    state: what a run reads and the next run needs unchanged; warming up puts it back. Other tensors
    that work writes must be written before they are read.
    """
    return Replayed(work, state) if state[0].device.type == "cuda" else work


class Replayed:
    """A captured piece of work; the first call warms up, captures and runs it."""

    def __init__(self, work: Callable[[], None], state: Sequence[Tensor]) -> None:
        self._work = work
        self._state = tuple(state)
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Run the work once."""
        if self._graph is None:
            self._graph = self._captured()
        self._graph.replay()

    def _captured(self) -> torch.cuda.CUDAGraph:
        kept = [tensor.clone() for tensor in self._state]
        here = torch.cuda.current_stream(self._state[0].device)
        side = torch.cuda.Stream(self._state[0].device)  # type: ignore[no-untyped-call]
        side.wait_stream(here)
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._work()
                for tensor, before in zip(self._state, kept, strict=True):
                    tensor.copy_(before)
        here.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):  # records, runs nothing
            self._work()
        return graph
