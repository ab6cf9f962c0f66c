"""What one round of nano costs with one and with more torch threads, beside busy processes.

`python -m tools.thread_times` prints a table; each figure is a fresh process, the weights read
before the clock starts. The busy processes count as a training or a browser beside ComfyUI would.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

BUSY = (0, 2, 4)
REPEATS = 2
LOOP = "while True: pass"
ROUND = """
import sys, time, torch
torch.set_num_threads(int(sys.argv[1]))
from stepedit_core import load
from stepedit_core.audio.files import read_clip
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.registry.registry import ASSETS
from stepedit_core.types import EditRequest
bundle = load("nano", device="cpu")
bundle.threads = int(sys.argv[1])
bundle.load_all()
clip = read_clip(ASSETS / "samples/walking_home.wav")
words = (ASSETS / "samples/walking_home.txt").read_text("utf-8").strip()
edit = EditRequest(kind="emotion", option="excited", text=words)
plan = make_plan(bundle, clip, [edit], rounds=1, seed=7)
start = time.perf_counter()
iterate(bundle, clip, plan)
print(time.perf_counter() - start)
"""


def round_seconds(threads: int) -> float:
    """Seconds of one round in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-c", ROUND, str(threads)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> int:
    """Print the table."""
    most = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    write = sys.stdout.write
    write("| busy processes | load | threads | seconds of a round |\n|---|---|---|---|\n")
    for busy in BUSY:
        loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(busy)]
        try:
            time.sleep(1)
            for threads in (1, most):
                times = [round_seconds(threads) for _ in range(REPEATS)]
                shown = ", ".join(f"{seconds:.1f}" for seconds in times)
                write(f"| {busy} | {os.getloadavg()[0]:.1f} | {threads} | {shown} |\n")
                sys.stdout.flush()
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
