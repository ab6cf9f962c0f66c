"""What all tests share: one ComfyUI server, and the rule that no test vanishes without a word."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.server.comfyui import Server

REPOSITORY = Path(__file__).resolve().parents[1]
NOT_RUN = pytest.StashKey[dict[str, str]]()
"""What could not be started -> why."""


def not_tested(config: pytest.Config, what: str, why: str) -> None:
    """Have the end of the run say that something real was missing."""
    config.stash.setdefault(NOT_RUN, {})[what] = why


def cannot_run(config: pytest.Config, what: str, why: str) -> None:
    """Leave a test out and say so at the end of the run; with CI=true it fails instead."""
    not_tested(config, what, why)
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(f"no {what}: {why}", pytrace=False)
    pytest.skip(f"no {what}: {why}")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say at the end what was not tried."""
    for what, why in config.stash.get(NOT_RUN, {}).items():
        terminalreporter.write_line(f"NOT TESTED on a real {what}: {why}", red=True, bold=True)


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Server]:
    """A running ComfyUI with the pack and, in its models folder, the tiny bundle."""
    from tests.server.comfyui import NoServer, Server
    from tests.server.material import PROBE, SETTINGS, write_ears, write_speech
    from tests.tiny_bundle import write as write_bundle

    base = tmp_path_factory.mktemp("comfyui")
    write_bundle(base / "models" / "step_audio_editx")
    write_speech(base / "input" / "speech.wav")
    write_ears(base / "models" / "step_audio_editx" / "recognisers" / "ears")
    settings = base / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(SETTINGS)
    running = Server(base, extra_packs=(PROBE,))
    try:
        running.start()
    except NoServer as reason:
        cannot_run(request.config, "ComfyUI server", str(reason))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def infos(server: Server) -> dict[str, Any]:
    """All of /object_info."""
    found: dict[str, Any] = server.get("/object_info")
    return found
