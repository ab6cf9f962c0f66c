"""Work orders to examples: tokenize or clone both sides, score the margin, keep what is new.

A plan is JSON-lines, one work order a line:

    {"source": {"audio": "a.wav"}, "target": {"audio": "b.wav"},
     "edit": {"kind": "emotion", "option": "happy"}, "text": "words of the clip",
     "speaker": "s1", "licence": "CC-BY-4.0", "provenance": "actor session 3"}

A side is one of audio (a sound file), tokens (a .safetensors that Save Tokens wrote) and clone (a
sound file whose voice says `text`; clone_text are the words in it). Two clones of one actor,
from a neutral and an acted clip, make the triplet of arXiv:2511.03601. Orders are independent, so
any engine may run them; one process writes, in the order of the plan.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from ..engines.setting import WorkerSetting
from ..engines.tasks import LOST, run_tasks
from ..files.outputs import check_not_input, check_plain
from ..files.reading import parse_json, read_lines, said_of
from ..files.strict import Bounds, from_json
from ..files.whole import write_whole
from ..printable import shown
from ..registry.handle import Bundle
from ..text.edits import LONGEST_FACT, check_text, without_tags
from ..types import Draws, DualCodes, EditRequest, Hooks
from .records import Example, Kind, canonical, digest
from .shards import Writer

log = logging.getLogger(__name__)
FAILED = "failed.jsonl"
REMEDY = "Correct the plan."


@dataclass(frozen=True, kw_only=True)
class Side:
    """Where the codes of one side come from: exactly one of audio, tokens and clone."""

    audio: str = ""
    """Sound file, relative to the plan."""
    tokens: str = ""
    """Codes of the same bundle, saved before."""
    clone: str = ""
    """Sound file whose voice and delivery say the order's text."""
    BOUNDS: ClassVar[Bounds] = {"seed": (0, 2**63 - 1)}
    clone_text: str = ""
    """Words in the clone's sound file."""
    seed: int = 0
    """Of the clone's draws."""


@dataclass(frozen=True, kw_only=True)
class EditName:
    """Kind and option of an edit; the table is in text/edits.py."""

    kind: str
    option: str = ""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One line of a plan."""

    BOUNDS: ClassVar[Bounds] = {"margin": (0, 100), "scale": (1, 100)}

    source: Side
    target: Side
    edit: EditName
    text: str = ""
    """Words of the source."""
    new_text: str = ""
    """Words of the target where they differ; makes a quadruplet."""
    kind: Literal["", "triplet", "quadruplet", "sample"] = ""
    """Empty: quadruplet where there is new text, else triplet. A sample is rated by people."""
    margin: float | None = None
    """Known score; None: the bundle's scorer is asked, where it knows the edit."""
    scale: int = 10
    """Points of a known score."""
    speaker: str = ""
    language: str = ""
    split: Literal["train", "dev"] = "train"
    provenance: str = ""
    licence: str = ""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One work order on its way to a worker; plain values, so any engine can carry it."""

    line: str
    """The order's JSON."""
    key: str
    """Hash of order and bundle: what resuming goes by."""
    folder: str
    """What relative paths of the order start from."""
    number: int
    """Line of the plan, from 1."""


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """What came of a task: an example, or one sentence why there is none."""

    task: Task
    example: Example | None
    problem: str = ""


Make = Callable[[Bundle, Task], Example]


def parse_order(task: Task) -> Order:
    """The order of a task; ValueError with the plan's line number."""
    where = f"line {task.number} of the plan"
    data = parse_json(task.line, where, REMEDY)
    order = from_json(Order, data, where, REMEDY)
    for name, side in (("source", order.source), ("target", order.target)):
        given = [k for k in ("audio", "tokens", "clone") if getattr(side, k)]
        if len(given) != 1:
            raise ValueError(
                f"{where} gives {shown(' and '.join(given) or 'nothing')} for its {shown(name)}; "
                f"exactly one of audio, tokens and clone is expected. {REMEDY}"
            )
        if not getattr(side, given[0]).isprintable():
            raise ValueError(
                f"{where} has '{shown(getattr(side, given[0]), 60)}' for its {shown(name)}; the "
                f"name of a file is expected. {REMEDY}"
            )
    if order.margin is not None and not 0 <= order.margin <= order.scale:
        raise ValueError(
            f"{where} has the margin {order.margin:g}; its scale goes to {order.scale}. {REMEDY}"
        )
    return order


def make_example(bundle: Bundle, task: Task) -> Example:
    """The per-item function: one work order to one example. ValueError says what is wrong."""
    from ..pipelines.plan import check_model_request
    from ..pipelines.transcript import check_pace

    order = parse_order(task)
    for name in ("text", "new_text"):
        check_text(name, getattr(order, name))
    for name in ("speaker", "language", "provenance", "licence"):
        check_text(name, getattr(order, name), LONGEST_FACT)
    request = EditRequest(
        kind=order.edit.kind, option=order.edit.option, text=order.text, new_text=order.new_text
    )
    check_model_request(bundle, request)
    example = Example(
        kind=order.kind or kind_of(request),
        request=request,
        source=side_codes(bundle, order.source, order.text, task.folder),
        target=side_codes(bundle, order.target, order.new_text or order.text, task.folder),
        margin=order.margin,
        scale=order.scale,
        speaker=order.speaker,
        language=order.language,
        split=order.split,
        provenance=order.provenance,
        licence=order.licence,
        key=task.key,
    )
    check_pace(without_tags(order.text), example.source.seconds)
    check_pace(without_tags(order.new_text or order.text), example.target.seconds)
    return scored(bundle, example)


