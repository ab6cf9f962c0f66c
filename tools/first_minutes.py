"""A new user's first minutes, by script: an empty ComfyUI, the pack, a browser, the templates.

    python -m tools.first_minutes [folder for screenshots]

Prints one line for each step with its seconds, and what the page complained about.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.browser.page import Page, open_page
from tests.server.comfyui import PACK_NAME, PATIENCE, Server

FIRST = "01 Excited, round by round"
PANEL = "Rounds to listen to"
OPEN = """
async ([pack, name]) => {
  const answer = await fetch(`/api/workflow_templates/${pack}/${encodeURIComponent(name)}.json`);
  await app.loadGraphData(await answer.json());
  const known = LiteGraph.registered_node_types;
  return app.graph.nodes.filter((node) => !(node.type in known)).map((node) => node.type);
}
"""

PICTURES = """
() => [...document.querySelectorAll("[role=dialog] img")].filter((i) => i.naturalWidth).length
"""
CLOSE = """
() => {
  const cross = "[class*=times], [class*='lucide--x']";
  const buttons = [...document.querySelectorAll("[role=dialog] button")];
  const found = buttons.find((button) => button.querySelector(cross));
  if (!found) throw new Error(buttons.map((button) => button.outerHTML).join("\\n"));
  found.click();
}
"""


def say(line: str) -> None:
    """One line of the report."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def step(what: str) -> Iterator[None]:
    """Time the block and print it."""
    started = time.monotonic()
    yield
    say(f"{time.monotonic() - started:6.1f} s  {what}")


def dialog(page: Page) -> int:
    """Open the editor's template browser and count the pack's cards; 0 when it shows none."""
    page.evaluate("async () => await app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    shown = page.page.get_by_text(PACK_NAME, exact=False).first
    shown.wait_for(timeout=20_000 * PATIENCE)
    shown.click()
    page.page.get_by_role("img", name=FIRST).wait_for(timeout=20_000 * PATIENCE)
    page.page.wait_for_timeout(500)
    count: int = page.evaluate(PICTURES)
    return count


def main(shots: Path | None) -> None:
    """Walk through it."""
    begun = time.monotonic()
    with TemporaryDirectory() as folder:
        server = Server(Path(folder))
        with step("ComfyUI starts with the pack"):
            server.start()
        try:
            walk(server, shots)
        finally:
            server.stop()
    say(f"{time.monotonic() - begun:6.1f} s  all of it")


def walk(server: Server, shots: Path | None) -> None:
    """Everything that happens in the browser."""
    complaints: list[str] = []
    with open_page(server.url, width=1900, height=1000) as page:
        page.page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        with step("the template browser lists the pack's cards"):
            cards = dialog(page)
        shoot(page, shots, "templates")
        page.evaluate(CLOSE)
        page.page.get_by_role("dialog").wait_for(state="hidden", timeout=20_000 * PATIENCE)
        (names,) = [v for k, v in server.get("/workflow_templates").items() if k == PACK_NAME]
        for name in sorted(names):
            with step(f"{name} opens"):
                missing = page.evaluate(OPEN, [PACK_NAME, name])
                page.page.wait_for_timeout(300)
            assert missing == [], missing
        page.evaluate(OPEN, [PACK_NAME, FIRST])
        rows = page.page.get_by_role("group", name=PANEL).get_by_role("radio")
        with step(f"{FIRST} runs: four rounds stand in the panel"):
            page.evaluate("async () => { await app.queuePrompt(0, 1); }")
            rows.nth(3).wait_for(timeout=240_000 * PATIENCE)
        with step("the third round plays"):
            group = page.page.get_by_role("group", name=PANEL)
            group.focus()
            page.page.keyboard.press("3")
            group.get_by_role("button", name="Play").click()
            group.get_by_role("button", name="Pause").wait_for(timeout=20_000 * PATIENCE)
        shoot(page, shots, "first_run")
        say(f"cards with a picture: {cards}; templates opened: {len(names)}")
        say(f"errors of the page: {page.errors}")
        say(f"errors in the console: {sorted(set(complaints))}")


def shoot(page: Page, shots: Path | None, name: str) -> None:
    """Keep a picture of the page."""
    if shots is not None:
        shots.mkdir(parents=True, exist_ok=True)
        page.page.screenshot(path=shots / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
