"""One node of ours alone in the editor, and what its panel shows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.browser.page import Page
from tests.conftest import REPOSITORY
from tests.server.comfyui import PATIENCE

SHOTS = Path(os.environ.get("STEPEDIT_SHOTS") or REPOSITORY / "runs" / "screenshots")
"""Where pictures of the panels are left, an artefact of the run; git ignores it."""

ONE_NODE = """
async ([type, values]) => {
  const node = LiteGraph.createNode(type);
  node.pos = [80, 80];
  app.graph.add(node);
  for (const [name, value] of Object.entries(values))
    node.widgets.find((w) => w.name === name).value = value;
  app.canvas.ds.scale = 1;
  app.canvas.ds.offset = [40, 40];
  app.canvas.setDirty(true, true);
}
"""
TELL = """
(told) => { app.canvas.graph.nodes[0].widgets.find((w) => w.name === "listen").value = told; }
"""
VALUE = """
(name) => app.graph.nodes.flatMap((n) => n.widgets ?? []).find((w) => w.name === name).value
"""
HOSTILE = "<img src=x onerror=\"document.title='hacked'\">"


def told(rounds: int = 4, **more: Any) -> dict[str, Any]:
    """What the server says of one clip."""
    return {
        "best": 2,
        "rounds": [
            {
                "round": number,
                "edit": "emotion happy" if number else "input",
                "kind": "emotion" if number else "",
                "option": "happy" if number else "",
                "word_distance": number / 10 if number else None,
                "seconds": 2.0,
                "score": 3.5 + number if number else None,
                "voice_similarity": 1 - number / 10,
                "file": {"filename": "speech.wav", "subfolder": "", "type": "input"},
                "peaks": [(7 * k * (number + 1)) % 101 for k in range(160)],
                **more,
            }
            for number in range(rounds)
        ],
    }


def until(page: Page, true: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for what the editor draws some frames later."""
    end = time.monotonic() + seconds * PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not happen"
        page.page.wait_for_timeout(100)


def open_node(page: Page, kind: str, **values: Any) -> None:
    """One node alone; Nodes 2.0 takes the elements of the graph before away a little later."""
    shown = page.page.locator(".stepedit")
    # newer frontends keep values by graph and number of node, and a cleared graph has the same id
    page.evaluate("() => { app.graph.clear(); app.graph.id = crypto.randomUUID(); }")
    until(page, lambda: shown.count() == 0)
    page.evaluate(ONE_NODE, [f"StepEdit_{kind}", values])
    until(page, lambda: shown.count() == 1 and shown.is_visible())


def tell(page: Page, *clips: dict[str, Any]) -> None:
    """What the server says after a run."""
    page.evaluate(TELL, list(clips))
    rounds = len(clips[0]["rounds"])
    until(page, lambda: panel(page).get_by_role("radio").count() == rounds)


def panel(page: Page) -> Any:
    return page.page.get_by_role("group", name="Rounds to listen to")


def shoot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.page.screenshot(path=SHOTS / f"{name}.png")