def kind_of(request: EditRequest) -> Kind:
    """A quadruplet where there are new words, else a triplet."""
    return "quadruplet" if request.new_text else "triplet"


def scored(bundle: Bundle, example: Example, hooks: Hooks | None = None) -> Example:
    """The example with the scorer's margin where it has none; None where the edit is unknown."""
    from ..measure.margin import can_score, score

    request = example.request
    if example.margin is not None or not can_score(bundle, request):
        return example
    margin = score(bundle, example.source, example.target, request, hooks=hooks)
    return replace(example, margin=round(margin, 4))


def side_codes(bundle: Bundle, side: Side, text: str, folder: str) -> DualCodes:
    """Codes of one side of an order; `text` is what a clone says."""
    from ..audio.files import read_clip
    from ..files.tokens import load_tokens
    from ..pipelines.generate import generate
    from ..pipelines.tokenize import tokenize

    path = Path(folder) / (side.audio or side.tokens or side.clone)
    if side.tokens:
        codes = load_tokens(path)
        bundle.vocabulary.check_codebook(codes)
        return codes
    codes, _ = tokenize(bundle, read_clip(path))
    if not side.clone:
        return codes
    request = EditRequest(kind="clone", text=side.clone_text, new_text=text)
    return generate(bundle, codes, request, draws=Draws(seed=side.seed)).codes


def tasks_of(plan: Path, bundle_sha256: str) -> list[Task]:
    """The plan's orders; blank lines are passed over, equal orders appear once."""
    if not plan.is_file():
        raise ValueError(
            f"there is no plan '{shown(plan.name)}'; expected is a JSON-lines file. See --help."
        )
    found: dict[str, Task] = {}
    for number, line in read_lines(plan, REMEDY):
        try:
            same = canonical(parse_json(line, f"line {number} of the plan", REMEDY))
        except ValueError:  # said by name when its turn comes
            same = line
        key = digest("build", same, bundle_sha256)
        task = Task(line=line, key=key, folder=str(plan.parent), number=number)
        found.setdefault(key, task)
    if not found:
        raise ValueError(f"the plan '{shown(plan.name)}' has no orders. {REMEDY}")
    return list(found.values())


def check_failures(folder: Path, plan: Path) -> None:
    """Raise ValueError where the list of failures would replace the plan or a file of others."""
    path = folder / FAILED
    if not os.path.lexists(path):
        return
    check_not_input(path, [plan])
    check_plain(path)
    try:
        found = [parse_json(line.text, FAILED) for line in read_lines(path)]
        ours = all(isinstance(one, dict) and one.keys() == {"line", "problem"} for one in found)
    except ValueError:
        ours = False
    if not ours:
        raise ValueError(
            f"'{FAILED}' in '{shown(folder)}' is not a list of failures, and the new one would "
            "replace it. Move it away, or name another --out."
        )


class Worker:
    """Loads the bundle once, then makes examples; the same object under every engine."""

    def __init__(self, setting: WorkerSetting, make: Make = make_example) -> None:
        self._bundle = setting.load()
        self._make = make

    def __call__(self, task: Task) -> TaskResult:
        """The example of a task, or the sentence why there is none."""
        try:
            return TaskResult(task=task, example=self._make(self._bundle, task))
        except (ValueError, OSError) as error:
            said = " ".join(said_of(error).split())
            where = f"line {task.number} of the plan"
            problem = said if said.startswith(where) else f"{where}: {said}"
            return TaskResult(task=task, example=None, problem=problem)


def _lost(task: Task) -> TaskResult:
    """The result of an order whose workers were killed."""
    return TaskResult(task=task, example=None, problem=f"line {task.number} of the plan: {LOST}")


def build(
    tasks: Sequence[Task],
    writer: Writer,
    setting: WorkerSetting,
    *,
    workers: int = 1,
    engine: str = "local",
    make: Make = make_example,
) -> dict[str, int]:
    """Make all examples that `writer` does not know; returns how many were new, known and failed.

    Failed orders are listed in failed.jsonl and tried again by the next run. A killed run resumes
    where its last whole shard ended.
    """
    counts = {"orders": len(tasks), "new": 0, "known": 0, "equal": 0, "failed": 0}
    problems = []
    start = partial(Worker, setting, make)
    waiting = [task for task in tasks if task.key not in writer.keys]
    counts["known"] = len(tasks) - len(waiting)
    for result in run_tasks(waiting, start, _lost, workers=workers, engine=engine):
        if result.example is None:
            counts["failed"] += 1
            log.warning("%s", result.problem)
            problems.append({"line": result.task.number, "problem": result.problem})
        else:
            counts["new" if writer.add(result.example) else "equal"] += 1
    lines = "".join(
        json.dumps(problem, ensure_ascii=False, allow_nan=False) + "\n" for problem in problems
    )
    write_whole(writer.folder / FAILED, lines)
    return counts
