"""The short run of the fuzz harness: in a process of its own, because it forks for every input."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import REPOSITORY


def test_every_malformed_input_ends_with_a_sentence_of_ours():
    command = [sys.executable, "-m", "tests.fuzz.run", "--n", "3", "--every", "4", "--list"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "all " in done.stdout
