"""Files of the panels: what a panel shows, kept beside the sounds in ComfyUI's temp folder.

The browser finds them again after a cancelled run and when the page is loaded anew. A panel has a
name among the properties of its node; a prompt that no editor sent has no panel, and no file.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import folder_paths
from comfy.model_management import InterruptProcessingException
from comfy_execution.utils import get_executing_context

from ...stepedit_core.files.reading import read_object, said_of
from ...stepedit_core.files.whole import write_whole
from ...stepedit_core.printable import shown
from .progress import tell
from .sound import PREVIEWS

log = logging.getLogger(__name__)

CHANGED = "stepedit.takes"
"""Message to the browser: the file of a panel has changed."""
PROPERTY = "stepedit_takes"
"""Property of a node in the editor: the name of its panel, then names it had in other workflows."""
_NAME = re.compile(r"[0-9a-f]{32}")
_BYTES = 32 << 20
"""A larger file was not written here."""


class PanelFile:
    """The file of one panel; without a panel it does nothing."""

    def __init__(self, kind: str, panel: str | None) -> None:
        """`kind` begins the file's name: takes or shown."""
        context = get_executing_context()
        self.prompt = "" if context is None else context.prompt_id
        self._node = "" if context is None else context.node_id
        self._panel = panel
        self.path = None if panel is None else _path(kind, panel)

    def read(self) -> dict[str, Any]:
        """What is in it; nothing where it is missing or damaged."""
        if self.path is None:
            return {}
        with suppress(OSError, ValueError):
            return read_object(self.path, _BYTES)
        return {}

    def write(self, data: dict[str, Any]) -> None:
        """Write it whole, and tell the browser."""
        if self.path is None:
            return
        text = json.dumps(data, allow_nan=False)
        try:
            write_whole(self.path, text)
        except OSError as failed:  # the sounds are worth more than the panel's notes on them
            log.warning("StepEdit: what a panel shows was not written (%s)", shown(said_of(failed)))
            return
        tell(CHANGED, {"prompt_id": self.prompt, "node": self._node, "panel": self._panel})


@contextmanager
def stated(write: Callable[[str, str], None]) -> Iterator[None]:
    """Write down how a block begins and ends: done, cancelled, or with which sentence it failed."""
    write("running", "")
    try:
        yield
    except InterruptProcessingException:
        write("cancelled", "")
        raise
    except Exception as error:
        write("error", said_of(error))
        raise
    write("done", "")


def panel_name(workflow: object, node: object) -> str | None:
    """Name of the panel of a node, from the workflow that the browser sent with the prompt.

    `node` is its number, with those of the subgraphs around it: "3:7". None where there is no
    panel, for example in a prompt that no editor sent. The workflow may be anybody's.
    """
    name = node_property(workflow, node, PROPERTY).split(" ")[0]
    return name if _NAME.fullmatch(name) else None


def node_property(workflow: object, node: object, key: str) -> str:
    """A property of a node in a workflow that the browser sent; empty where it has none."""
    found: Any = workflow
    with suppress(KeyError, TypeError, AttributeError, StopIteration):
        inner = {graph["id"]: graph for graph in _list(found.get("definitions"), "subgraphs")}
        entry: Any = None
        for number in str(node).split(":"):
            graph = found if entry is None else inner[entry["type"]]
            entry = next(one for one in graph["nodes"] if str(one["id"]) == number)
        return str(entry["properties"][key])
    return ""


def _list(value: Any, key: str) -> Any:
    return value[key] if isinstance(value, dict) and isinstance(value.get(key), list) else []


def _path(kind: str, panel: str) -> Path:
    folder = Path(folder_paths.get_temp_directory(), PREVIEWS)
    with suppress(OSError):  # said when the file is written
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{kind}_{panel}.json"
