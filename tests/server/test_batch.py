"""Batch Edit in a running ComfyUI: folder to folder, what is kept, Cancel, what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.server.comfyui import Run, Server, Watch, wait_for
from tests.server.graph import Graph
from tests.server.test_graph import SEED, loaded
from tests.unit.conftest import voiced

pytestmark = pytest.mark.server
MANIFEST, SUMMARY = range(2)


def fill(server: Server, name: str, *clips: str) -> Path:
    """A folder below the input folder with a clip of each name, and one that is not a sound."""
    folder = server.base / "input" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, clip in enumerate(clips):
        wave = voiced(0.7, 16_000, 110.0 + 30 * number).numpy()
        soundfile.write(folder / f"{clip}.wav", wave, 16_000, subtype="PCM_16")
        (folder / f"{clip}.txt").write_text("hello world", "utf-8")
    (folder / "empty.wav").write_bytes(b"")
    return folder


def batch(graph: Graph, name: str, kind: str = "speed", **how: Any) -> tuple[str, int]:
    """Link to the node's manifest."""
    if kind == "speed":
        edit = graph.add("StepEdit_Speed", speed="faster", engine="signal", seconds=5.0)
    else:
        edit = graph.add("StepEdit_Emotion", emotion="happy")
    given = {
        "recordings": name,
        "folder": name,
        "rounds": 1,
        "strength": 1.0,
        "recogniser": "ears",
        "seed": SEED,
        **how,
    }
    return graph.add("StepEdit_BatchEdit", model=loaded(graph), edit=(edit, 0), **given), MANIFEST


def ran(server: Server, name: str, **how: Any) -> tuple[Run, str, list[str]]:
    """The run, the path of the manifest, and the lines of the summary."""
    graph = Graph()
    node, _ = batch(graph, name, **how)
    shown = [graph.add("ProbeShow", value=(node, slot)) for slot in (MANIFEST, SUMMARY)]
    run = server.run(graph)
    assert run.outcome == "success", run.error
    (manifest,), (summary,) = (run.outputs[one]["values"] for one in shown)
    return run, manifest, summary.split("\n")


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.wav")}


def test_a_second_run_makes_only_what_is_missing(server: Server) -> None:
    fill(server, "many/a", "one", "twö", "three")
    out = server.base / "output" / "many" / "a"
    run, manifest, summary = ran(server, "many/a")
    assert Path(manifest) == out / "script.json"
    assert summary[0] == "4 recordings: 3 made, 0 kept, 1 failed"
    assert [row.split()[0] for row in summary[2:]] == ["recording", "empty", "one", "three", "twö"]
    assert "is empty (0 bytes)" in summary[3]
    said = [text for _, text in run.lines]
    assert "clip 1 of 4" in said
    assert said[-1] == "done: 3 made, 0 kept, 1 failed"
    rows = json.loads(Path(manifest).read_text("utf-8"))["lines"]
    before = digests(out)
    assert {row["file"]: row["sha256"] for row in rows if not row["error"]} == before
    assert rows[1]["steps"][0]["plan"]["requests"][0]["option"] == "faster"
    (out / "one.wav").unlink()
    _, _, summary = ran(server, "many/a")
    assert summary[0] == "4 recordings: 1 made, 2 kept, 1 failed"
    assert digests(out) == before


def test_cancel_is_heard_inside_of_a_clip_and_what_was_made_stays(server: Server) -> None:
    fill(server, "many/b", "one", "two")
    ran(server, "many/b", kind="emotion")
    out = server.base / "output" / "many" / "b"
    whole = digests(out)
    (out / "two.wav").unlink()
    graph = Graph()
    node, _ = batch(graph, "many/b", "emotion")
    graph.add("ProbeShow", value=(node, SUMMARY))
    server.post("/probe/questions", {"node": node, "hold": 40})
    with Watch(server) as watch:
        prompt = watch.queue(graph)
        wait_for(lambda: server.get("/probe/questions")["held"])
        server.post("/interrupt", {})
        assert watch.follow(prompt).outcome == "interrupted"
    assert digests(out) == {"one.wav": whole["one.wav"]}
    assert not [path for path in out.glob(".*.wav")]
    _, _, summary = ran(server, "many/b", kind="emotion")
    assert summary[0] == "3 recordings: 1 made, 1 kept, 1 failed"
    assert digests(out) == whole


def test_a_link_out_of_the_input_folder_is_not_read(server: Server) -> None:
    folder = fill(server, "many/c", "one")
    outside = server.base / "secret.wav"
    shutil.copy(folder / "one.wav", outside)
    (folder / "linked.wav").symlink_to(outside)
    _, _, summary = ran(server, "many/c")
    assert summary[0] == "3 recordings: 1 made, 0 kept, 2 failed"
    assert any("is a link out of the input folder" in row for row in summary)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"recordings": "../output"}, "recordings is '../output'"),
        ({"recordings": "/etc"}, "recordings is '/etc'"),
        ({"folder": "../many"}, "folder is '../many'"),
    ],
)
def test_places_outside_of_the_two_folders_are_refused(
    server: Server, how: dict[str, str], words: str
) -> None:
    fill(server, "many/d", "one")
    graph = Graph()
    batch(graph, "many/d", **how)
    with pytest.raises(ValueError, match=words):
        server.run(graph)


def test_a_folder_without_recordings_is_one_sentence(server: Server) -> None:
    graph = Graph()
    batch(graph, "many/absent")
    run = server.run(graph)
    assert run.outcome == "error"
    assert "no folder at" in run.error
