"""`stepedit script`: many lines into one folder, each a clip with its own edits."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import (
    DONE,
    FAILED,
    RESUMES,
    UsageError,
    add_model,
    add_seed,
    asked,
    load_bundle,
    place,
    say_note,
    say_result,
)
from .transcribe import add_recogniser

if TYPE_CHECKING:
    from ..output.script import Engine, ScriptRun
    from ..pipelines.script_lines import AnyLine, Defaults, ScriptEdit
    from ..registry.handle import Bundle


def add(commands: Any) -> None:
    """Put `script` on the command line."""
    script = commands.add_parser(
        "script",
        help="edit many lines into one folder, each a clip with its own edits",
        description="Edit many lines into one folder: a WAV file of each line, and script.json "
        "with what was done. Lines that an older run has made, and that are the same, are left as "
        "they are; a stopped run resumes.",
        allow_abbrev=False,
    )
    script.add_argument(
        "script",
        metavar="FILE",
        type=place,
        help="lines as .csv, .jsonl or .srt: id, file, start and end or words, text, edits, fit, "
        "seed (docs/command.md)",
    )
    script.add_argument(
        "--edits",
        default="",
        metavar="EDITS",
        help="for lines without edits, as 'emotion:happy rounds=2; speed:faster'",
    )
    script.add_argument(
        "--recording",
        default="",
        metavar="IN",
        help="for lines without a file; default for .srt: the recording of the same name",
    )
    script.add_argument(
        "--fit",
        default="0",
        metavar="S",
        help="for lines without their own: seconds that each result lasts, or slot, the length of "
        "its range",
    )
    add_recogniser(script)
    add_seed(script)
    add_model(script)
    script.add_argument(
        "--out",
        type=place,
        required=True,
        metavar="DIR",
        help="folder for the results; files that no run wrote are never replaced",
    )
    script.set_defaults(run=_script, stopped=RESUMES)


def _script(arguments: argparse.Namespace) -> int:
    """`stepedit script`: the lines of a file."""
    from ..output.script import ScriptRun
    from ..pipelines.script_lines import SLOT, Defaults, edits_of, number_of
    from ..pipelines.settings import check_seed

    path: Path = arguments.script
    with asked():
        check_seed(arguments.seed)
        fit = SLOT if arguments.fit == SLOT else number_of(arguments.fit, "--fit")
        edits = edits_of(arguments.edits, "--edits")
    recording = str(Path(arguments.recording).absolute()) if arguments.recording else ""
    lines = script_lines(path, Defaults(edits=edits, recording=recording, fit=fit))
    run = ScriptRun(
        bundle=load_bundle(arguments),
        base=path.parent,
        seed=arguments.seed,
        recogniser=arguments.recogniser,
    )
    check_edits(run.bundle, edits)
    return run_shown(lines, arguments.out, run)


def check_edits(bundle: Bundle, edits: Sequence[ScriptEdit]) -> None:
    """UsageError for one of --edits that the bundle does not make: it would fail in every line."""
    from ..pipelines.makers import check_strength
    from ..pipelines.plan import ANY_WORDS, check_request
    from ..types import Decoding

    for edit in edits:
        request = edit.request(ANY_WORDS)
        with asked():
            check_request(bundle, request)
            check_strength(bundle, [request], Decoding(strength=edit.strength))


def script_lines(path: Path, defaults: Defaults) -> list[AnyLine]:
    """The lines of a script; says which do not take --edits. UsageError where none of them does."""
    from ..pipelines.script_files import read_script
    from ..pipelines.script_lines import ScriptLine

    lines = read_script(path, defaults)
    if not defaults.edits:
        return lines
    bare = read_script(path, replace(defaults, edits=()))
    own = sum(isinstance(line, ScriptLine) and bool(line.edits) for line in bare)
    if own == len(lines):
        raise UsageError(
            f"--edits is for lines without edits, and each of the {len(lines)} lines has its own. "
            "Leave --edits out, or take the edits out of the lines."
        )
    if own:
        say_note(f"--edits is for lines without edits; {own} of {len(lines)} have their own.")
    return lines


def run_shown(lines: list[AnyLine], out: Path, run: ScriptRun, engine: Engine | None = None) -> int:
    """Run lines with a bar, then a table of them; FAILED where one of them has an error."""
    from ..files.terminal import Bar, table
    from ..output.script import COLUMNS, entry_rows, run_script

    with Bar() as bar:
        entries = run_script(lines, out, replace(run, hooks=bar), engine=engine)
    say_result(table(COLUMNS, entry_rows(entries)))
    return FAILED if any(entry.get("error") for entry in entries) else DONE
