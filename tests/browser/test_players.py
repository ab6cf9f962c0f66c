"""Play and Save Audio in the real editor, in both renderers: a player for every clip of a list."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.page import Page
from tests.browser.panel import HOSTILE, open_node, shoot, until
from tests.server.comfyui import Server

pytestmark = pytest.mark.browser
TELL = """
(told) => { app.graph.nodes[0].widgets.find((w) => w.name === "players").value = told; }
"""
GRAPH = """
() => {
  const clip = LiteGraph.createNode("LoadAudio");
  app.graph.add(clip);
  clip.pos = [80, 500];
  clip.widgets.find((w) => w.name === "audio").value = "speech.wav";
  clip.connect(0, app.graph.nodes[0], 0);
}
"""


def clips(count: int, **file: str) -> list[dict[str, Any]]:
    """What the server says of a list of clips."""
    where = {"filename": "speech.wav", "subfolder": "", "type": "input", **file}
    return [{"file": where, "seconds": 2.0} for _ in range(count)]


def panel(page: Page) -> Any:
    return page.page.get_by_role("group", name="Clips to listen to")


@pytest.mark.parametrize("count", [1, 4, 12])
def test_a_list_has_a_player_for_every_clip(page: Page, renderer: bool, count: int) -> None:
    open_node(page, "PlayAndSave")
    assert panel(page).get_by_text("Run the graph").is_visible()
    page.evaluate(TELL, clips(count))
    players = panel(page).locator("audio")
    until(page, lambda: players.count() == count)
    until(page, lambda: players.evaluate_all("(all) => all.every((one) => one.duration > 1)"))
    assert players.nth(0).get_attribute("aria-label") == f"1 / {count}, 2.0 s"
    bottom = page.evaluate("() => app.graph.nodes[0].size[1]")
    assert bottom >= 46 * min(count, 8) + 60  # every row has its place, up to eight
    assert panel(page).get_by_role("link").nth(count - 1).get_attribute("download") == "speech.wav"
    shoot(page, f"players_{count}_{'nodes2' if renderer else 'canvas'}")
    assert page.errors == []


def test_hostile_names_are_shown_as_words(page: Page, renderer: bool) -> None:
    open_node(page, "PlayAndSave")
    page.evaluate(TELL, clips(1, filename=HOSTILE, type="output"))
    until(page, lambda: panel(page).locator("audio").count() == 1)
    assert panel(page).get_by_text(HOSTILE).count() == 1
    assert page.page.locator("img[src=x]").count() == 0
    assert page.page.title() != "hacked"
    page.errors.clear()  # the file is not there


def test_a_run_fills_the_players_once_and_the_stored_result_comes_back(
    page: Page, server: Server, renderer: bool
) -> None:
    open_node(page, "PlayAndSave", format="wav", filename_prefix="audio/browser")
    page.evaluate(GRAPH)
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    mine = panel(page).locator("audio")
    until(page, lambda: mine.count() == 1, 60)
    assert mine.first.get_attribute("aria-label").startswith("browser_0000")
    node = page.page.locator("body").locator("audio:visible")
    until(page, lambda: node.count() >= 1)
    sources = node.evaluate_all("(all) => all.map((one) => one.src)")
    assert sum("browser_" in source for source in sources) == 1, (
        "the core's own player repeats ours"
    )
    shoot(page, f"players_run_{'nodes2' if renderer else 'canvas'}")
    page.evaluate(
        """
        () => {
          app.graph.nodes[0].widgets.find((w) => w.name === "players").value = [];
          app.nodeOutputs = app.nodeOutputs;
        }
        """
    )
    until(page, lambda: mine.count() == 1)
    assert page.errors == []
