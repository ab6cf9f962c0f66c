"""A run without a ComfyUI says so at its end, and fails where CI=true is set."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

ONE = "tests/server/test_graph.py::test_help_and_translations_are_served"


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_a_run_without_a_server_does_not_hide_it(ci: str, code: int) -> None:
    environment = {**os.environ, "COMFYUI_PATH": "nowhere", "CI": ci}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", ONE]
    run = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert "NOT TESTED on a real ComfyUI server: COMFYUI_PATH is nowhere" in run.stdout
    assert run.returncode == code, run.stdout
