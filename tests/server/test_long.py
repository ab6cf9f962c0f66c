"""Edit Long in a running ComfyUI: pieces, what is kept of them, what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stepedit_core.registry.registry import ASSETS
from tests.server.comfyui import Run, Server, Watch
from tests.server.graph import Graph
from tests.server.test_graph import SEED, keep, kept, loaded, recording

pytestmark = pytest.mark.server
NODE = "StepEdit_EditLong"
AUDIO, PIECES = range(2)
SENTENCE = (ASSETS / "samples" / "walking_home.txt").read_text("utf-8").split()
REPEATS, RATE = 2, 24_000


@pytest.fixture(scope="module")
def narration(server: Server) -> str:
    """Name of a file in the input folder: the sample said twice with pauses, in stereo."""
    wave, rate = soundfile.read(ASSETS / "samples" / "walking_home.wav")
    assert rate == RATE
    twice = np.tile(np.concatenate([wave, np.zeros(rate // 2)]), REPEATS)
    soundfile.write(
        server.base / "input" / "narration.wav", np.stack([twice, 0.5 * twice], 1), rate
    )
    return "narration.wav"


def words_of(server: Server, name: str) -> str:
    """A table of the words of the narration, spread evenly over each saying."""
    seconds = soundfile.info(Path(server.base, "input", name)).duration / REPEATS
    step = seconds / (len(SENTENCE) + 2)
    return "\n".join(
        f"{said * seconds + (n + 1) * step:.2f} {said * seconds + (n + 2) * step:.2f} {word}"
        for said in range(REPEATS)
        for n, word in enumerate(SENTENCE)
    )


def long(graph: Graph, audio: tuple[str, int], **how: Any) -> str:
    """Edit Long to sad with nano; the node's id."""
    given = {
        "edit": (graph.add("StepEdit_Emotion", emotion=how.pop("emotion", "sad")), 0),
        "model": (
            graph.add("StepEdit_LoadModel", bundle="nano", device="cpu", precision="auto"),
            0,
        ),
        "text": "",
        "recogniser": "ears",
        "rounds": 1,
        "strength": 1.0,
        "seed": SEED,
    }
    return graph.add(NODE, audio=audio, **{**given, **how})


def pieces(server: Server, graph: Graph, node: str) -> tuple[Run, list[list[str]]]:
    """The run, and the rows of the table of pieces."""
    shown = graph.add("ProbeShow", value=(node, PIECES))
    run = server.run(graph)
    assert run.outcome == "success", run.error
    return run, [row.split(maxsplit=3) for row in run.outputs[shown]["values"][0].split("\n")[1:]]


def test_every_piece_is_edited_counted_and_kept_for_the_next_run(
    server: Server, narration: str
) -> None:
    def run_once(name: str, text: str) -> tuple[Run, list[list[str]], str]:
        graph = Graph()
        audio = (graph.add("LoadAudio", audio=narration), 0)
        heard = graph.add("StepEdit_Transcribe", audio=audio, recogniser="auto", text=text)
        node = long(graph, audio, words=(heard, 1))
        keep(graph, (node, AUDIO), name)
        return *pieces(server, graph, node), node

    table = words_of(server, narration)
    run, rows, node = run_once("long-first", table)
    assert len(rows) == REPEATS
    assert "edited" in [row[3] for row in rows]
    lines = [text for name, text in run.lines if name == node]
    assert [f"piece {n} of {len(rows)}" in lines for n in (1, 2)] == [True, True]
    assert lines[-1].startswith("done: ")
    moved = [(value, most) for name, value, most in run.progress if name == node]
    assert moved[-1][0] == moved[-1][1]
    made = kept(server, "long-first")
    assert made.shape[:2] == (1, 2)
    source, rate = soundfile.read(server.base / "input" / narration, always_2d=True)
    assert rate == RATE
    assert made.shape[2] != len(source) or not np.array_equal(made[0].T, source)
    _, again, _ = run_once("long-second", table + "\n")
    assert [row[3] == "kept" for row in again] == [row[3] == "edited" for row in rows]
    assert np.array_equal(kept(server, "long-second"), made)


def test_a_cancelled_run_resumes_after_its_last_piece(server: Server, narration: str) -> None:
    graph = Graph()
    audio = (graph.add("LoadAudio", audio=narration), 0)
    heard = graph.add(
        "StepEdit_Transcribe", audio=audio, recogniser="auto", text=words_of(server, narration)
    )
    node = long(graph, audio, words=(heard, 1), seed=SEED + 1)
    graph.add("ProbeShow", value=(node, AUDIO))
    with Watch(server) as watch:
        prompt_id = watch.queue(graph)
        while True:
            kind, data = watch.message()
            if kind == "line" and data["text"] == f"piece 1 of {REPEATS}":
                break
        server.post("/interrupt", {})
        assert watch.follow(prompt_id).outcome == "interrupted"
    _, rows = pieces(server, graph, node)
    assert [row[3] == "kept" for row in rows] == [True, False]


def test_the_words_are_heard_where_no_node_has_them(server: Server) -> None:
    graph = Graph()
    node = long(graph, recording(graph), text="hello", rounds=1, emotion="sad")
    graph.add("ProbeShow", value=(node, PIECES))
    run = server.run(graph)
    assert "1 words, 2.0 s" in [text for name, text in run.lines if name == node]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("StepEdit_Speed", "the list has 2 edits; a long recording gets one at a time"),
        ("StepEdit_Denoise", "denoise changes the whole sound"),
    ],
)
def test_edits_that_cannot_be_made_stop_with_a_sentence(
    server: Server, kind: str, words: str
) -> None:
    graph = Graph()
    first = {"edit": (graph.add("StepEdit_Emotion", emotion="sad"), 0), "speed": "faster"}
    edit = (graph.add(kind, **(first if kind == "StepEdit_Speed" else {})), 0)
    graph.add("ProbeShow", value=(long(graph, recording(graph), edit=edit), PIECES))
    run = server.run(graph)
    assert run.outcome == "error"
    assert words in run.error


def test_a_recording_that_stays_as_it_is_says_why(server: Server) -> None:
    graph = Graph()
    node = long(graph, recording(graph, "silence"), model=loaded(graph), emotion="happy")
    graph.add("ProbeShow", value=(node, PIECES))
    assert "of the first is said: It is silent" in server.run(graph).error


def test_a_whisper_by_signal_needs_no_words(server: Server) -> None:
    graph = Graph()
    edit = (graph.add("StepEdit_SpeakingStyle", style="whisper"), 0)
    node = long(graph, recording(graph), edit=edit, recogniser="auto")
    run, rows = pieces(server, graph, node)
    assert [row[2:] for row in rows] == [["1", "edited"]]
    assert not [text for name, text in run.lines if name == node and "hearing" in text]
