"""`python -m stepedit_core` and `stepedit`: the command; Ctrl-C ends it quietly."""

import os
import signal
import sys
from typing import Any

STOPPED = 130
CACHES = {"LRU_CACHE_CAPACITY": "64", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64"}
"""How many products torch's libraries keep ready, each for one length of sound. A thousand of each,
their own choice, took 1 GB in an hour of pieces; this is more than a round uses again."""


def _stop(*_: Any) -> None:
    """Before the command is read there is nothing to keep; a traceback would say less."""
    os.write(2, b"stepedit: stopped.\n")
    os._exit(STOPPED)


def run() -> None:
    """Run the command of this process and end with its exit code."""
    before = signal.getsignal(signal.SIGINT)
    ours = before is signal.default_int_handler  # else a shell has it ignored, in the background
    if ours:
        signal.signal(signal.SIGINT, _stop)
    for name, most in CACHES.items():  # read once, when torch multiplies for the first time
        os.environ.setdefault(name, most)
    from .cli import main

    if ours:
        signal.signal(signal.SIGINT, before)
    code = main()
    if ours:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # done: only the interpreter is to end
    sys.exit(code)


if __name__ == "__main__":
    run()
