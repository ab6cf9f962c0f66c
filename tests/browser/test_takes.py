"""What a real run leaves in the panel: rounds as they come, takes, a star that keeps the sound."""

from __future__ import annotations

import json
import re
import shutil
import time
from typing import Any

import pytest

from tests.browser.page import READY, Page
from tests.browser.panel import panel, until
from tests.conftest import REPOSITORY
from tests.server.comfyui import PATIENCE, Server

pytestmark = pytest.mark.browser
PATH = "01 Excited, round by round"
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
  for (const link of document.querySelectorAll(".stepedit a.save")) {
    const answer = await fetch(link.href, { cache: "no-store" });
    const digest = await crypto.subtle.digest("SHA-256", await answer.arrayBuffer());
    sounds.push(Array.from(new Uint8Array(digest)).join());
  }
  return sounds;
}
"""
"""Digests of the files that the panel offers."""


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
    values["StepEdit_Emotion"][0] = "happy"  # which the tiny bundle offers
    values["LoadAudio"][0] = clip
    values["StepEdit_IterativeEdit"][1] = rounds
    return dict(graph)


def run(page: Page, server: Server) -> dict[str, Any]:
    """Press Run and wait for the end; the entry of the history."""
    until(page, lambda: panel(page).count() == 1)
    page.page.wait_for_timeout(
        300
    )  # the editor makes a loaded workflow the open one a little later
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
    graph = workflow(server, rounds=2)
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
    page.load(workflow(server, rounds=2))
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    until(page, lambda: LINE.search(page.evaluate(SAID)) is not None)
    until(page, lambda: rows(page) == 3, 60)
    assert page.errors == []


def queue(page: Page) -> None:
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")


def status(page: Page) -> str:
    return str(panel(page).locator(".note[role=status]").inner_text())


def test_rounds_can_be_heard_during_the_run_and_stay_after_cancel_and_a_new_page(
    page: Page, server: Server, renderer: bool
) -> None:
    page.load(workflow(server, rounds=10))
    count = len(server.get("/history"))
    queue(page)
    until(page, lambda: rows(page) >= 2, 60)
    assert len(server.get("/history")) == count  # it is still running
    panel(page).get_by_role("radio").nth(1).click()
    panel(page).get_by_role("button", name="Pause").wait_for(timeout=20_000 * PATIENCE)
    server.post("/interrupt", {})
    until(page, lambda: len(server.get("/history")) > count, 60)
    until(page, lambda: status(page).startswith("Cancelled."))
    kept = rows(page)
    assert 2 <= kept < 11
    sounds = page.evaluate(HEARD)
    page.page.reload()
    page.page.wait_for_function(READY, timeout=120_000 * PATIENCE)
    until(page, lambda: rows(page) == kept)
    assert page.evaluate(HEARD) == sounds
    assert page.errors == []


def test_takes_are_kept_and_one_more_round_is_the_same_take(
    page: Page, server: Server, renderer: bool
) -> None:
    page.load(workflow(server, rounds=1))
    takes = panel(page).get_by_role("group", name="Takes, one a run").get_by_role("button")
    heard = []
    for seed, strength, chips in ((401, 1.5, 0), (402, 1, 2)):
        widget(page, "seed", seed)
        widget(page, "strength", strength)
        run(page, server)
        until(page, lambda chips=chips: (rows(page), takes.count()) == (2, chips))
        heard.append(page.evaluate(HEARD))
    assert heard[0][0] == heard[1][0]  # the input
    assert heard[0][1] != heard[1][1]
    widget(page, "rounds", 2)
    run(page, server)
    until(page, lambda: (rows(page), takes.count()) == (3, 2))
    assert page.evaluate(HEARD)[:2] == heard[1]
    takes.nth(0).click()
    assert page.evaluate(HEARD) == heard[0]
    panel(page).get_by_role("button", name="Make this round the best: 1").click()
    made = [widget(page, name) for name in ("seed", "rounds", "strength")]
    assert made == [401, 1, 1.5]
    assert page.errors == []


def test_why_a_run_failed_is_said_inside_the_panel(
    page: Page, server: Server, renderer: bool
) -> None:
    page.load(workflow(server))
    widget(page, "text", "hello <|EOT|> world")
    run(page, server)
    alert = panel(page).get_by_role("alert")
    until(page, lambda: "contains the control token '<|EOT|>'" in alert.inner_text())
    widget(page, "text", "hello good morning world")
    widget(page, "rounds", 99)
    queue(page)  # refused before it runs
    until(page, lambda: "99" in alert.inner_text())
