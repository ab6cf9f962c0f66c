"""A real Chromium with the ComfyUI frontend open, and what its page complains about."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.server.comfyui import PATIENCE

READY = """
() => Boolean(window.app?.graph && window.LiteGraph?.registered_node_types?.StepEdit_LoadModel)
"""
CLOSE_DIALOGS = """
() => {
  const dialogs = [...document.querySelectorAll(".p-dialog-mask")];
  for (const one of dialogs) one.querySelector("button[aria-label=Close]")?.click();
  return dialogs.length;
}
"""
"""How many dialogs of the editor were open."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class NoBrowser(Exception):
    """Why no Chromium can be started here."""


def executable() -> str:
    """Path of a Chromium: $STEPEDIT_CHROMIUM, else one on PATH. Raises NoBrowser."""
    named = os.environ.get("STEPEDIT_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        raise NoBrowser("no Chromium on PATH; apt-get install chromium, or set STEPEDIT_CHROMIUM")
    return found


class Page:
    """The graph editor."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        """Uncaught exceptions of the page, and console errors that name this pack."""
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)

    def _console(self, message: Any) -> None:
        text = message.text
        foreign = "Content Security Policy" in text  # the frontend asks its registry about nodes
        if message.type == "error" and "stepedit" in text.lower() and not foreign:
            self.errors.append(text)

    def evaluate(self, code: str, value: Any = None) -> Any:
        """Result of a JavaScript function called with a value."""
        return self.page.evaluate(code, value)

    def close_dialogs(self) -> None:
        """Close what the editor says of a run that failed; newer editors say it without a dialog.

        It covers the graph, and it opens a moment after the panel has said the same.
        """
        quiet = 0
        for _ in range(int(100 * PATIENCE)):
            quiet = 0 if self.evaluate(CLOSE_DIALOGS) else quiet + 1
            if quiet > 3:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError("a dialog of the editor does not close")

    def load(self, workflow: dict[str, Any]) -> None:
        """Open a workflow as a user would by dropping its file."""
        self.evaluate("async (w) => { await app.loadGraphData(w); }", workflow)
        self.page.wait_for_timeout(300)

    def saved(self) -> dict[str, Any]:
        """What "Save" would write."""
        text: str = self.evaluate("() => JSON.stringify(app.graph.serialize())")
        return dict(json.loads(text))

    def prompt(self) -> dict[str, Any]:
        """What "Run" would send."""
        text = "async () => JSON.stringify((await app.graphToPrompt()).output)"
        return dict(json.loads(self.evaluate(text)))


def open_tab(context: Any, url: str) -> Page:
    """One more tab with the editor, once it knows the pack's nodes."""
    page = Page(context.new_page())
    page.page.goto(url, timeout=120_000 * PATIENCE)
    page.page.wait_for_function(READY, timeout=120_000 * PATIENCE)
    page.page.wait_for_timeout(1000)
    return page


@contextmanager
def open_page(url: str, *, width: int = 1600, height: int = 900) -> Iterator[Page]:
    """Open the editor and wait until the pack's nodes are known."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise NoBrowser(f"playwright is missing ({error}); pip install playwright") from error
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=executable(), args=["--no-sandbox"]
            )
        except Error as error:
            raise NoBrowser(f"Chromium does not start: {str(error).splitlines()[0]}") from error
        try:
            context = browser.new_context(viewport={"width": width, "height": height})
            yield open_tab(context, url)
        finally:
            browser.close()
