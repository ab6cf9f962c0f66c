"""What a real run leaves in the panel: rounds as they come, takes, a star that keeps the sound."""

from __future__ import annotations

import json
import re
import shutil
import time
from typing import Any

import pytest

from tests.browser.page import Page
from tests.browser.panel import panel, until
from tests.conftest import REPOSITORY
from tests.server.comfyui import Server

pytestmark = pytest.mark.browser
PATH = "01_edit_emotion_by_rounds"
WIDGET = """
([name, value]) => {
  const node = app.graph.nodes.find((one) => one.type === "StepEdit_IterativeEdit");
  const widget = node.widgets.find((one) => one.name === name);
  if (value !== null) widget.value = value;
  return widget.value;
}
"""
HEARD = """
async () => {
  const sounds = [];
  const node = app.graph.nodes.find((one) => one.type === "StepEdit_IterativeEdit");
  for (const { file } of node.widgets.find((one) => one.name === "listen").value[0].rounds) {
    const answer = await fetch(`/view?${new URLSearchParams(file)}`, { cache: "no-store" });
    const digest = await crypto.subtle.digest("SHA-256", await answer.arrayBuffer());
    sounds.push(Array.from(new Uint8Array(digest)).join());
  }
  return sounds;
}
"""
"""Digests of the files that the panel plays."""


def widget(page: Page, name: str, value: Any = None) -> Any:
    """Set, and read, a widget of the one Iterative Edit."""
    return page.evaluate(WIDGET, [name, value])


def workflow(server: Server, rounds: int = 3) -> dict[str, Any]:
    """A shipped workflow on the tiny bundle, and a clip that no run has heard."""
    graph = json.loads((REPOSITORY / "workflows" / f"{PATH}.json").read_text("utf-8"))
    clip = f"speech-{time.monotonic_ns()}.wav"
    shutil.copy(server.base / "input" / "speech.wav", server.base / "input" / clip)
    values = {n["type"]: n["widgets_values"] for n in graph["nodes"] if "widgets_values" in n}
    values["StepEdit_LoadModel"][0] = "tiny"
    values["LoadAudio"][0] = clip
    values["StepEdit_IterativeEdit"][1] = rounds
    return dict(graph)


def run(page: Page, server: Server) -> dict[str, Any]:
    """Press Run and wait for the end; the entry of the history."""
    count = len(server.get("/history"))
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    until(page, lambda: len(server.get("/history")) > count, 60)
    entry: dict[str, Any] = list(server.get("/history").values())[-1]
    return entry


def rows(page: Page) -> int:
    return int(panel(page).get_by_role("radio").count())


def test_the_star_keeps_the_sound_of_a_node_on_randomize(
    page: Page, server: Server, renderer: bool
) -> None:
    page.load(workflow(server))
    widget(page, "control_after_generate", "randomize")
    run(page, server)
    until(page, lambda: rows(page) == 4)
    before = page.evaluate(HEARD)
    assert len(before) == 4
    panel(page).get_by_role("button", name="Make this round the best: 2").click()
    assert widget(page, "control_after_generate") == "fixed"
    (sent,) = [e for e in page.prompt().values() if e["class_type"] == "StepEdit_IterativeEdit"]
    assert sent["inputs"]["best_round"] == 2
    entry = run(page, server)
    assert entry["status"]["status_str"] == "success"
    page.page.wait_for_timeout(500)
    assert page.evaluate(HEARD) == before
    assert page.errors == []


SAID = """
() => [...document.querySelectorAll(".lg-node, .comfy-multiline-input, .dom-widget")]
  .map((one) => one.textContent || one.value || "").join(" / ")
"""
"""Whatever is written on nodes."""
LINE = re.compile(r"round \d+ of|best is round|loading tiny")


def test_a_line_lands_in_the_workflow_that_was_queued_and_nowhere_else(
    page: Page, server: Server, renderer: bool
) -> None:
    graph = workflow(server, rounds=6)
    page.load(graph)
    count = len(server.get("/history"))
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    page.load(workflow(server))  # another tab, whose nodes have the same numbers
    seen = set()
    while len(server.get("/history")) == count:
        seen |= set(LINE.findall(page.evaluate(SAID)))
        page.page.wait_for_timeout(20)
    page.page.wait_for_timeout(500)
    assert not seen
    assert rows(page) == 0
    assert page.errors == []


def test_a_line_is_seen_on_the_nodes_of_the_workflow_that_was_queued(
    page: Page, server: Server, renderer: bool
) -> None:
    page.load(workflow(server, rounds=6))
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    until(page, lambda: LINE.search(page.evaluate(SAID)) is not None)
    until(page, lambda: rows(page) == 7, 60)
    assert page.errors == []
