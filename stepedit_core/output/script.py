"""All lines of a script, one after another, into one folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import soundfile
import torch

from ..audio.recording_files import open_recording
from ..audio.recordings import Recording, Source, write_recording
from ..files.reading import parse_object, said_of
from ..files.whole import DiskFullError
from ..measure.hearing import hear_surely
from ..measure.recognisers import VARIABLE, can_hear, recogniser_for
from ..measure.timeline import Recogniser, Word, find_phrase
from ..pipelines.line_edit import NOTHING_HEARS, LineDone, LineTools, edit_line
from ..pipelines.script_lines import AnyLine, BrokenLine, ScriptLine, line_from_json
from ..printable import said_once, shown, storable
from ..registry.handle import Bundle
from ..types import Hooks, SilentHooks
from .report import round_entry
from .script_folder import Entry, ScriptFolder, check_replaced, is_as_made, staged_in

STAGE = "line"
"""What the bar counts."""
COLUMNS = ("line", "seconds", "score", "voice", "what was done")
KEY = 1
"""Number of the way in which keys are made; another makes every line anew."""
AS_RECORDED = "as recorded"
"""State of a line whose result is its clip; "made" of every other."""
NOTHING_HELD = (
    "line '%s' stays as recorded: no round of it keeps its words and its voice. Its notes in "
    "script.json say more."
)
NO_MEMORY = (
    "there is too little free memory for this line. Run the same command again with fewer workers, "
    "or shorten the clip."
)
ROOM = "Check the disk's free space."
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ScriptRun:
    """What all lines of a run share."""

    bundle: Bundle
    base: Path
    """Where relative names of recordings begin."""
    seed: int = 0
    """Of lines without a seed."""
    recogniser: str = ""
    """Folder of a recogniser; empty: $STEPEDIT_RECOGNISER, or the bundle's own."""
    hooks: Hooks | None = None
    """Progress, counted in lines, and cancelling."""


@dataclass(frozen=True, kw_only=True)
class LineTask:
    """One line for a worker, as plain values that any process can receive."""

    line: str
    """A ScriptLine as JSON."""
    older: str
    """Key, file and sha256 of an older result as JSON; empty where there is none."""
    out: str
    """The folder of results."""


Engine = Callable[[Sequence[LineTask]], Generator[tuple[int, str], None, None]]
"""Gives the place of each task and the answer of a LineWorker to it, as they are finished."""


def run_script(
    lines: Sequence[AnyLine], out: Path, run: ScriptRun, *, engine: Engine | None = None
) -> list[Entry]:
    """The manifest's entries of all lines, in their order.

    Lines whose content is as in an older run into the same folder are not made again. A line that
    fails has an entry with the error; the others are made all the same. A full disk ends the run:
    no line could be written, and what is finished stays for the next run. Raises ValueError where
    the folder cannot be used, DiskFullError, and what `hooks` raise.

    Args:
        lines: broken ones are passed over with their error.
        out: the folder of results.
        run: what the lines share.
        engine: other processes that make the lines (engines/); None makes them here.
    """
    hooks = run.hooks or SilentHooks()
    entries: list[Entry] = [{} for _ in lines]
    inputs = {run.base / line.file for line in lines if isinstance(line, ScriptLine)}
    with ScriptFolder(out, inputs) as folder:
        good: list[tuple[int, ScriptLine]] = []
        for number, line in enumerate(lines):
            if isinstance(line, BrokenLine):
                entries[number] = _failed(line, folder, line.error)
            else:
                good.append((number, line))
        tasks = [
            LineTask(
                line=json.dumps(asdict(line), allow_nan=False),
                older=folder.older(line.id),
                out=str(out),
            )
            for _, line in good
        ]
        hooks.check()
        hooks.progress(STAGE, len(lines) - len(good), len(lines))
        with closing((engine or _here(run))(tasks)) as answers:
            for done, (place, answer) in enumerate(answers, start=len(lines) - len(good) + 1):
                number, line = good[place]
                try:
                    entries[number] = _taken(line, folder, answer)
                except DiskFullError as error:
                    raise DiskFullError(f"{shown(error)} {shown(_finished(entries))}") from error
                hooks.check()
                hooks.progress(STAGE, done, len(lines))
        bundle = run.bundle
        facts = {
            "bundle": {"name": bundle.name, "sha256": bundle.sha256},
            "device": str(bundle.device),
            "precision": bundle.precision,
        }
        folder.finish([_plain(entry) for entry in entries], facts)
    return entries


