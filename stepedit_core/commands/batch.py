"""`stepedit batch`: a folder of recordings times sets of edits, on one or several workers."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engines.setting import WorkerSetting
from ..engines.tasks import ENGINES, LOST, finished_tasks
from .options import RESUMES, add_model, add_seed, asked, place, whole_number
from .script import check_edits, run_shown, script_lines
from .transcribe import add_recogniser

if TYPE_CHECKING:
    from ..output.script import LineTask, LineWorker
    from ..pipelines.script_lines import AnyLine, ScriptEdit


def add(commands: Any) -> None:
    """Put `batch` on the command line."""
    batch = commands.add_parser(
        "batch",
        help="edit a folder of recordings, or the lines of a script, on several workers",
        description="Edit every recording of a folder by every set of edits, or the lines of a "
        "script, on one or several workers. Results lie in one folder with script.json; what is "
        "there already is left as it is, and a stopped run resumes.",
        allow_abbrev=False,
    )
    batch.add_argument(
        "jobs",
        metavar="FOLDER_OR_FILE",
        type=place,
        help="folder with recordings, the words of clip.wav in clip.txt; or a script as .csv, "
        ".jsonl or .srt",
    )
    batch.add_argument(
        "--edits",
        action="append",
        default=[],
        metavar="EDITS",
        help="as 'emotion:happy rounds=2; speed:faster'; given again, each recording is edited by "
        "each; in a script it is for lines without edits",
    )
    batch.add_argument(
        "--engine", choices=ENGINES, default="local", help="processes here (default), or Ray"
    )
    batch.add_argument(
        "--workers", type=whole_number(1, 1024), default=1, metavar="N", help="default 1"
    )
    add_recogniser(batch)
    add_seed(batch)
    add_model(batch)
    batch.add_argument(
        "--out",
        type=place,
        required=True,
        metavar="DIR",
        help="folder for the results; files that no run wrote are never replaced",
    )
    batch.set_defaults(run=_batch, stopped=RESUMES)


def _batch(arguments: argparse.Namespace) -> int:
    """`stepedit batch`: all jobs, then a table."""
    from ..output.script import ScriptRun
    from ..pipelines.settings import check_seed

    with asked():
        check_seed(arguments.seed)
        sets = _sets(arguments)
    lines = _lines(arguments, sets)
    setting = _setting(arguments)
    jobs: Path = arguments.jobs
    run = ScriptRun(
        bundle=setting.load(),
        base=(jobs if jobs.is_dir() else jobs.parent).absolute(),
        seed=arguments.seed,
        recogniser=arguments.recogniser and str(Path(arguments.recogniser).absolute()),
    )
    check_edits(run.bundle, [edit for edits in sets for edit in edits])
    engine = None
    if arguments.workers > 1 or arguments.engine != "local":
        named = arguments.bundle in (run.bundle.name, run.bundle.folder.name)
        theirs = replace(
            setting,
            bundle=arguments.bundle if named else str(run.bundle.folder.absolute()),
            sha256=run.bundle.sha256,
        )
        start = partial(start_worker, theirs, str(run.base), run.seed, run.recogniser)
        engine = partial(
            finished_tasks,
            start=start,
            lost=_lost,
            workers=arguments.workers,
            engine=arguments.engine,
            gpus=arguments.device != "cpu",
        )
    return run_shown(lines, arguments.out.absolute(), run, engine)


def _setting(arguments: argparse.Namespace) -> WorkerSetting:
    """What a worker loads; several of them share the threads of one machine."""
    import torch

    threads = max(1, torch.get_num_threads() // arguments.workers)
    return WorkerSetting(
        bundle=arguments.bundle,
        device=arguments.device,
        precision=arguments.precision,
        adapter=arguments.adapter and str(Path(arguments.adapter).absolute()),
        threads=0 if arguments.workers == 1 else threads,
    )


def _lost(_: LineTask) -> str:
    """The answer to a line whose workers were killed."""
    return json.dumps({"error": LOST}, allow_nan=False)


def _sets(arguments: argparse.Namespace) -> list[tuple[ScriptEdit, ...]]:
    """The sets of edits that are asked for; ValueError for too many or too few of them."""
    from ..pipelines.grid import check_labels
    from ..pipelines.script_lines import edits_of

    sets = [edits_of(text, "--edits") for text in arguments.edits]
    if not all(sets):
        raise ValueError("--edits is empty; one edit or more is needed, as emotion:happy.")
    if len(sets) > 1 and arguments.jobs.is_file():
        raise ValueError(
            "a script has one set of edits for lines without their own; --edits is given "
            f"{len(sets)} times. Give it once, or name a folder."
        )
    if not sets and arguments.jobs.is_dir():
        raise ValueError("a folder needs edits; --edits is not given. Add it, as emotion:happy.")
    check_labels(sets)
    return sets


def _lines(arguments: argparse.Namespace, sets: Sequence[tuple[ScriptEdit, ...]]) -> list[AnyLine]:
    """The lines of a folder or of a script."""
    from ..pipelines.grid import check_results_apart, grid_lines
    from ..pipelines.script_lines import Defaults

    if arguments.jobs.is_file():
        return script_lines(arguments.jobs, Defaults(edits=sets[0] if sets else ()))
    check_results_apart(arguments.jobs, arguments.out)
    return grid_lines(arguments.jobs, sets)


def start_worker(setting: WorkerSetting, base: str, seed: int, recogniser: str) -> LineWorker:
    """A worker of a process, with the model loaded once."""
    from ..output.script import LineWorker, ScriptRun

    run = ScriptRun(bundle=setting.load(), base=Path(base), seed=seed, recogniser=recogniser)
    return LineWorker(run)
