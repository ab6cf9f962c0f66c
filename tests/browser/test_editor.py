"""The workflows in the real graph editor: they open whole, and come out as they went in."""

from __future__ import annotations

import io
import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.browser.page import Page, open_tab
from tests.conftest import REPOSITORY
from tests.server.comfyui import PATIENCE, Server
from tests.server.graph import OFF, to_prompt

pytestmark = pytest.mark.browser
FILES = sorted((REPOSITORY / "workflows").glob("*.json"))
BLUEPRINTS = sorted((REPOSITORY / "subgraphs").glob("*.json"))


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


def essence(workflow: dict[str, Any]) -> dict[str, Any]:
    """What must survive opening and saving: nodes, the values of ours, titles, and all links.

    Places are left out: the renderer of Nodes 2.0 spreads the nodes when it opens a file.
    """
    nodes = {}
    for node in workflow["nodes"]:
        ours = node["type"].startswith("StepEdit_")
        values = (node.get("widgets_values") or []) if ours else None
        nodes[node["id"]] = (node["type"], node.get("title"), values)
    return {"nodes": nodes, "links": sorted(workflow["links"])}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_workflow_opens_with_every_node_and_round_trips(
    page: Page, renderer: bool, path: Path
) -> None:
    workflow = read(path)
    page.load(workflow)
    missing = "() => app.graph.nodes.filter((n) => n.has_errors || !n.constructor.nodeData).length"
    known = "() => app.graph.nodes.map((n) => n.type in LiteGraph.registered_node_types)"
    assert page.evaluate(missing) <= 1  # the note has no server side
    assert all(page.evaluate(known))
    assert essence(page.saved()) == essence(workflow)
    assert page.errors == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_editor_sends_what_the_tests_send(
    page: Page, infos: dict[str, Any], path: Path
) -> None:
    """The server tests convert the files themselves; the editor's own conversion is the judge."""
    workflow = read(path)
    page.load(workflow)
    ours = to_prompt(workflow, infos)
    for name, entry in page.prompt().items():
        spec = infos[entry["class_type"]]["input"]
        known = {**spec.get("required", {}), **spec.get("optional", {})}
        sent = {k: v for k, v in entry["inputs"].items() if k in known}
        assert (entry["class_type"], sent) == (ours[name]["class_type"], ours[name]["inputs"])
    assert page.prompt().keys() == ours.keys()


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_opens_whole_and_runs_between_two_core_nodes(
    page: Page, server: Server, renderer: bool, path: Path
) -> None:
    blueprint = read(path)
    page.load(blueprint)
    place = page.evaluate(
        """
        () => {
          const [node] = app.graph.nodes;
          const clip = LiteGraph.createNode("LoadAudio");
          const play = LiteGraph.createNode("PreviewAudio");
          app.graph.add(clip);
          app.graph.add(play);
          clip.widgets.find((w) => w.name === "audio").value = "speech.wav";
          clip.connect(0, node, node.inputs.findIndex((i) => i.type === "AUDIO"));
          node.connect(node.outputs.findIndex((o) => o.type === "AUDIO"), play, 0);
          // newer frontends keep the value of a promoted widget on the subgraph's own node
          for (const owner of [...node.subgraph.nodes, node]) {
            const of = (name) => owner.widgets?.find((w) => w.name === name);
            if (of("bundle")) of("bundle").value = "tiny";
            if (of("text")) of("text").value = "hello good morning world";
          }
          return String(play.id);
        }
        """
    )
    _, outputs, _ = execute(page, server)
    assert len(outputs[place]["audio"]) == 1
    assert page.errors == []


def test_the_blueprints_are_offered(server: Server) -> None:
    offered = [entry["name"] for entry in server.get("/global_subgraphs").values()]
    assert {path.stem for path in BLUEPRINTS} <= set(offered)


def test_run_in_the_editor_plays_every_round(page: Page, server: Server, renderer: bool) -> None:
    open_tiny(page, FILES[0].stem)
    count = len(server.get("/history"))
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    for _ in range(int(300 * PATIENCE)):
        if len(server.get("/history")) > count:
            break
        page.page.wait_for_timeout(200)
    (entry,) = list(server.get("/history").values())[count:]
    assert entry["status"]["status_str"] == "success"
    page.page.wait_for_timeout(500)
    assert page.evaluate("() => document.querySelectorAll('audio').length") >= 3
    assert page.errors == []


MUTED, BYPASSED = OFF
SWITCH = """
([type, mode]) => { app.graph.nodes.find((node) => node.type === type).mode = mode; }
"""