def _here(run: ScriptRun) -> Engine:
    """The engine that is this process."""

    def make(tasks: Sequence[LineTask]) -> Generator[tuple[int, str], None, None]:
        worker = LineWorker(run)
        for place, task in enumerate(tasks):
            yield place, worker(task)

    return make


def _finished(entries: Sequence[Entry]) -> str:
    """What a run that ends early leaves, in a sentence."""
    made = sum(bool(entry) and not entry.get("error") for entry in entries)
    return f"{made} of {len(entries)} results are finished and stay; the next run makes the others."


def _taken(line: ScriptLine, folder: ScriptFolder, answer: str) -> Entry:
    """The entry of a worker's answer, its file put in its place."""
    entry = parse_object(answer, f"the answer to line '{shown(line.id)}'")
    if "full" in entry:
        raise DiskFullError(shown(entry["full"], 600))
    error = entry.get("error")
    if error is None and "staged" in entry:
        try:
            made = folder.add(entry, Path(entry.pop("staged")))
            if made.get("state") == AS_RECORDED:
                log.warning(NOTHING_HELD, shown(line.id))
            return made
        except DiskFullError:
            raise
        except (ValueError, OSError) as problem:
            error = str(problem)
    if error is not None:
        return _failed(line, folder, error, source=storable(line.file))
    return {**folder.entry(line.id), "kept": True}


def _failed(line: AnyLine, folder: ScriptFolder, error: str, **facts: str) -> Entry:
    """The entry of a line that could not be made, said at once."""
    log.warning("line '%s': %s", shown(line.id), shown(error, 600))
    return folder.add_error(line.id, error, **facts)


