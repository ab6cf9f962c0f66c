"""One ComfyUI server for all tests of the session, with the tiny bundle in its models folder."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import REPOSITORY, cannot_run
from tests.server.comfyui import NoServer, Server
from tests.tiny_bundle import write as write_bundle

PROBE = Path(__file__).parent / "probe_pack"
RATE = 24_000
SETTINGS = (
    '{"Comfy.TutorialCompleted": true, "Comfy.Locale": "en", "Comfy.Graph.CanvasInfo": false}'
)
"""Of the browser: no welcome dialog, English, no frame counter."""
WORDS = "hello good morning world"
"""Transcript given for the made-up clip; the tiny bundle cannot tell the difference."""


def write_speech(path: Path, seconds: float = 2.0) -> Path:
    """A 16-bit mono clip of syllables on a 130 Hz tone."""
    t = np.arange(int(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 20))
    samples = 0.2 * tone * np.abs(np.sin(np.pi * t / 0.2))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Server]:
    """The running server."""
    base = tmp_path_factory.mktemp("comfyui")
    write_bundle(base / "models" / "step_audio_editx")
    write_speech(base / "input" / "speech.wav")
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


__all__ = ["REPOSITORY", "WORDS"]
