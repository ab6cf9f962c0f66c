"""The shipped workflows and the snapshot of the nodes, on a running ComfyUI."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from stepedit_core.registry.registry import ASSETS, DEFAULT_BUNDLE
from stepedit_core.signal.denoise import installed
from tests.conftest import REPOSITORY, not_tested
from tests.server.comfyui import Server
from tests.server.graph import to_prompt
from tools.catalogue import SNAPSHOT, snapshot

pytestmark = pytest.mark.server
FILES = sorted((REPOSITORY / "workflows").glob("*.json"))
PLAYERS = {
    "01_edit_emotion_by_rounds": {"rounds": 4, "last round": 1, "SaveAudio": 1},
    "02_every_stage_open": {"PreviewAudio": 1, "SaveAudio": 1},
    "03_clone_a_voice": {"PreviewAudio": 1, "SaveAudio": 1},
    "04_chain_style_then_laughter": {"rounds": 3, "SaveAudio": 1},
    "05_clean_up_for_dubbing": {"rounds": 4, "cleaned up": 1, "SaveAudio": 1},
    "06_compare_rounds_keep_the_best": {"best round": 1, "SaveAudio": 1},
}
"""Title (or type) of a node with sound -> how many clips it must hold."""
FOR_THE_RELEASE = {"03_clone_a_voice": "clone", "04_chain_style_then_laughter": "sounds"}
"""Workflows with an edit that nano does not offer; `tiny` offers all, as the release does."""


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
    if path.stem in FOR_THE_RELEASE:
        on_tiny(prompt)
    if "Denoise" in path.read_text("utf-8") and not installed():
        on_tiny(prompt)  # whose model makes it
        not_tested(request.config, "signal extra", "no denoiser is here; 05 ran on tiny")
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


@pytest.mark.parametrize("name", FOR_THE_RELEASE)
def test_nano_refuses_what_it_does_not_offer_and_says_who_does(
    server: Server, infos: dict[str, Any], name: str
) -> None:
    path = REPOSITORY / "workflows" / f"{name}.json"
    run = server.run(to_prompt(json.loads(path.read_text("utf-8")), infos))
    assert run.outcome != "success"
    kind = FOR_THE_RELEASE[name]
    assert f"the model of nano does not make {kind}; it makes emotion, style" in str(run.error)
    assert "Load the released model Step-Audio-EditX." in str(run.error)


def test_the_sample_clip_is_in_the_input_folder(server: Server, infos: dict[str, Any]) -> None:
    name = "stepedit_walking_home.wav"
    assert name in json.dumps(infos["LoadAudio"]["input"]["required"]["audio"])
    shipped = (ASSETS / "samples" / "walking_home.wav").read_bytes()
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
    address = f"{server.url}/api/workflow_templates/ComfyUI-StepEdit.v2/{FILES[0].name}"
    with urllib.request.urlopen(address) as answer:
        assert json.load(answer)["version"] == 0.4
