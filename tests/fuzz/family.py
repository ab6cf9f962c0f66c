"""What a family of readers is: good files, a read of them, and how they are spoilt."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.changes import Change


@dataclass(frozen=True, kw_only=True)
class Family:
    """The readers of one kind of file."""

    name: str
    make: Callable[[Path], object]
    """Writes good files into an empty folder."""
    read: Callable[[Path], object]
    """Reads all of them, as a command or a node would."""
    drawn: tuple[Callable[[random.Random], Change], ...]
    """Ways to spoil them."""
    named: tuple[Change, ...] = ()
    """Known bad inputs."""
