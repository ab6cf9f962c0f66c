"""Nodes that work on the words of a recording, in a running ComfyUI."""

from __future__ import annotations

import json

import pytest

from tests.server.comfyui import Run, Server
from tests.server.graph import Graph
from tests.server.material import HEARD, WORDS
from tests.server.test_graph import edited, loaded, recording

pytestmark = pytest.mark.server
EARS = "ears"
TRANSCRIPT, HEARD_WORDS, TIMES = range(3)


def shown(server: Server, graph: Graph, link: tuple[str, int]) -> list[object]:
    """What a link carries, as text."""
    node = graph.add("ProbeShow", value=link)
    run = server.run(graph)
    assert run.outcome == "success", run.error
    return list(run.outputs[node]["values"])


def failed(server: Server, graph: Graph, link: tuple[str, int]) -> Run:
    """The run of a graph whose link cannot be made."""
    graph.add("ProbeShow", value=link)
    run = server.run(graph)
    assert run.outcome == "error"
    return run


@pytest.mark.parametrize("recogniser", ["auto", EARS])
def test_the_words_are_heard_by_the_folder_without_a_model(server: Server, recogniser: str) -> None:
    graph = Graph()
    node = graph.add("StepEdit_Transcribe", audio=recording(graph), recogniser=recogniser)
    (text,) = shown(server, graph, (node, TRANSCRIPT))
    assert text == " ".join(str(word[0]) for word in HEARD)
    (times,) = shown(server, graph, (node, TIMES))
    rows = str(times).split("\n")
    assert rows[0].split() == ["start", "end", "word", "sure"]
    assert [row.split()[2] for row in rows[1:]] == [word[0] for word in HEARD]
    for row, (_, start, end, sure) in zip(rows[1:], HEARD, strict=True):
        assert float(row.split()[0]) == pytest.approx(start, abs=0.07)
        assert float(row.split()[1]) == pytest.approx(end, abs=0.07)
        assert float(row.split()[3]) == sure


def test_known_words_get_the_times_of_those_that_were_heard(server: Server) -> None:
    graph = Graph()
    node = graph.add("StepEdit_Transcribe", audio=recording(graph), recogniser=EARS, text=WORDS)
    (text,) = shown(server, graph, (node, TRANSCRIPT))
    assert text == WORDS
    (times,) = shown(server, graph, (node, TIMES))
    assert [row.split()[2] for row in str(times).split("\n")[1:]] == WORDS.split()


def test_a_recording_of_any_length_channels_and_rate_is_heard(server: Server) -> None:
    for kind in ("stereo", "long", "8k", "96k"):
        graph = Graph()
        node = graph.add("StepEdit_Transcribe", audio=recording(graph, kind), recogniser=EARS)
        (text,) = shown(server, graph, (node, TRANSCRIPT))
        assert str(text).startswith("Hello,")


def test_the_bar_moves_while_it_hears_and_a_line_counts_the_words(server: Server) -> None:
    graph = Graph()
    node = graph.add("StepEdit_Transcribe", audio=recording(graph), recogniser=EARS)
    graph.add("ProbeShow", value=(node, 0))
    graph[node]["inputs"]["text"] = "hello again"  # no other test has heard this
    run = server.run(graph)
    moved = [value for name, value, _ in run.progress if name == node]
    assert moved == sorted(moved)
    assert moved
    lines = [text for name, text in run.lines if name == node]
    assert lines[-1].startswith("2 words, ")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("batch", "a batch of 2 recordings; this node works on one at a time"),
        ("nan", "NaN or infinite samples (1 of 36000)"),
        ("empty", "1 channels of 0 samples"),
        ("rate 0", "clip has 0 Hz"),
    ],
)
def test_bad_recordings_are_answered_with_one_sentence(
    server: Server, kind: str, words: str
) -> None:
    graph = Graph()
    node = graph.add("StepEdit_Transcribe", audio=recording(graph, kind), recogniser=EARS)
    assert words in failed(server, graph, (node, 0)).error


def test_an_unknown_recogniser_is_refused_before_the_run(server: Server) -> None:
    graph = Graph()
    node = graph.add("StepEdit_Transcribe", audio=recording(graph), recogniser="../ears")
    graph.add("ProbeShow", value=(node, 0))
    with pytest.raises(ValueError, match=r"no recogniser '../ears'; found are auto, ears"):
        server.run(graph)


def test_where_nothing_can_hear_one_sentence_says_what_to_add(server: Server) -> None:
    ears = server.base / "models" / "step_audio_editx" / "recognisers" / EARS
    ears.rename(ears.with_name(".away"))
    try:
        for model in (False, True):
            graph = Graph()
            given = {"model": loaded(graph)} if model else {}
            node = graph.add(
                "StepEdit_Transcribe", audio=recording(graph), recogniser="auto", **given
            )
            error = failed(server, graph, (node, 0)).error
            assert ("bundle 'tiny' has no recogniser" if model else "no model is there") in error
            assert "models/step_audio_editx/recognisers/" in error
    finally:
        ears.with_name(".away").rename(ears)


PASTED = "0.50 0.82 hello\n2.40 2.90 world"
"""Words of a longer recording than that of 2 s."""


def test_pasted_times_of_another_recording_are_refused(server: Server) -> None:
    graph = Graph()
    audio = recording(graph)
    node = graph.add("StepEdit_Transcribe", audio=audio, recogniser="auto", text=PASTED)
    said = failed(server, graph, (node, TIMES)).error
    assert "'world' ends at 2.90 s; the recording ends at 2.00 s" in said


@pytest.mark.parametrize("how", [{"longest_pause": 1.0}, {"fillers": True}])
def test_words_of_another_recording_are_refused_by_a_link(
    server: Server, how: dict[str, object]
) -> None:
    graph = Graph()
    long = recording(graph, "long")
    heard = graph.add("StepEdit_Transcribe", audio=long, text=PASTED, recogniser=EARS)
    values = {"fillers": False, "repeats": False, "phrases": "", "every": False}
    values |= {"longest_pause": 0.0, "language": "auto", "keep_length": False, **how}
    words = (heard, HEARD_WORDS)
    node = graph.add(
        "StepEdit_RemoveWords", audio=recording(graph), words=words, recogniser="auto", **values
    )
    assert "the recording ends at 2.00 s" in failed(server, graph, (node, 0)).error


def test_iterative_edit_is_judged_by_the_recogniser_that_it_names(server: Server) -> None:
    heard = {}
    for recogniser in (EARS, "auto", None):
        graph = Graph()
        named = {} if recogniser is None else {"recogniser": recogniser}
        node = edited(graph, recording(graph), seed=91, **named)
        (report,) = shown(server, graph, (node, 5))
        rounds = json.loads(str(report))["rounds"]
        heard[recogniser] = [entry["heard"] for entry in rounds]
    words = " ".join(str(word[0]) for word in HEARD)
    assert heard[EARS] == heard["auto"] == [words, words]
    assert heard[None] != heard[EARS]  # prompts of before the input give what they gave
    graph = Graph()
    edited(graph, recording(graph), recogniser="nobody's")
    with pytest.raises(ValueError, match="no recogniser 'nobody"):
        server.run(graph)
