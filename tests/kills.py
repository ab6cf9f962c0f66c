"""Kills at every change of the disk: a piece of work in a process that dies in the middle."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from typing import Any

EVENTS = ("rename", "replace", "unlink", "fsync", "mkdir", "rmdir", "chmod", "open")


def events(work: Callable[[], None], kill_at: int = -1) -> int:
    """How many changes of the disk work makes; it is killed at the given one, in a process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0
        for name in EVENTS:
            real = getattr(os, name)

            def counted(*given: Any, _real: Any = real, **named: Any) -> Any:
                nonlocal count
                if count == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
                return _real(*given, **named)

            setattr(os, name, counted)
        try:
            work()
            os.write(writing, str(count).encode())
        except BaseException:
            traceback.print_exc()  # pytest shows it where the test fails
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return int(said or -1)
