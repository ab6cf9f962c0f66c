"""Script in a running ComfyUI: files of lines, what is kept, what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.server.comfyui import Run, Server
from tests.server.graph import Graph
from tests.server.test_graph import SEED, loaded, recording

pytestmark = pytest.mark.server
AUDIO, FILES, LINES = range(3)
LINES_OF = """id,start,end,edits
one,0,1,speed:faster engine=signal
two,1,2,{two}
"""
SLOWER, FASTER = "speed:slower engine=signal", "speed:more faster engine=signal"


def script(graph: Graph, text: str, folder: str, **how: Any) -> str:
    """The node's id; lines are of the 2 s clip unless they name a file."""
    given = {"edits": "", "fit_slot": False, "recogniser": "ears", "seed": SEED, **how}
    audio = {"audio": recording(graph)} if given.pop("connected", True) else {}
    return graph.add(
        "StepEdit_Script", model=loaded(graph), script=text, folder=folder, **audio, **given
    )


def ran(server: Server, graph: Graph, node: str) -> tuple[Run, list[str], list[str]]:
    """The run, the names of the files, and the rows of the table."""
    shown = [graph.add("ProbeShow", value=(node, slot)) for slot in (FILES, LINES)]
    run = server.run(graph)
    assert run.outcome == "success", run.error
    files, (table,) = (run.outputs[name]["values"] for name in shown)
    return run, files, table.split("\n")[1:]


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.wav")}


def test_a_changed_line_leaves_every_other_file(server: Server) -> None:
    out = server.base / "output" / "lines" / "a"
    graph = Graph()
    run, files, rows = ran(
        server, graph, node := script(graph, LINES_OF.format(two=SLOWER), "lines/a")
    )
    assert files == ["lines/a/one.wav", "lines/a/two.wav"]
    assert [row.split()[-1] for row in rows] == ["made", "made"]
    assert soundfile.info(out / "one.wav").duration < 1 < soundfile.info(out / "two.wav").duration
    assert json.loads((out / "script.json").read_text())["finished"] is True
    lines = [text for name, text in run.lines if name == node]
    assert "line 1 of 2" in lines
    assert lines[-1] == "done: 2 of 2 lines, 0 kept"
    before = digests(out)
    graph = Graph()
    run, _, rows = ran(server, graph, script(graph, LINES_OF.format(two=FASTER), "lines/a"))
    assert [row.split()[-1] for row in rows] == ["kept", "made"]
    after = digests(out)
    assert after["one.wav"] == before["one.wav"]
    assert after["two.wav"] != before["two.wav"]


def test_a_broken_line_says_so_and_the_others_are_made(server: Server) -> None:
    (server.base / "out.wav").write_bytes((server.base / "input" / "speech.wav").read_bytes())
    text = "id,file,edits\n" + "\n".join(
        f"{name},{file},{SLOWER}"
        for name, file in (("good", "speech.wav"), ("out", "../out.wav"), ("no", "absent.wav"))
    )
    graph = Graph()
    _, files, rows = ran(server, graph, script(graph, text, "lines/b", connected=False))
    assert files == ["lines/b/good.wav"]
    assert "lies outside of the input folder" in rows[1]
    assert "absent.wav" in rows[2]


def test_subtitles_are_ranges_and_fit_their_slots(server: Server) -> None:
    text = "1\n00:00:00,000 --> 00:00:01,000\nhello\n\n2\n00:00:01,000 --> 00:00:02,000\nworld\n"
    graph = Graph()
    node = script(graph, text, "lines/c", edits="speed:fit to seconds seconds=0.9", fit_slot=True)
    graph[node]["inputs"]["edits"] = SLOWER
    _, files, _ = ran(server, graph, node)
    assert [Path(name).name for name in files] == ["0001.wav", "0002.wav"]
    for name in files:
        assert soundfile.info(server.base / "output" / name).duration == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"text": ""}, "the script has no lines"),
        ({"text": "id,colour\n1,red"}, "the first line names the column"),
        ({"text": "id,edits\n1,emotion:odd"}, "no line could be made. the emotion option is"),
        ({"edits": "happy:sad"}, "edits"),
    ],
)
def test_what_is_not_a_script_is_one_sentence(
    server: Server, how: dict[str, str], words: str
) -> None:
    graph = Graph()
    text = how.get("text", LINES_OF.format(two=""))
    node = script(graph, text, "lines/d", edits=how.get("edits", ""))
    graph.add("ProbeShow", value=(node, LINES))
    run = server.run(graph)
    assert run.outcome == "error"
    assert words in run.error


def test_results_stay_below_the_output_folder(server: Server) -> None:
    graph = Graph()
    node = script(graph, LINES_OF.format(two=SLOWER), "../lines")
    graph.add("ProbeShow", value=(node, LINES))
    with pytest.raises(ValueError, match=r"folder is '../lines'"):
        server.run(graph)
