"""The workflow files against the snapshot of the nodes: what a browser would trip over."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import soundfile
from PIL import Image

from stepedit_core.measure.word_table import read_word_table
from tests.conftest import REPOSITORY
from tests.server.graph import widget_names
from tools.catalogue import SNAPSHOT

FILES = sorted((REPOSITORY / "workflows").glob("*.json"))
BLUEPRINTS = sorted((REPOSITORY / "subgraphs").glob("*.json"))
CORE = {"LoadAudio", "PreviewImage", "PreviewAny", "MarkdownNote"}
SAMPLES = REPOSITORY / "stepedit_core/assets/samples"
CLIPS = {"08": "lighthouse.flac", "09": "friday.flac", "10": "lighthouse.flac"}
"""Number of a workflow -> its recording, where that is another one."""
INFOS = json.loads(SNAPSHOT.read_text("utf-8"))


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    return read(request.param)


def test_there_are_ten_workflows() -> None:
    assert [path.stem[:2] for path in FILES] == [f"{number:02d}" for number in range(1, 11)]


def test_names_are_titles_that_a_person_would_write() -> None:
    for path in FILES:
        assert re.fullmatch(r"\d\d [A-Z][a-z, ]+[a-z]", path.stem)
        assert path.stem in (REPOSITORY / "README.md").read_text("utf-8")


def test_notes_have_no_code_which_is_blue_on_blue(workflow: dict[str, Any]) -> None:
    for node in workflow["nodes"]:
        if node["type"] == "MarkdownNote":
            assert "`" not in node["widgets_values"][0]


def test_no_canvas_shows_a_report_as_json(workflow: dict[str, Any]) -> None:
    reports = {
        link
        for node in workflow["nodes"]
        for output in node.get("outputs", [])
        for link in output["links"] or []
        if output["name"] == "report"
    }
    assert not reports


def test_every_node_is_ours_or_of_core(workflow: dict[str, Any]) -> None:
    assert {node["type"] for node in workflow["nodes"]} <= CORE | INFOS.keys()


def test_every_node_has_as_many_widget_values_as_widgets(workflow: dict[str, Any]) -> None:
    for node in workflow["nodes"]:
        if node["type"] in INFOS:
            wanted = widget_names(INFOS[node["type"]])
            assert len(node.get("widgets_values", [])) == len(wanted), node["type"]


def test_every_widget_value_is_allowed(workflow: dict[str, Any]) -> None:
    for node in workflow["nodes"]:
        if node["type"] not in INFOS:
            continue
        info = INFOS[node["type"]]["input"]
        specs = {**info.get("required", {}), **info.get("optional", {})}
        for name, value in zip(
            widget_names(INFOS[node["type"]]), node.get("widgets_values", []), strict=True
        ):
            kind, options = specs[name] if name else ("", {})
            if kind == "COMBO" and options["options"]:
                assert value in options["options"]
            if kind in ("INT", "FLOAT"):
                assert options["min"] <= value <= options["max"]


def test_every_link_joins_sockets_of_its_type(workflow: dict[str, Any]) -> None:
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for number, source, out_slot, target, in_slot, kind in workflow["links"]:
        output = nodes[source]["outputs"][out_slot]
        socket = nodes[target]["inputs"][in_slot]
        assert number in output["links"]
        assert socket["link"] == number
        assert socket["type"] in (output["type"], "*")
        assert kind in (output["type"], "*")
        if nodes[source]["type"] in INFOS:
            assert INFOS[nodes[source]["type"]]["output"][out_slot] == output["type"]


def test_every_needed_socket_is_connected(workflow: dict[str, Any]) -> None:
    for node in workflow["nodes"]:
        needed = INFOS.get(node["type"], {}).get("input", {}).get("required", {})
        linked = {s["name"] for s in node.get("inputs", []) if s.get("link") is not None}
        sockets = {name for name, spec in needed.items() if spec[0].startswith(("STEPEDIT", "AUD"))}
        assert sockets <= linked, node["type"]


def test_seeds_are_fixed(workflow: dict[str, Any]) -> None:
    for node in workflow["nodes"]:
        names = widget_names(INFOS[node["type"]]) if node["type"] in INFOS else []
        if "seed" in names:
            assert node["widgets_values"][names.index("seed") + 1] == "fixed"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_shipped_bundle_and_clip_are_used(path: Path) -> None:
    values = {node["type"]: node.get("widgets_values") for node in read(path)["nodes"]}
    assert values["StepEdit_LoadModel"][0] == "nano"
    clip = CLIPS.get(path.stem[:2], "walking_home.wav")
    assert values["LoadAudio"][0] == f"stepedit_{clip}"
    assert (SAMPLES / clip).is_file()


@pytest.mark.parametrize("name", ["walking_home", "lighthouse", "friday"])
def test_the_times_of_a_sample_are_those_of_its_words(name: str) -> None:
    words = read_word_table((SAMPLES / f"{name}.times.txt").read_text("utf-8"))
    assert words
    said = (SAMPLES / f"{name}.txt").read_text("utf-8").split()
    assert [word.text for word in words] == said
    (file,) = (path for path in SAMPLES.glob(f"{name}.*") if path.suffix in (".wav", ".flac"))
    assert words[-1].end < soundfile.info(file).duration


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_path_of_a_machine_is_inside_and_a_picture_beside(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"(/home/|/root/|/tmp/|/Users/|[A-Z]:\\\\)", text)
    with Image.open(path.with_suffix(".jpg")) as picture:
        assert picture.format == "JPEG"
        assert (picture.width, picture.height) == (800, 600)  # before above, after below
    assert path.with_suffix(".jpg").stat().st_size < 200_000


def test_all_workflows_have_format_0_4_and_a_note(workflow: dict[str, Any]) -> None:
    assert workflow["version"] == 0.4
    assert [n["type"] for n in workflow["nodes"]].count("MarkdownNote") == 1
    assert {"id", "revision", "last_node_id", "last_link_id", "nodes", "links"} <= workflow.keys()


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_is_one_subgraph_of_known_nodes(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"(/home/|/root/|/tmp/|/Users/|[A-Z]:\\\\)", text)
    graph = read(path)
    (outer,) = graph["nodes"]
    (inner,) = graph["definitions"]["subgraphs"]
    assert graph["version"] == 0.4
    assert outer["type"] == inner["id"]
    assert outer["title"] == inner["name"] == path.stem
    assert [socket["type"] for socket in outer["inputs"]] == ["AUDIO"]
    assert outer["outputs"][0]["type"] == "AUDIO"
    nodes = {str(node["id"]): node["type"] for node in inner["nodes"]}
    assert set(nodes.values()) <= INFOS.keys()
    for number, name in outer["properties"]["proxyWidgets"]:
        assert name in widget_names(INFOS[nodes[number]])


def test_there_are_two_blueprints() -> None:
    assert len(BLUEPRINTS) == 2