def tiny(name: str) -> dict[str, Any]:
    """A shipped workflow on the tiny bundle and the tests' clip."""
    workflow = read(REPOSITORY / "workflows" / f"{name}.json")
    for node in workflow["nodes"]:
        if node["type"] == "StepEdit_LoadModel":
            node["widgets_values"][0] = "tiny"
        if node["type"] == "LoadAudio":
            node["widgets_values"][0] = "speech.wav"
        if node["type"] == "StepEdit_Emotion":
            node["widgets_values"][0] = "happy"  # which the tiny bundle offers
    return workflow


def open_tiny(page: Page, name: str) -> None:
    """Open such a workflow."""
    page.load(tiny(name))


def execute(page: Page, server: Server) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The graph as sent, and by number of node what it gave and what the server refused."""
    sent = page.prompt()
    fresh = f"speech-{time.monotonic_ns()}.wav"  # the server tells nothing of nodes it has cached
    shutil.copy(server.base / "input" / "speech.wav", server.base / "input" / fresh)
    for node in sent.values():
        if node["class_type"] == "LoadAudio":
            node["inputs"]["audio"] = fresh
    status, answer = server.post("/prompt", {"prompt": sent})
    assert status == 200, answer
    history: dict[str, Any] = {}
    while not history:
        page.page.wait_for_timeout(200)
        history = server.get(f"/history/{answer['prompt_id']}")
    (entry,) = history.values()
    assert entry["status"]["status_str"] == "success", entry["status"]
    return sent, entry["outputs"], answer["node_errors"]


def run(page: Page, server: Server) -> tuple[dict[str, Any], dict[str, Any]]:
    """Outputs by class of node, and what the server refused, of the graph as it stands."""
    sent, outputs, refused = execute(page, server)
    shown = {sent[key]["class_type"]: output for key, output in outputs.items()}
    return shown, {value["class_type"]: value for value in refused.values()}


def test_a_bypassed_iterative_edit_hands_its_input_on(
    page: Page, server: Server, renderer: bool
) -> None:
    open_tiny(page, "01 Excited, round by round")
    page.evaluate(SWITCH, ["StepEdit_IterativeEdit", BYPASSED])
    shown, refused = run(page, server)
    assert {name for name in shown if name.startswith("StepEdit")} == {"StepEdit_PlayAndSave"}
    (saved,) = shown["StepEdit_PlayAndSave"]["audio"]
    wave, rate = soundfile.read(io.BytesIO(server.view(saved)))
    source, source_rate = soundfile.read(server.base / "input" / "speech.wav")
    assert (rate, wave.shape[0]) == (source_rate, source.shape[0])
    assert set(refused) <= {"PreviewImage", "PreviewAny"}  # a picture cannot come out of a clip
    assert page.errors == []


def test_a_muted_iterative_edit_does_not_run(page: Page, server: Server, renderer: bool) -> None:
    open_tiny(page, "01 Excited, round by round")
    page.evaluate(SWITCH, ["StepEdit_IterativeEdit", MUTED])
    assert "StepEdit_IterativeEdit" not in {e["class_type"] for e in page.prompt().values()}
    status, answer = server.post("/prompt", {"prompt": page.prompt()})
    assert status == 400  # nothing is left to run, and each player says what it lacks
    assert "audio" in json.dumps(answer["node_errors"])
    assert page.errors == []


@pytest.mark.parametrize("mode", [MUTED, BYPASSED], ids=["muted", "bypassed"])
def test_an_edit_switched_off_leaves_the_others_of_the_chain(
    page: Page, server: Server, renderer: bool, mode: int
) -> None:
    open_tiny(page, "04 Sad, then slower")
    page.evaluate(SWITCH, ["StepEdit_Emotion", mode])
    shown, _ = run(page, server)
    (clip,) = shown["StepEdit_IterativeEdit"]["stepedit_rounds"]
    assert [row["edit"] for row in clip["rounds"]] == ["input", "speed slower", "speed slower"]
    assert page.errors == []


def test_the_only_edit_bypassed_is_refused_with_the_name_of_what_is_missing(
    page: Page, server: Server, renderer: bool
) -> None:
    open_tiny(page, "01 Excited, round by round")
    page.evaluate(SWITCH, ["StepEdit_Emotion", BYPASSED])
    status, answer = server.post("/prompt", {"prompt": page.prompt()})
    assert status == 400
    (errors,) = [
        value["errors"]
        for value in answer["node_errors"].values()
        if value["class_type"] == "StepEdit_IterativeEdit"
    ]
    assert [error["details"] for error in errors] == ["edit"]
    assert page.errors == []


NEWER = {
    "StepEdit_LoadModel": ["keep_converted", "adapter"],
    "StepEdit_IterativeEdit": ["best_round", "recogniser", "strength"],
}
"""Widgets at the end of a node that the first versions had not."""


def test_a_workflow_of_an_older_version_opens_with_the_newer_widgets_at_their_defaults(
    page: Page, server: Server, renderer: bool
) -> None:
    workflow = tiny("01 Excited, round by round")
    for node in workflow["nodes"]:
        newer = NEWER.get(node["type"], [])
        node["inputs"] = [i for i in node.get("inputs", []) if i["name"] not in newer]
        if newer:
            del node["widgets_values"][-len(newer) :]
    page.load(workflow)
    sent = {entry["class_type"]: entry["inputs"] for entry in page.prompt().values()}
    assert sent["StepEdit_LoadModel"]["bundle"] == "tiny"
    assert sent["StepEdit_LoadModel"]["adapter"] == "none"
    assert sent["StepEdit_LoadModel"]["keep_converted"] is False
    newest = [sent["StepEdit_IterativeEdit"][name] for name in NEWER["StepEdit_IterativeEdit"]]
    assert newest == [0, "auto", 1]
    shown, refused = run(page, server)
    assert "StepEdit_IterativeEdit" in shown
    assert not refused
    assert page.errors == []


HOSTILE = "<img src=x onerror=\"document.title='hacked'\">"


def test_hostile_words_are_shown_as_words_where_the_editor_tells_errors(
    page: Page, renderer: bool
) -> None:
    workflow = tiny("01 Excited, round by round")
    for node in workflow["nodes"]:
        if node["type"] == "StepEdit_LoadModel":
            node["widgets_values"][0] = HOSTILE
    page.load(workflow)
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    panel = page.page.get_by_test_id("error-overlay-see-errors")  # newer editors tell it in steps
    more = page.page.get_by_role("button", name=re.compile("^Info for "), expanded=False)
    end = time.monotonic() + 20 * PATIENCE
    while "no bundle '<img src=x" not in page.page.locator("body").inner_text():
        assert time.monotonic() < end, "the sentence is not shown"
        for step in (panel, more):
            if step.count() and step.first.is_visible():
                step.first.click()
        page.page.wait_for_timeout(200)
    assert page.page.locator("img[src='x']").count() == 0
    assert page.page.title() != "hacked"
    page.page.keyboard.press("Escape")
    assert page.errors == []


HEARD = """
async () => {
  const node = app.graph.nodes.find((one) => one.type === "StepEdit_IterativeEdit");
  const [clip] = node.widgets.find((one) => one.name === "listen").value;
  const sounds = [];
  for (const { file } of clip?.rounds ?? []) {
    const answer = await fetch(`/view?${new URLSearchParams(file)}`, { cache: "no-store" });
    const digest = await crypto.subtle.digest("SHA-256", await answer.arrayBuffer());
    sounds.push(Array.from(new Uint8Array(digest)).join());
  }
  return sounds;
}
"""
"""Digests of the files after the listening panel of the one Iterative Edit."""
SEED = """
(seed) => {
  const node = app.graph.nodes.find((one) => one.type === "StepEdit_IterativeEdit");
  node.widgets.find((one) => one.name === "seed").value = seed;
}
"""


def heard_after_a_run(tab: Page, rounds: int) -> list[str]:
    """What a tab plays once its own run has filled its panel."""
    tab.evaluate("async () => { await app.queuePrompt(0, 1); }")
    end = time.monotonic() + 60 * PATIENCE
    while tab.page.locator(".stepedit").get_by_role("radio").count() != rounds:
        assert time.monotonic() < end, "the panel stays empty"
        tab.page.wait_for_timeout(200)
    tab.page.wait_for_timeout(1000)  # for what may reach another tab late
    return list(tab.evaluate(HEARD))


def test_two_tabs_with_the_same_workflow_hear_their_own_rounds(page: Page, server: Server) -> None:
    other = open_tab(page.page.context, server.url)
    for seed, tab in ((301, page), (302, other)):
        open_tiny(tab, "01 Excited, round by round")
        tab.evaluate(SEED, seed)
        assert tab.evaluate(HEARD) == []
    second = heard_after_a_run(other, 4)
    assert page.evaluate(HEARD) == []
    first = heard_after_a_run(page, 4)
    assert first[0] == second[0]  # the input
    assert not set(first[1:]) & set(second)
    assert other.evaluate(HEARD) == second
    assert page.errors == other.errors == []
    other.page.close()


def test_a_second_copy_of_the_pack_leaves_the_panels_to_the_first(page: Page) -> None:
    page.evaluate("async () => { await import('/extensions/ComfyUI-StepEdit.v2/stepedit.js?2'); }")
    assert page.errors == []
    assert (
        page.evaluate("() => app.extensions.filter((one) => one.name === 'stepedit.panels').length")
        == 1
    )


def test_the_help_of_a_node_opens_in_the_editor(page: Page) -> None:
    text = page.evaluate(
        "async () => await (await fetch('/extensions/ComfyUI-StepEdit.v2/docs/"
        "StepEdit_Vocode.md')).text()"
    )
    assert text.startswith("# Vocode")
