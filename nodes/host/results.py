"""The last result of a panel, so that a page that is loaded anew shows it again.

It lies in the panel's file (`panel_files.py`): {"told": [...], "last": {"prompt", "state",
"error"}}; `told` is what the node also gives as its ui.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .panel_files import PanelFile, node_property, panel_name, stated

SOURCE = "stepedit_source"
"""Property of a node in the editor: which sound its input led to when the run was asked for."""


class ResultLog:
    """Keeps the last result of one panel, and says how its newest run ended."""

    def __init__(self, extra: Mapping[str, Any] | None, node: object) -> None:
        """`extra` is what the browser sent with the prompt."""
        workflow = (extra or {}).get("workflow")
        self._file = PanelFile("shown", panel_name(workflow, node))
        self._told = self._file.read().get("told", [])
        said = node_property(workflow, node, SOURCE)
        self.source = said if re.fullmatch(r"[0-9a-f]{1,16}", said) else ""
        """Named by the browser: another one is another sound."""

    def keep(self, told: list[dict[str, Any]]) -> None:
        """The result of this run."""
        self._told = told

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write down how the block ends; until then the result before stays."""
        with stated(self._write):
            yield

    def _write(self, state: str, error: str) -> None:
        last = {"prompt": self._file.prompt, "state": state, "error": error}
        self._file.write({"told": self._told, "last": last})
