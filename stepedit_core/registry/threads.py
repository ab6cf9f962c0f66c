"""How many threads of the processor a run takes: one for a small model, torch's number else.

Two threads on a busy machine wait for each other in every layer; the layers of a small model are
over sooner than that. One thread also sums in one order, so an equal seed gives equal samples
whatever the machine has. decision 0025 says what was measured.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from ..models.rows import at_once
from ..printable import shown

if TYPE_CHECKING:
    from .handle import Bundle

SMALL_WIDTH = 1024
"""Largest width of a language model that counts as small; nano has 384, the release 3072."""

log = logging.getLogger(__name__)


def threads_of(bundle: Bundle) -> int:
    """Threads that a run of this bundle takes: `bundle.threads`, else by size and device."""
    if bundle.threads:
        return bundle.threads
    width = getattr(bundle.manifest.components.get("llm"), "hidden_size", SMALL_WIDTH + 1)
    small = bundle.device.type == "cpu" and width <= SMALL_WIDTH
    return 1 if small else torch.get_num_threads()


@contextmanager
def own_threads(bundle: Bundle) -> Iterator[None]:
    """Run with the bundle's number of threads; torch's own is set back, others may rely on it.

    Where one is chosen for its size, rows of a network may run on the rest.
    """
    before, chosen = torch.get_num_threads(), threads_of(bundle)
    if chosen == before:
        yield
        return
    bundle.once("threads", lambda: _said(bundle, chosen, before))
    torch.set_num_threads(chosen)
    spare = at_once.set(1 if bundle.threads else max(1, before // chosen))
    try:
        yield
    finally:
        at_once.reset(spare)
        torch.set_num_threads(before)


def _said(bundle: Bundle, chosen: int, before: int) -> int:
    log.info(
        "StepEdit: %s runs on %d of torch's %d threads",
        shown(bundle.name),
        int(chosen),
        int(before),
    )
    return chosen
