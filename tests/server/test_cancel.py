"""Cancel pressed inside each stage of a running ComfyUI, on networks that take seconds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.server.comfyui import PATIENCE, Server
from tools.cancel_times import SLOW, STAGES, pressed, stage_graph, write_clips, write_slow

pytestmark = pytest.mark.server
AFTER = {"vocode": 0.3, "margin score": 0.1}
"""Seconds from the start of a node to Cancel; 0.6 for the others, to be inside a network."""


@pytest.fixture(scope="module")
def slow(server: Server) -> Iterator[str]:
    """Name of a bundle with slow networks, whose weights are read."""
    folder = server.base / "models" / "step_audio_editx"
    write_slow(folder)
    write_clips(server.base / "input")
    assert server.run(stage_graph(SLOW, "tokenize")[0]).outcome == "success"
    yield SLOW
    shutil.rmtree(folder / SLOW)


@pytest.mark.parametrize("stage", STAGES)
def test_cancel_inside_a_stage_leaves_the_queue_idle_within_a_second(
    server: Server, slow: str, stage: str
) -> None:
    assert pressed(server, slow, stage, AFTER.get(stage, 0.6)) < PATIENCE
