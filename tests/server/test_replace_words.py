"""Replace Words in a running ComfyUI: what reaches the library, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.comfyui import Run, Server
from tests.server.graph import Graph
from tests.server.test_graph import SEED, loaded, recording

pytestmark = pytest.mark.server


def replaced(server: Server, **how: Any) -> tuple[Run, str]:
    """The run of a graph with the node, and its id; "world." becomes "people"."""
    graph = Graph()
    if how.pop("nano", False):
        model = (graph.add("StepEdit_LoadModel", bundle="nano", device="cpu", precision="auto"), 0)
    else:
        model = loaded(graph)
    given = {"old_words": "world", "new_words": "people", "text": "", "recogniser": "ears", **how}
    node = graph.add(
        "StepEdit_ReplaceWords", model=model, audio=recording(graph), seed=SEED, **given
    )
    graph.add("ProbeShow", value=(node, 1))
    return server.run(graph), node


def test_a_model_that_does_not_clone_says_so_before_anything_is_heard(server: Server) -> None:
    run, node = replaced(server, nano=True)
    assert run.outcome == "error"
    assert "bundle 'nano' cannot say new words" in run.error
    assert node not in [name for name, _ in run.lines]


def test_the_sentence_is_spoken_and_its_answer_looked_through(server: Server) -> None:
    """The tiny model speaks noise: the run ends where the new words are looked for in it."""
    run, node = replaced(server)
    lines = [text for name, text in run.lines if name == node]
    assert any(line.startswith("round 1 of 1, ") for line in lines)
    assert run.outcome == "success" or "answer of the model" in run.error


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"old_words": "good"}, "'good' is said 2 times"),
        ({"old_words": "evening"}, "'evening' is not said"),
        ({"new_words": "..."}, "which has no word"),
        ({"old_words": ""}, "has no word"),
    ],
)
def test_words_that_cannot_be_meant_are_one_sentence(
    server: Server, how: dict[str, str], words: str
) -> None:
    run, _ = replaced(server, **how)
    assert run.outcome == "error"
    assert words in run.error