def entry_rows(entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    """A row of COLUMNS for each line, for a table."""
    return [
        (
            str(entry["id"]),
            _figure(entry.get("seconds"), 2),
            _figure(entry.get("score"), 1),
            _figure(entry.get("voice_similarity"), 2),
            entry.get("error") or _done(entry),
        )
        for entry in entries
    ]


def _done(entry: Entry) -> str:
    """What was done, in a word or two."""
    return "kept" if entry.get("kept") else entry.get("state", "made")


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _plain(entry: Entry) -> Entry:
    return {name: value for name, value in entry.items() if name != "kept"}


class LineWorker:
    """Makes lines: opens what they share once, and remembers the words of the last recording.

    Its answer is JSON: "kept", an "error", "full" where the disk is, or an entry with its file.
    """

    def __init__(self, run: ScriptRun) -> None:
        self._run = run
        self._ears: Recogniser | None = None
        self._heard: tuple[Path, tuple[Word, ...]] = Path(), ()

    def __call__(self, task: LineTask) -> str:
        """What a line became."""
        with said_once():
            return self._answer(task)

    def _answer(self, task: LineTask) -> str:
        try:
            line = line_from_json(parse_object(task.line, "a task"))
            clip, key = self.prepared(line)
            out, file = Path(task.out), f"{line.id}.wav"
            if task.older and is_as_made(out, parse_object(task.older, "an older line"), key):
                return json.dumps({"kept": True}, allow_nan=False)
            check_replaced(out / file, task.older)
            staged = staged_in(out)
            facts = self.make(line, clip, staged)
            facts["device"] = str(self._run.bundle.device)
            answer = {"id": line.id, "key": key, "file": file, **facts, "staged": str(staged)}
        except DiskFullError as error:
            answer = {"full": str(error)}
        except (ValueError, OSError) as error:
            answer = {"error": said_of(error)}
        except (MemoryError, torch.OutOfMemoryError):
            answer = {"error": NO_MEMORY}
        except soundfile.SoundFileError as error:
            answer = {"error": f"its result could not be written ({shown(error, 200)}). {ROOM}"}
        return json.dumps(answer, ensure_ascii=False, allow_nan=False)

    @property
    def ears(self) -> Recogniser | None:
        """What hears words; None where nothing can."""
        if self._ears is None and can_hear(self._run.bundle, self._run.recogniser):
            self._ears = recogniser_for(
                self._run.bundle, self._run.recogniser, hooks=self._run.hooks
            )
        return self._ears

    def prepared(self, line: ScriptLine) -> tuple[Recording, str]:
        """The clip of a line, and the key of all that decides its result."""
        path = self._run.base / line.file
        with open_recording(path) as whole:
            clip = self._part(whole, path, line)
        seed = self._run.seed if line.seed is None else line.seed
        text = line.text.strip()
        heard = not text or any(edit.ranged for edit in line.edits)
        facts = [
            KEY,
            self._run.bundle.sha256,
            self._run.bundle.precision,
            (self._run.recogniser or os.environ.get(VARIABLE, "")) if heard else "",
            [asdict(edit) for edit in line.edits],
            [text, line.fit, seed],
            [clip.sample_rate, clip.subtype, list(clip.samples.shape), str(clip.samples.dtype)],
        ]
        digest = hashlib.sha256(clip.samples.contiguous().numpy().tobytes())
        digest.update(json.dumps(facts, sort_keys=True, allow_nan=False).encode())
        return clip, digest.hexdigest()

    def make(self, line: ScriptLine, clip: Recording, staged: Path) -> Entry:
        """Make a line from its clip, write it to `staged`; what the manifest says of it."""
        run = self._run
        tools = LineTools(
            bundle=run.bundle,
            ears=self.ears,
            seed=run.seed,
            hooks=run.hooks or SilentHooks(),
        )
        done = edit_line(tools, line, clip)
        write_recording(staged, done.recording)
        return entry_of(replace(line, seed=run.seed if line.seed is None else line.seed), done)

    def _part(self, whole: Source, path: Path, line: ScriptLine) -> Recording:
        """The line's range of a recording; only that is read."""
        start, end = line.start, line.end
        if line.words.strip():
            start, end = find_phrase(self._words_of(whole, path), line.words)
        if start is None or end is None:
            return whole.part(0, whole.length)
        first, last = round(start * whole.sample_rate), round(end * whole.sample_rate)
        if last > whole.length + whole.sample_rate // 100 or first >= whole.length:
            raise ValueError(
                f"the line ends at {end:.2f} s; its recording ends at {whole.seconds:.2f} s. "
                "Choose an earlier end."
            )
        return whole.part(first, min(last, whole.length))

    def _words_of(self, whole: Source, path: Path) -> tuple[Word, ...]:
        """The words of a recording, heard once for neighbouring lines."""
        if self.ears is None:
            raise ValueError(NOTHING_HEARS)
        if path != self._heard[0]:
            self._heard = path, hear_surely(self.ears, whole)
        return self._heard[1]


def entry_of(line: ScriptLine, done: LineDone) -> Entry:
    """What the manifest says of a finished line."""
    steps: list[dict[str, Any]] = []
    for step in done.steps:
        rounds = step.rounds.rounds if step.rounds else ()
        steps.append(
            {
                "edits": [asdict(edit) for edit in step.edits],
                "plan": None if step.plan is None else step.plan.as_json(),
                "best": step.best,
                "rounds": [round_entry(number, made) for number, made in enumerate(rounds)],
                "notes": list(step.notes),
            }
        )
    last = steps[-1]["rounds"] if steps else []
    best: dict[str, Any] = last[steps[-1]["best"]] if last else {}
    return {
        "source": storable(line.file),
        "start": line.start,
        "end": line.end,
        "words": line.words,
        "seed": line.seed,
        "text": done.text,
        "heard": done.heard,
        "seconds": round(done.recording.seconds, 3),
        "fit": line.fit,
        "tempo": round(done.tempo, 4),
        "score": best.get("score"),
        "voice_similarity": best.get("voice_similarity"),
        "state": AS_RECORDED if done.as_recorded else "made",
        "holds": done.holds,
        "notes": list(done.notes),
        "steps": steps,
        "error": None,
    }
