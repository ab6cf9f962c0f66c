"""Takes: what every run of an Iterative Edit has made so far, kept for the panel in the browser.

They lie beside the sounds in ComfyUI's temp folder, one JSON file for each panel, so that the
browser finds them again after a cancelled run and when the page is loaded anew. The file is
{"takes": [take, ...], "last": {"prompt", "state", "error"}}; a take is {"take", "prompt", "state",
"seed", "asked", "voice", "clips"}, and a clip {"best", "warnings", "rounds"} with the rows of
nodes/rounds.py.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
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
MOST_TAKES = 30
_NAME = re.compile(r"[0-9a-f]{32}")
_BYTES = 32 << 20
"""A larger file was not written here."""


class TakeLog:
    """Writes one take of one panel, round by round; without a panel it does nothing."""

    def __init__(self, panel: str | None, used: Mapping[str, Any]) -> None:
        """`used` is what made the take: seed, asked, voice."""
        context = get_executing_context()
        self._node = "" if context is None else context.node_id
        self._panel = panel
        self._path = None if panel is None else _file(panel)
        self._older = [] if self._path is None else _read(self._path)
        self._take: dict[str, Any] = {
            "take": 1 + max((old["take"] for old in self._older), default=0),
            "prompt": "" if context is None else context.prompt_id,
            "state": "running",
            **used,
            "clips": [],
        }

    def add(self, clip: int, row: Mapping[str, Any]) -> None:
        """A finished round of a clip, counted from 0."""
        if clip == len(self._take["clips"]):
            self._take["clips"].append({"best": None, "rounds": []})
        self._take["clips"][clip]["rounds"].append(row)
        self._write("running")

    def chosen(self, clip: int, best: int, warnings: Sequence[str] = ()) -> None:
        """The round that the run gives for a clip, and what is wrong with the run as a whole."""
        self._take["clips"][clip] |= {"best": best, "warnings": list(warnings)}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write down how the block ends: done, cancelled, or with which sentence it failed."""
        self._write("running")
        try:
            yield
        except InterruptProcessingException:
            self._write("cancelled")
            raise
        except Exception as error:
            self._write("error", said_of(error))
            raise
        self._write("done")

    def _write(self, state: str, error: str = "") -> None:
        if self._path is None:
            return
        mine = {**self._take, "state": state}
        kept = [old for old in self._older if not _begins(old, mine)]
        same = next((old for old in self._older if _begins(old, mine)), None)
        if same is not None:  # the same sounds, and more of them: the take goes by its old number
            mine["take"] = self._take["take"] = same["take"]
        made = any(len(clip["rounds"]) > 1 for clip in mine["clips"])
        if state == "running" or (made and not any(_begins(mine, old) for old in kept)):
            kept = sorted([*kept, mine], key=lambda take: int(take["take"]))
        last = {"prompt": mine["prompt"], "state": state, "error": error}
        text = json.dumps({"takes": kept[-MOST_TAKES:], "last": last}, allow_nan=False)
        try:
            write_whole(self._path, text)
        except OSError as failed:  # the sounds are worth more than the panel's notes on them
            log.warning(
                "StepEdit: the panel's list of takes was not written (%s)", shown(said_of(failed))
            )
            return
        tell(CHANGED, {"prompt_id": mine["prompt"], "node": self._node, "panel": self._panel})


def panel_name(workflow: object, node: object) -> str | None:
    """Name of the panel of a node, from the workflow that the browser sent with the prompt.

    `node` is its number, with those of the subgraphs around it: "3:7". None where there is no
    panel, for example in a prompt that no editor sent. The workflow may be anybody's.
    """
    found: Any = workflow
    with suppress(KeyError, TypeError, AttributeError, StopIteration):
        inner = {graph["id"]: graph for graph in _list(found.get("definitions"), "subgraphs")}
        entry: Any = None
        for number in str(node).split(":"):
            graph = found if entry is None else inner[entry["type"]]
            entry = next(one for one in graph["nodes"] if str(one["id"]) == number)
        name = str(entry["properties"][PROPERTY]).split(" ")[0]
        return name if _NAME.fullmatch(name) else None
    return None


def _list(value: Any, key: str) -> Any:
    return value[key] if isinstance(value, dict) and isinstance(value.get(key), list) else []


def _file(panel: str) -> Path:
    folder = Path(folder_paths.get_temp_directory(), PREVIEWS)
    with suppress(OSError):  # said when the file is written
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f"takes_{panel}.json"


def _read(path: Path) -> list[dict[str, Any]]:
    """The takes of a file; none where it cannot be read."""
    try:
        takes: list[dict[str, Any]] = read_object(path, _BYTES)["takes"]
        for take in takes:
            _sounds(take)
            take["take"] = int(take["take"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
    for take in takes:
        if take.get("state") == "running":  # its process was ended
            take["state"] = "cancelled"
    return takes


def _sounds(take: dict[str, Any]) -> list[list[str | None]]:
    """Names of the files of each clip of a take."""
    return [
        [row["file"] and row["file"]["filename"] for row in clip["rounds"]]
        for clip in take["clips"]
    ]


def _begins(short: dict[str, Any], long: dict[str, Any]) -> bool:
    """Whether all sounds of one take are the first sounds of another."""
    pairs = list(zip(_sounds(short), _sounds(long), strict=False))
    return 0 < len(short["clips"]) <= len(long["clips"]) and all(
        b[: len(a)] == a and None not in a for a, b in pairs
    )
