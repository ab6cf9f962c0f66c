"""What all tests share: the rule that a server or browser test never vanishes without a word."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
NOT_RUN = pytest.StashKey[dict[str, str]]()
"""What could not be started -> why."""


def cannot_run(config: pytest.Config, what: str, why: str) -> None:
    """Leave a test out and say so at the end of the run; with CI=true it fails instead."""
    config.stash.setdefault(NOT_RUN, {})[what] = why
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(f"no {what}: {why}", pytrace=False)
    pytest.skip(f"no {what}: {why}")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say at the end what was not tried."""
    for what, why in config.stash.get(NOT_RUN, {}).items():
        terminalreporter.write_line(f"NOT TESTED on a real {what}: {why}", red=True, bold=True)
