"""`stepedit convert`, `bench` and `bundles`: models as files, their speed and memory."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..bundle.precision import PRECISIONS
from ..files.whole import write_whole
from ..printable import shown
from .options import (
    DONE,
    FAILED,
    RESUMES,
    add_model,
    add_overwrite,
    place,
    say_error,
    say_result,
    whole_number,
)

if TYPE_CHECKING:
    from ..registry.folders import ModelEntry


def add(commands: Any) -> None:
    """Put `convert`, `bench` and `bundles` on the command line."""
    convert = commands.add_parser(
        "convert",
        help="make a bundle of the released 3.5B model",
        description="Make a bundle of the released 3.5B model. A stopped conversion resumes when "
        "it is run again.",
        allow_abbrev=False,
    )
    convert.add_argument(
        "release", metavar="RELEASE", type=place, help="folder Step-Audio-EditX as downloaded"
    )
    convert.add_argument(
        "tokenizer",
        metavar="TOKENIZER",
        type=place,
        help="folder Step-Audio-Tokenizer as downloaded",
    )
    convert.add_argument(
        "out", metavar="OUT", type=place, help="folder of the bundle; it must not exist yet"
    )
    convert.add_argument(
        "--version",
        dest="year",
        choices=("auto", "2025", "2026"),
        default="auto",
        help="of the weights; auto (default): 2026 where the tokenizer has a chat template",
    )
    convert.add_argument(
        "--dtype",
        choices=("bf16", "fp16"),
        default="bf16",
        help="number format of the language model; default bf16",
    )
    convert.add_argument(
        "--quantize",
        choices=("int8", "int4"),
        default="",
        help="make the language model's layers smaller; default: as --dtype says",
    )
    convert.add_argument(
        "--verify", action="store_true", help="compare the bundle with the release afterwards"
    )
    convert.set_defaults(run=_convert, stopped=RESUMES)

    bench = commands.add_parser(
        "bench",
        help="measure time and memory of every stage",
        description="Measure time and memory of every stage of an edit.",
        allow_abbrev=False,
    )
    add_model(bench)
    bench.add_argument(
        "--clip",
        type=place,
        metavar="IN",
        help="recording to work on; default: 5 s of an artificial voice",
    )
    bench.add_argument(
        "--ids",
        type=whole_number(1),
        default=250,
        metavar="N",
        help="ids that the language model writes; default 250",
    )
    bench.add_argument(
        "--runs",
        type=whole_number(1),
        default=3,
        metavar="N",
        help="how often each stage is measured; default 3",
    )
    bench.add_argument(
        "--threads",
        type=whole_number(1, 1024),
        metavar="N",
        help="threads of the processor; default: 1 for a small model, else torch's choice",
    )
    bench.add_argument(
        "--against",
        choices=PRECISIONS[1:],
        default="",
        help="compare the language model's answers with those in this precision",
    )
    bench.add_argument("--out", type=place, metavar="FILE.json", help="write the figures there")
    add_overwrite(bench)
    bench.set_defaults(run=_bench, one_file="out")

    bundles = commands.add_parser(
        "bundles",
        help="list the installed models",
        description="List the installed models: the shipped one, and those in $STEPEDIT_HOME. "
        "The name in the first column is what --bundle takes.",
        allow_abbrev=False,
    )
    bundles.add_argument(
        "--verify", action="store_true", help="check the sha256 of every file, which takes a while"
    )
    bundles.set_defaults(run=_bundles)


def _convert(arguments: argparse.Namespace) -> int:
    """`stepedit convert`: a release becomes a bundle."""
    from ..files.terminal import Bar, table
    from ..release.convert import Conversion, convert
    from ..release.verify import verify_conversion

    with Bar(rounds=1) as bar:
        about = convert(
            arguments.release,
            arguments.tokenizer,
            arguments.out,
            Conversion(version=arguments.year, dtype=arguments.dtype, quantize=arguments.quantize),
            on_bytes=lambda done, total: bar.progress("convert", done >> 20, max(1, total >> 20)),
        )
    say_result(f"{about.name}: {about.size / 1e9:.2f} GB in {arguments.out}")
    if arguments.verify:
        rows = verify_conversion(arguments.release, arguments.tokenizer, arguments.out)
        head = ("part", "tensors", "released used", "dropped")
        say_result(table(head, [tuple(map(str, row)) for row in rows]))
    return DONE


def _bench(arguments: argparse.Namespace) -> int:
    """`stepedit bench`: time and memory of every stage."""
    import json

    import torch

    from ..audio.files import read_clip
    from ..evaluate.bench import BenchSettings, bench, is_bench
    from ..files.outputs import check_output
    from ..files.terminal import Bar, table
    from ..registry.registry import Registry

    if arguments.out:
        read = [path for path in (arguments.clip, arguments.adapter) if path]
        check_output(
            arguments.out, read, endings=(".json",), ours=is_bench, overwrite=arguments.overwrite
        )
    if arguments.threads:
        torch.set_num_threads(arguments.threads)  # of this process, for what is not a stage
    with Bar(rounds=1) as bar:
        done = bench(
            Registry(),
            arguments.bundle,
            BenchSettings(
                device=arguments.device,
                precision=arguments.precision,
                clip=read_clip(arguments.clip) if arguments.clip else None,
                ids=arguments.ids,
                runs=arguments.runs,
                against=arguments.against,
                threads=arguments.threads or 0,
            ),
            on_stage=lambda stage: bar.progress(stage, 0, 1),
        )
    rows = [
        (r.stage, *(f"{v:.3f}" for v in (r.median, r.least, r.most)), r.unit) for r in done.rows
    ]
    say_result(table(("stage", "median", "least", "most", "unit"), rows))
    for where, size in done.facts["peak_bytes"].items():
        say_result(f"peak memory, {where}: {size / 1e9:.2f} GB")
    if done.quality is not None:
        say_result(
            f"against {arguments.against}: KL {done.quality.kl:.5f} nats, same most likely id "
            f"{100 * done.quality.top1:.1f} % of {done.quality.positions} positions"
        )
    if arguments.out:
        text = json.dumps(done.as_json(), indent=1, allow_nan=False) + "\n"
        write_whole(arguments.out, text)
    return DONE


def _bundles(arguments: argparse.Namespace) -> int:
    """`stepedit bundles`: what is installed."""
    from ..files.terminal import table
    from ..registry.folders import BrokenEntry
    from ..registry.registry import Registry

    registry = Registry()
    listed = registry.list()
    rows, problems = [], []
    for found in listed:
        if isinstance(found, BrokenEntry):
            problems.append(f"'{found.folder}' is not listed: {found.problem}")
            continue
        row, problem = _bundle_row(found, verify=arguments.verify)
        rows.append(row)
        if problem:
            problems.append(f"'{found.folder}' is damaged: {problem}")
    head = ("name", "size", "licence", "vocabulary", "sha256", "folder")
    if rows:
        say_result(table(head + (("files",) if arguments.verify else ()), rows))
    for problem in problems:
        say_error(problem, FAILED)
    if not rows:
        places = ", ".join(str(folder) for folder in registry.folders)
        return say_error(
            f"no bundle is installed; looked in {shown(places)}. Set $STEPEDIT_HOME.", FAILED
        )
    return FAILED if problems else DONE


def _bundle_row(found: ModelEntry, *, verify: bool) -> tuple[tuple[str, ...], str]:
    """Cells of one bundle, and what is wrong with it or nothing."""
    from ..bundle.manifest import verify as verify_files
    from ..registry.folders import ReleaseEntry

    about = found.manifest
    cells = (
        found.name,
        f"{about.size / 1e6:.1f} MB",
        about.licence,
        about.edit_vocabulary,
        found.sha256[:12],
        str(found.folder),
    )
    if not verify:
        return cells, ""
    if isinstance(found, ReleaseEntry):  # no digests are published
        return (*cells, "-"), ""
    try:
        verify_files(found.folder)
    except ValueError as error:
        return (*cells, "damaged"), str(error)
    return (*cells, "good"), ""
