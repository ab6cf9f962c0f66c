"""What a user sees of a running node, and ComfyUI's Cancel."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from comfy import model_management
from comfy.utils import ProgressBar
from comfy_execution.utils import get_executing_context
from server import PromptServer

from ...stepedit_core.printable import shown
from ...stepedit_core.types import stage_named

LINE = "stepedit.line"
"""Message to the browser: prompt_id, node and text of a line. ComfyUI's own message of this kind
names no prompt, and the editor draws it on any node with that number in the open workflow."""
BAR_UNITS = 1000
BAR_SECONDS = 0.1
"""Least time between two messages to the browser."""


def say(text: str) -> None:
    """A line on the node that runs, in the browser that queued it; web/runs.mjs finds the node."""
    context = get_executing_context()
    if context is not None:
        told = {"prompt_id": context.prompt_id, "node": context.node_id, "text": text}
        tell(LINE, told)


def tell(message: str, told: dict[str, Any]) -> None:
    """A message to the browser that queued what runs now; to nobody where there is none."""
    server = PromptServer.instance
    if server.client_id is not None:
        server.send_sync(message, told, server.client_id)


class GraphHooks:
    """Progress bar and line of the running node, and ComfyUI's Cancel.

    With `rounds` the bar covers so many whole rounds of each of `clips`; without, the one stage
    the node runs.
    """

    def __init__(self, rounds: int = 0, clips: int = 1) -> None:
        self._rounds = rounds
        self._clips = clips
        self._finished = 0
        self._bar = ProgressBar(BAR_UNITS)
        self._part = 0.0  # of the whole bar; a round that is made again does not move it back
        self._sent = 0.0
        self._score: float | None = None
        self._line = ""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Move the bar, at most ten times a second."""
        now = time.monotonic()
        part = done / max(total, 1)
        if now - self._sent < BAR_SECONDS and part < 1:
            return
        self._sent = now
        if self._rounds:
            where = stage_named(stage)
            self._say(f"{where.doing}{self._last_score()}")
            least = self._rounds * self._clips
            part = min(self._finished + where.start + where.share * part, least) / least
            part = self._part = max(self._part, part)
        self._bar.update_absolute(round(part * BAR_UNITS), BAR_UNITS)

    def check(self) -> None:
        """Raise ComfyUI's own exception when the user pressed Cancel."""
        model_management.throw_exception_if_processing_interrupted()

    def round_finished(self, number: int, score: float | None) -> None:
        """Count a finished round; the input, round 0, fills no part of the bar."""
        self._score = score
        if number:
            self._say(f"done{self._last_score()}")
            self._finished += 1
            self._bar.update_absolute(
                BAR_UNITS * self._finished // (self._rounds * self._clips), BAR_UNITS
            )

    def clip_finished(self, number: int) -> None:
        """Count the rounds of so many clips, also those that were not made."""
        self._finished = max(self._finished, number * self._rounds)

    def finish(
        self,
        best: int,
        score: float | None,
        *,
        made: int | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        """Leave a line that says how it ended.

        `made` rounds of those that were asked for; None for all.
        """
        self._score = score
        count = self._rounds if made is None else made
        rounds = "1 round" if count == 1 else f"{count} rounds"
        which = f"round {best}" if best else "the recording"
        done = f"done: {rounds}, best is {which}{shown(self._last_score())}"
        say(" ".join([done + "." if warnings else done, *(shown(said, 400) for said in warnings)]))

    def _last_score(self) -> str:
        return "" if self._score is None else f", score {self._score:.1f}"

    def _say(self, words: str) -> None:
        """Where the run is, whenever that changes."""
        clip, round_ = divmod(self._finished, self._rounds)
        which = f"clip {clip + 1} of {self._clips}, " if self._clips > 1 else ""
        line = f"{which}round {round_ + 1} of {self._rounds}, {words}"
        if line != self._line:
            self._line = line
            say(line)


class CountingHooks(GraphHooks):
    """A bar and a line that count what a run is made of: pieces of a recording, lines of a script.

    `what` is the stage that the library reports them by; `says` names one of them, where it is
    not that word.
    """

    def __init__(self, what: str, says: str = "") -> None:
        super().__init__()
        self._what, self._says = what, says or what

    def progress(self, stage: str, done: int, total: int) -> None:
        """Say how many are done; what happens inside of one moves nothing."""
        if stage != self._what:
            return
        say(f"{shown(self._says)} {int(done)} of {total}")
        super().progress(stage, done, total)
