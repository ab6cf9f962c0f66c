"""Remove Words in a running ComfyUI: what is cut, what stays, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.server.comfyui import Run, Server
from tests.server.graph import Graph
from tests.server.material import HEARD
from tests.server.test_graph import keep, kept, loaded, recording

pytestmark = pytest.mark.server
AUDIO, CUTS, WORDS = range(3)
NOTHING = {
    "recogniser": "ears",
    "fillers": False,
    "repeats": False,
    "phrases": "",
    "every": False,
    "longest_pause": 0.0,
    "language": "auto",
    "keep_length": False,
}


def removed(graph: Graph, audio: tuple[str, int], **how: Any) -> str:
    """The node's id."""
    return graph.add("StepEdit_RemoveWords", audio=audio, **{**NOTHING, **how})


def cuts(server: Server, graph: Graph, node: str) -> tuple[Run, list[list[str]]]:
    """The run, and the rows of the table of cuts."""
    shown = graph.add("ProbeShow", value=(node, CUTS))
    run = server.run(graph)
    assert run.outcome == "success", run.error
    return run, [row.split() for row in run.outputs[shown]["values"][0].split("\n")[1:]]


def test_a_filler_goes_and_every_other_sample_stays_at_its_rate_and_channels(
    server: Server,
) -> None:
    graph = Graph()
    audio = recording(graph, "stereo")
    keep(graph, audio, "filler-before")
    node = removed(graph, audio, fillers=True)
    keep(graph, (node, AUDIO), "filler-after")
    run, rows = cuts(server, graph, node)
    ((start, end, _, word),) = [row for row in rows if row[2] == "filler"]
    assert word == "um"
    assert float(start) < HEARD[1][2]
    assert float(end) > HEARD[1][1]
    before, after = kept(server, "filler-before")[0], kept(server, "filler-after")[0]
    assert before.shape[0] == after.shape[0] == 2
    assert after.shape[1] < before.shape[1]
    first, last = int(24_000 * float(rows[0][0])) - 1_200, int(24_000 * float(rows[-1][1])) + 1_200
    assert np.array_equal(after[:, :first], before[:, :first])
    assert np.array_equal(after[:, last - before.shape[1] :], before[:, last:])
    lines = [text for name, text in run.lines if name == node]
    assert lines[-1].startswith(f"{len(rows)} cuts, ")


def test_phrases_are_lines_and_words_may_come_from_another_node(server: Server) -> None:
    graph = Graph()
    audio = recording(graph)
    heard = graph.add("StepEdit_Transcribe", audio=audio, recogniser="ears")
    node = removed(graph, audio, phrases="hello\n\n good ", every=True, words=(heard, 1))
    left = graph.add("StepEdit_RemoveWords", **{**NOTHING, "audio": (node, AUDIO)})
    graph[left]["inputs"].update(words=[node, WORDS], phrases="world")
    _, rows = cuts(server, graph, left)
    (_, _, _, word) = rows[0]
    assert word == "world."
    _, rows = cuts(server, graph, node)
    assert [word for row in rows for word in row[3:]] == ["Hello,", "good", "good"]


def test_long_pauses_need_nobody_who_hears(server: Server) -> None:
    graph = Graph()
    audio = recording(graph)
    node = removed(graph, audio, longest_pause=0.2, recogniser="auto")
    run, _ = cuts(server, graph, node)
    assert not [text for name, text in run.lines if name == node and "hearing" in text]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({}, "nothing is named that should be removed"),
        ({"phrases": "good"}, "'good' is said 2 times"),
        ({"phrases": "evening"}, "'evening' is not said"),
        ({"longest_pause": 0.1}, "pauses should become 0.1 s long"),
    ],
)
def test_what_cannot_be_meant_is_answered_with_one_sentence(
    server: Server, how: dict[str, Any], words: str
) -> None:
    graph = Graph()
    graph.add("ProbeShow", value=(removed(graph, recording(graph), **how), CUTS))
    run = server.run(graph)
    assert run.outcome == "error"
    assert words in run.error


def test_values_that_are_on_no_list_are_refused_before_the_run(server: Server) -> None:
    for name, value in (("language", "xx"), ("recogniser", "none")):
        graph = Graph()
        node = removed(graph, recording(graph), fillers=True, **{name: value})
        graph.add("ProbeShow", value=(node, CUTS))
        with pytest.raises(ValueError, match="node_errors") as refused:
            server.run(graph)
        assert value in str(refused.value)


def test_a_model_without_a_recogniser_says_what_to_add(server: Server) -> None:
    ears = server.base / "models" / "step_audio_editx" / "recognisers" / "ears"
    ears.rename(ears.with_name(".away"))
    try:
        graph = Graph()
        node = removed(
            graph, recording(graph), fillers=True, recogniser="auto", model=loaded(graph)
        )
        graph.add("ProbeShow", value=(node, CUTS))
        assert "bundle 'tiny' has no recogniser" in server.run(graph).error
    finally:
        ears.with_name(".away").rename(ears)
