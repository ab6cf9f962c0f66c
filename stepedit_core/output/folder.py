"""The folder a command leaves: waves, tokens and report.json, each written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ..audio.files import write_wav
from ..bundle.manifest import sha256_of
from ..files.lock import Lock
from ..files.terminal import table
from ..files.tokens import save_tokens
from ..files.whole import full_disk_said, hidden, ready_folder, restore, write_whole
from ..pipelines.best import best_round
from ..pipelines.plan import Plan
from ..pipelines.verdict import round_warnings
from ..printable import storable
from ..registry.handle import Bundle
from ..types import Round
from .older import (
    REPORT,
    STAGE,
    check_free,
    check_input,
    free_name,
    own_files,
    replace_result,
    settle,
)
from .report import report_of, report_text


class RunFolder:
    """Collects finished rounds; after each one the folder is complete for what is done.

    Where the folder has an older result, the new one grows in a hidden folder and takes its place
    when it is finished; until then, and after an error, the older one is as it was. A file that no
    run wrote is never replaced. Use it with `with`: the block is the one writer of the folder.

    Args:
        folder: made now.
        source: the recording.
        bundle: the model.
        plan: what is done; None for a clip that is only resynthesized.
        command: its name.
    """

    kept: Path | None = None
    """Where the rounds of a run lie that was stopped over an older result."""
    heard: str | None = None
    """What a recogniser heard in the clip before the run."""

    def __init__(
        self, folder: Path, source: str | Path, bundle: Bundle, plan: Plan | None, command: str
    ) -> None:
        names = names_of(command, 1 if plan is None else 1 + len(plan.steps))
        restore(folder.absolute().parent)
        made = not folder.exists()
        ready_folder(folder)
        self._lock = Lock(folder)
        try:
            settle(folder)
            check_input(folder, Path(source), [name for pair in names for name in pair])
            self._own = own_files(folder)
            check_free(folder, [*(name for pair in names for name in pair), REPORT], self._own)
            self._input = {"file": storable(Path(source).name), "sha256": sha256_of(Path(source))}
        except BaseException:
            self._lock.release()
            if made:
                _remove_empty(folder)
            raise
        self._folder, self._bundle, self._plan = folder, bundle, plan
        self._names, self._command, self._made = names, command, made
        self._stage = hidden(folder / STAGE)
        self._rounds: list[Round] = []
        self._files: dict[str, str] = {}

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep the rounds of a run that was stopped, and let the next run in."""
        try:
            if self._own and len(self._rounds) > 1 and self._stage.exists():
                self.kept = _kept(self._stage, self._folder)
        finally:
            shutil.rmtree(self._stage, ignore_errors=True)
            if self._made:
                _remove_empty(self._folder)
            self._lock.release()

    def add(self, made: Round) -> None:
        """Write a round's wave and tokens and list it."""
        wave, tokens = self._names[len(self._rounds)]
        with full_disk_said(self._folder / wave):
            self._stage.mkdir(exist_ok=True)
        write_wav(self._stage / wave, made.clip)
        save_tokens(made.codes, self._stage / tokens)
        self._files |= {name: sha256_of(self._stage / name) for name in (wave, tokens)}
        if self._own:
            self._rounds.append(made)
            self._write(self._stage, finished=False)
            return
        # a process that is killed between the two reports leaves files that the first one knows
        self._write(self._folder, finished=False)
        for name in (wave, tokens):
            os.replace(self._stage / name, self._folder / name)
        self._rounds.append(made)
        self._write(self._folder, finished=False)

    def finish(self) -> str:
        """Mark the report as finished, put it in the older one's place; the table for stdout."""
        if self._own:
            self._write(self._stage, finished=True)
            own = own_files(self._folder)
            check_free(self._folder, [*self._files, REPORT], own)
            replace_result(self._stage, self._folder, own)
        else:
            self._write(self._folder, finished=True)
        rows = []
        for number, made in enumerate(self._rounds):
            similarity = made.measures and f"{made.measures.similarity:.2f}"
            rows.append(
                (
                    str(number),
                    self._names[number][0],
                    f"{made.clip.seconds:.2f}",
                    "-" if made.score is None else f"{made.score:.1f}",
                    similarity or "-",
                    f"{made.seconds_elapsed:.2f}",
                )
            )
        shown_rounds = table(("round", "file", "seconds", "score", "voice", "elapsed"), rows)
        if len(rows) == 1 or best_round(self._rounds):
            return shown_rounds
        return f"{shown_rounds}\nbest: {self._names[0][0]}, the recording; no round holds"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with rounds of a finished run, a sentence each."""
        return round_warnings(self._rounds, best_round(self._rounds))

    def _write(self, place: Path, *, finished: bool) -> None:
        best = best_round(self._rounds) if finished else None
        report = report_of(self._bundle, self._plan, self._rounds, best=best)
        report |= {"command": self._command, "input": self._input, "finished": finished}
        report |= {"transcript_heard": self.heard, "files": self._files}
        for entry, (wave, tokens) in zip(report["rounds"], self._names, strict=False):
            entry |= {"file": wave, "tokens_file": tokens}
        write_whole(place / REPORT, report_text(report))


def names_of(command: str, rounds: int) -> Sequence[tuple[str, str]]:
    """Wave and tokens of each round of a command."""
    if command == "edit":
        return [(f"round_{k}.wav", f"tokens_{k}.safetensors") for k in range(rounds)]
    wave = {"clone": "clone.wav", "resynthesize": "resynthesized.wav"}[command]
    return [(wave, "tokens.safetensors")]


def _kept(stage: Path, folder: Path) -> Path:
    """Give the hidden folder a name that is seen, beside the folder or else in it."""
    place = free_name(folder)
    try:
        os.rename(stage, place)
    except OSError:  # the parent may not be written to, or is another disk
        place = free_name(folder / folder.name)
        os.rename(stage, place)
    return place


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
