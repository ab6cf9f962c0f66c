"""Takes: what every run of an Iterative Edit has made so far, kept for the panel in the browser.

They lie in the panel's file (`panel_files.py`), which is
{"takes": [take, ...], "last": {"prompt", "state", "error"}}; a take is {"take", "prompt", "state",
"seed", "asked", "voice", "strength", "clips"}, and a clip {"best", "warnings", "rounds"} with the
rows of nodes/rounds.py. A take of an older version has no "strength"; it was 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .panel_files import PanelFile, panel_name, stated

MOST_TAKES = 30


class TakeLog:
    """Writes one take of one panel, round by round; without a panel it does nothing."""

    def __init__(self, panel: str | None, used: Mapping[str, Any]) -> None:
        """`used` is what made the take: seed, asked, voice, strength."""
        self._file = PanelFile("takes", panel)
        self._older = _older(self._file)
        self._take: dict[str, Any] = {
            "take": 1 + max((old["take"] for old in self._older), default=0),
            "prompt": self._file.prompt,
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
        with stated(self._write):
            yield

    def _write(self, state: str, error: str = "") -> None:
        mine = {**self._take, "state": state}
        kept = [old for old in self._older if not _begins(old, mine)]
        same = next((old for old in self._older if _begins(old, mine)), None)
        if same is not None:  # the same sounds, and more of them: the take goes by its old number
            mine["take"] = self._take["take"] = same["take"]
        made = any(len(clip["rounds"]) > 1 for clip in mine["clips"])
        if state == "running" or (made and not any(_begins(mine, old) for old in kept)):
            kept = sorted([*kept, mine], key=lambda take: int(take["take"]))
        last = {"prompt": mine["prompt"], "state": state, "error": error}
        self._file.write({"takes": kept[-MOST_TAKES:], "last": last})


def log_for(hidden: Any, used: Mapping[str, Any]) -> TakeLog:
    """The log of a node; `hidden` is what ComfyUI gives it beside its inputs."""
    workflow = (hidden.extra_pnginfo or {}).get("workflow")
    return TakeLog(panel_name(workflow, hidden.unique_id), used)


def _older(file: PanelFile) -> list[dict[str, Any]]:
    """The takes of a file; none where it cannot be read."""
    try:
        takes: list[dict[str, Any]] = file.read()["takes"]
        for take in takes:
            _sounds(take)
            take["take"] = int(take["take"])
    except (ValueError, KeyError, TypeError):
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
