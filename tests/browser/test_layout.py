"""Where the nodes of the shipped workflows lie after a run, in both renderers: none on another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.page import Page
from tests.browser.panel import shoot, until
from tests.browser.test_editor import FILES, open_tiny, read
from tests.server.comfyui import PATIENCE, Server

pytestmark = pytest.mark.browser
FIT = """
() => {
  const { ds, canvas } = app.canvas;
  ds.scale = 0.4;
  ds.offset = [60, 120];
  app.canvas.setDirty(true, true);
}
"""
BOXES = """
(vue) => {
  const of = (node) => node.title || node.type;
  if (!vue)
    return app.graph.nodes.map((node) => {
      const [x, y, wide, tall] = node.getBounding();
      return [of(node), x, y, wide, tall];
    });
  const { scale } = app.canvas.ds;
  return [...document.querySelectorAll("[data-node-id]")]
    .filter((one) => one.classList.contains("lg-node"))
    .map((element) => {
      const { x, y, width, height } = element.getBoundingClientRect();
      const node = app.graph.getNodeById(element.dataset.nodeId);
      return [of(node), x / scale, y / scale, width / scale, height / scale];
    });
}
"""
"""Title, left, top, width and height of every node, in units of the canvas."""
WIRES = """
(types) => types.map((type) => [
  type,
  app.canvas.constructor.link_type_colors[type],
  app.canvas.default_connection_color_byType[type],
  getComputedStyle(document.body).getPropertyValue(`--color-datatype-${type}`).trim(),
])
"""
"""Type, and its colour as a wire, as a socket of the canvas, and as a socket of Nodes 2.0."""
TYPES = {
    f"STEPEDIT_{name}" for name in ("MODEL", "EDIT", "TOKENS", "VOICE", "MEL", "WORDS")
}  # of nodes/compat.py


def overlaps(boxes: list[list[Any]]) -> list[tuple[str, str]]:
    """Pairs of nodes that share a part of the canvas."""
    found = []
    for number, (name, x, y, wide, tall) in enumerate(boxes):
        for other, left, top, width, height in boxes[number + 1 :]:
            beside = x + wide <= left or left + width <= x
            above = y + tall <= top or top + height <= y
            if not (beside or above):
                found.append((name, other))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_node_lies_on_another_before_or_after_a_run(
    page: Page, server: Server, renderer: bool, path: Path
) -> None:
    if path.stem[:2] < "07":
        open_tiny(page, path.stem)
    else:  # their words and seconds are those of their own recordings
        page.load(read(path))
    page.evaluate(FIT)
    count = page.evaluate("() => app.graph.nodes.length")
    until(page, lambda: len(page.evaluate(BOXES, renderer)) == count)
    page.page.wait_for_timeout(300)
    assert overlaps(page.evaluate(BOXES, renderer)) == []
    before = len(server.get("/history"))
    page.evaluate("async () => { await app.queuePrompt(0, 1); }")
    until(page, lambda: len(server.get("/history")) > before, 200)
    (entry,) = list(server.get("/history").values())[before:]
    assert entry["status"]["status_str"] == "success", entry["status"]
    players = page.page.locator(".stepedit audio")
    until(page, lambda: players.count() >= 1, 60 * PATIENCE)
    page.page.wait_for_timeout(1000)  # for pictures and texts that make a node grow
    assert overlaps(page.evaluate(BOXES, renderer)) == []
    shoot(page, f"layout_{path.stem[:2]}_{'nodes2' if renderer else 'canvas'}")
    assert page.errors == []


def test_the_packs_wires_have_colours_of_their_own(page: Page, renderer: bool) -> None:
    open_tiny(page, FILES[1].stem)
    page.page.wait_for_timeout(300)
    found = page.evaluate(WIRES, sorted(TYPES))
    for name, drawn, socket, style in found:
        assert drawn, name
        assert drawn == socket == style, name
    assert len({drawn for _, drawn, _, _ in found}) == len(TYPES)
    assert page.errors == []
