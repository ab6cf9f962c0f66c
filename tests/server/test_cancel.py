"""Cancel pressed inside each stage of a running ComfyUI: heard before the next layer begins.

How many seconds that is depends on network and machine: `python -m tools.cancel_times`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.server.comfyui import Run, Server, Watch, wait_for
from tests.server.graph import Graph
from tests.server.test_graph import BUNDLE, every_stage, keep, kept, recording
from tools.cancel_times import STAGES, VARIANTS, stage_graph, write_clips

pytestmark = pytest.mark.server
MOST_LAYERS = 2
"""Layers that may run between two questions: the language model looks its ids up, then runs."""


@pytest.fixture(scope="module", autouse=True)
def clips(server: Server) -> None:
    """The clips of the stages' graphs."""
    write_clips(server.base / "input", seconds=4.0)


def counted(server: Server) -> dict[str, Any]:
    """What the probe has counted, by node."""
    return dict(server.get("/probe/questions"))


def cancelled(server: Server, graph: Graph, node: str, question: int) -> Run:
    """A run in which Cancel is pressed while this question of a node waits for its answer."""
    server.post("/probe/questions", {"node": node, "hold": question})
    with Watch(server) as watch:
        prompt_id = watch.queue(graph)
        wait_for(lambda: counted(server)["held"])
        server.post("/interrupt", {})
        run = watch.follow(prompt_id)
    kind, data = server.get(f"/history/{prompt_id}")[prompt_id]["status"]["messages"][-1]
    assert (kind, run.outcome) == ("execution_interrupted", "interrupted")
    assert data["node_id"] == node, f"Cancel came in node {data['node_type']}"
    wait_for(lambda: not server.get("/prompt")["exec_info"]["queue_remaining"])
    return run


@pytest.mark.parametrize("stage", STAGES)
def test_cancel_inside_a_stage_is_heard_before_the_next_layer(server: Server, stage: str) -> None:
    whole, node = stage_graph(BUNDLE, stage)
    server.post("/probe/questions", {})
    assert server.run(whole).outcome == "success"
    counts = counted(server)
    assert counts["layers"][node] > 30, "no network ran here"
    assert counts["most"][node] <= MOST_LAYERS, "layers ran without a question between them"
    middle = counts["asked"][node] // 3
    graph, node = stage_graph(BUNDLE, stage, VARIANTS[1])
    cancelled(server, graph, node, middle)
    assert counted(server)["asked"][node] == middle, "the run went on"


def test_a_run_after_cancel_gives_the_same_samples(server: Server) -> None:
    graph = Graph()
    nodes = every_stage(graph, audio=recording(graph), seed=63, steps=60)
    keep(graph, (nodes["audio"], 0), "resumed")
    cancelled(server, graph, nodes["mel"], 200)
    assert server.run(graph).outcome == "success"
    resumed = kept(server, "resumed")
    server.post("/free", {"unload_models": True, "free_memory": True})
    wait_for(lambda: server.get("/probe")["models"] == 0)
    assert server.run(graph).outcome == "success"
    assert np.array_equal(resumed, kept(server, "resumed"))


def test_the_progress_of_a_cancelled_node_does_not_reach_its_end(server: Server) -> None:
    graph = Graph()
    nodes = every_stage(graph, audio=recording(graph), seed=62, steps=100)
    keep(graph, (nodes["audio"], 0), "cancel")
    run = cancelled(server, graph, nodes["mel"], 300)
    assert nodes["audio"] not in run.executed
    assert all(value < most for name, value, most in run.progress if name == nodes["mel"])
