"""The shipped workflows and the snapshot of the nodes, on a running ComfyUI."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from stepedit_core.registry.registry import ASSETS, DEFAULT_BUNDLE
from tests.conftest import REPOSITORY, not_tested
from tests.server.comfyui import Server
from tests.server.graph import Graph, to_prompt
from tests.server.material import WORDS
from tests.server.test_graph import DECODE, DRAW, SEED
from tools.catalogue import SNAPSHOT, snapshot

pytestmark = pytest.mark.server
FILES = sorted((REPOSITORY / "workflows").glob("*.json"))
PLAYERS = {
    "01 Excited, round by round": {"every round": 4, "the best, as a file": 1},
    "02 Every stage a node": {"the edited clip": 1},
    "03 Two feelings side by side": {"excited": 1, "sad": 1},
    "04 Sad, then slower": {"every round": 5, "the last, as a file": 1},
    "05 No pauses, another pace": {
        "the input, without pauses, faster": 3,
        "the result, as a file": 1,
    },
    "06 Compare rounds, keep the best": {"the best, as a file": 1},
    "07 Change three words": {"the clip, three words changed": 1},
    "08 Long narration": {"the narration, sad": 1},
    "09 Clean fillers and pauses": {"without fillers and long pauses": 1},
    "10 Script of lines": {"every line": 3},
}
"""Title of a player -> how many clips it must have. All run on nano as it is installed."""


def on_tiny(prompt: dict[str, Any]) -> None:
    """Load the tiny bundle in place of nano."""
    for entry in prompt.values():
        if entry["class_type"] == "StepEdit_LoadModel":
            entry["inputs"]["bundle"] = "tiny"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_workflow_runs_as_it_is(
    request: pytest.FixtureRequest, server: Server, infos: dict[str, Any], path: Path
) -> None:
    workflow = json.loads(path.read_text("utf-8"))
    prompt = to_prompt(workflow, infos)
    if not (ASSETS / DEFAULT_BUNDLE).is_dir():
        on_tiny(prompt)
        not_tested(request.config, "nano bundle", "it is not in assets; workflows ran on tiny")
    run = server.run(prompt)
    assert run.outcome == "success", run.error
    held = {
        node.get("title") or node["type"]: len(run.outputs[str(node["id"])]["audio"])
        for node in workflow["nodes"]
        if "audio" in run.outputs.get(str(node["id"]), {})
    }
    assert held == PLAYERS[path.stem]
    for node in workflow["nodes"]:
        if node["type"] == "PreviewImage":
            assert run.outputs[str(node["id"])]["images"]


@pytest.mark.parametrize("kind", ["clone", "sounds"])
def test_nano_refuses_what_it_does_not_offer_and_says_who_does(server: Server, kind: str) -> None:
    graph = Graph()
    model = (graph.add("StepEdit_LoadModel", bundle="nano", device="auto", precision="auto"), 0)
    audio = (graph.add("LoadAudio", audio="speech.wav"), 0)
    given = {"model": model, "audio": audio, "text": WORDS, "seed": SEED}
    if kind == "clone":
        made = graph.add("StepEdit_CloneVoice", **given, new_words="good night", **DRAW, **DECODE)
    else:
        words = {"text_with_sounds": f"{WORDS} [Laughter]"}
        edit = (graph.add("StepEdit_NonverbalSounds", **words), 0)
        more = {"rounds": 1, "voice": "stay with the original"}
        made = graph.add("StepEdit_IterativeEdit", **given, edit=edit, **more)
    graph.add("ProbeShow", value=(made, 0))
    run = server.run(graph)
    assert run.outcome != "success"
    assert f"the model of nano does not make {kind}; it makes emotion, style" in str(run.error)
    assert "Load the released model Step-Audio-EditX." in str(run.error)


@pytest.mark.parametrize("clip", ["walking_home.wav", "lighthouse.flac", "friday.flac"])
def test_the_sample_clip_is_in_the_input_folder(
    server: Server, infos: dict[str, Any], clip: str
) -> None:
    name = f"stepedit_{clip}"
    assert name in json.dumps(infos["LoadAudio"]["input"]["required"]["audio"])
    shipped = (ASSETS / "samples" / clip).read_bytes()
    assert (server.base / "input" / name).read_bytes() == shipped


def test_the_nodes_look_as_in_the_snapshot(infos: dict[str, Any]) -> None:
    """After a change on purpose: python -m tools.catalogue."""
    assert snapshot(infos) == json.loads(SNAPSHOT.read_text("utf-8"))


def test_the_default_bundle_is_listed_first_and_the_folder_of_models_is_searched(
    infos: dict[str, Any],
) -> None:
    options = infos["StepEdit_LoadModel"]["input"]["required"]["bundle"][1]["options"]
    assert options[0] == DEFAULT_BUNDLE
    assert "tiny" in options


def test_the_workflows_are_offered_as_templates(server: Server) -> None:
    offered = server.get("/workflow_templates")
    (names,) = [v for k, v in offered.items() if k.startswith("ComfyUI-StepEdit")]
    assert sorted(names) == [path.stem for path in FILES]
    address = f"{server.url}/api/workflow_templates/ComfyUI-StepEdit.v2/{quote(FILES[0].name)}"
    with urllib.request.urlopen(address) as answer:
        assert json.load(answer)["version"] == 0.4
