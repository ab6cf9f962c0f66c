"""Values that no browser sends, in text widgets and margins: refused in a sentence of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.comfyui import Server
from tests.server.graph import Graph
from tests.server.material import WORDS
from tests.server.test_graph import about, every_stage, recording, sides_of

pytestmark = pytest.mark.server
ODD = ("\ud800", "\x1b[31m\u202ex", "a\nb", "a\x00b", "\u2066x")
FOREIGN = ("codec", "expected str", "object has no attribute", "Exception when validating")


def refused(server: Server, graph: Graph) -> str:
    """What the answer says of the nodes that are not let run; the sentence of ours in it."""
    status, answer = server.post("/prompt", {"prompt": graph})
    said = json.dumps(answer, ensure_ascii=False)
    assert status == 400, said[:300]
    assert not any(word in said for word in FOREIGN), said
    return said


@pytest.mark.parametrize("value", [*ODD, [], ["x"], [1, 2, 3]], ids=ascii)
@pytest.mark.parametrize("node", ["StepEdit_PlayAndSave", "StepEdit_SaveTokens"])
def test_a_prefix_is_a_name_of_printable_letters(server: Server, node: str, value: Any) -> None:
    graph = Graph()
    before = set(Path(server.base, "output").rglob("*"))
    if node == "StepEdit_PlayAndSave":
        graph.add(node, audio=recording(graph), format="wav", filename_prefix=value)
    else:
        tokens = every_stage(graph, audio=recording(graph))["tokens"]
        graph.add(node, tokens=(tokens, 0), filename_prefix=value)
    assert "filename_prefix" in refused(server, graph)
    assert set(Path(server.base, "output").rglob("*")) == before


@pytest.mark.parametrize("value", [*ODD[:1], "a\x00b", "\x1b", [], ["x"]], ids=ascii)
@pytest.mark.parametrize(
    ("node", "name"),
    [
        ("StepEdit_NonverbalSounds", "text_with_sounds"),
        ("StepEdit_NewWords", "new_words"),
        ("StepEdit_TripletBuilder", "folder"),
        ("StepEdit_TripletBuilder", "text"),
        ("StepEdit_TripletBuilder", "speaker"),
        ("StepEdit_TripletBuilder", "licence"),
        ("StepEdit_TripletBuilder", "split"),
    ],
)
def test_a_text_is_whole_letters(server: Server, node: str, name: str, value: Any) -> None:
    graph = Graph()
    if node == "StepEdit_TripletBuilder":
        edit = (graph.add("StepEdit_Emotion", emotion="happy"), 0)
        more = {"text": WORDS, "least_margin": 1.0, **about("stepedit/data/odd"), name: value}
        graph.add(node, edit=edit, **sides_of(graph), **more)
    else:
        edit = (graph.add(node, **{name: value}), 0)
        more = {"text": WORDS, "least_margin": 1.0, **about("stepedit/data/odd")}
        graph.add("StepEdit_TripletBuilder", edit=edit, **sides_of(graph), **more)
    refused(server, graph)
    assert not Path(server.base, "output/stepedit/data/odd").exists()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"least_margin": "NaN"}, "least_margin is nan; allowed are 1 to 10"),
        ({"text": "word " * 40_000}, "letters; the clip has"),
    ],
    ids=["NaN", "long"],
)
def test_what_only_a_run_can_know_ends_before_anything_is_written(
    server: Server, wrong: dict[str, Any], words: str
) -> None:
    graph = Graph()
    edit = (graph.add("StepEdit_Emotion", emotion="happy"), 0)
    more = {"text": WORDS, "least_margin": 1.0, **about("stepedit/data/odd"), **wrong}
    graph.add("StepEdit_TripletBuilder", edit=edit, **sides_of(graph), **more)
    run = server.run(graph)
    assert run.outcome == "error"
    assert words in run.error
    assert not Path(server.base, "output/stepedit/data/odd").exists()
