"""`stepedit convert`, `bench` and `bundles`: models as files, their speed and memory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bundle.precision import PRECISIONS
from .options import DONE, FAILED, add_model, say_error

if TYPE_CHECKING:
    from ..registry.folders import Entry


def add(commands: Any) -> None:
    """Put `convert`, `bench` and `bundles` on the command line."""
    convert = commands.add_parser(
        "convert", help="make a bundle of the released 3.5B model", allow_abbrev=False
    )
    convert.add_argument("release", metavar="RELEASE", help="folder Step-Audio-EditX")
    convert.add_argument("tokenizer", metavar="TOKENIZER", help="folder Step-Audio-Tokenizer")
    convert.add_argument("out", metavar="OUT", help="folder of the bundle; must not exist")
    convert.add_argument(
        "--version",
        dest="year",
        choices=("auto", "2025", "2026"),
        default="auto",
        help="which weights; auto: 2026 where the tokenizer has a chat template",
    )
    convert.add_argument(
        "--dtype", choices=("bf16", "fp16"), default="bf16", help="of the language model"
    )
    convert.add_argument(
        "--quantize", choices=("int8", "int4"), default="", help="of the language model's layers"
    )
    convert.add_argument(
        "--verify", action="store_true", help="compare the bundle with the release afterwards"
    )
    convert.set_defaults(run=_convert)

    bench = commands.add_parser(
        "bench", help="measure time and memory of every stage", allow_abbrev=False
    )
    add_model(bench)
    bench.add_argument("--clip", default="", metavar="IN.wav", help="default: 5 s of a made voice")
    bench.add_argument("--ids", type=int, default=250, help="ids the language model writes")
    bench.add_argument("--runs", type=int, default=3, help="measured calls of each stage")
    bench.add_argument("--threads", type=int, default=0, help="of torch; default: torch's own")
    bench.add_argument(
        "--against",
        choices=PRECISIONS[1:],
        default="",
        help="compare the language model's answers with this precision",
    )
    bench.add_argument("--out", default="", metavar="FILE.json", help="write the figures there")
    bench.set_defaults(run=_bench)

    bundles = commands.add_parser("bundles", help="list installed models", allow_abbrev=False)
    bundles.add_argument("--verify", action="store_true", help="check the sha256 of every file")
    bundles.set_defaults(run=_bundles)


def _convert(arguments: argparse.Namespace) -> int:
    """`stepedit convert`: a release becomes a bundle."""
    from ..files.terminal import Bar, table
    from ..release.convert import Conversion, convert, verify_conversion

    with Bar(rounds=1) as bar:
        about = convert(
            arguments.release,
            arguments.tokenizer,
            arguments.out,
            Conversion(version=arguments.year, dtype=arguments.dtype, quantize=arguments.quantize),
            on_bytes=lambda done, total: bar.progress("convert", done >> 20, max(1, total >> 20)),
        )
    print(f"{about.name}: {about.size / 1e9:.2f} GB in {arguments.out}")
    if arguments.verify:
        rows = verify_conversion(arguments.release, arguments.tokenizer, arguments.out)
        head = ("part", "tensors", "released used", "dropped")
        print(table(head, [tuple(map(str, row)) for row in rows]))
    return DONE


def _bench(arguments: argparse.Namespace) -> int:
    """`stepedit bench`: time and memory of every stage."""
    import json

    import torch

    from ..audio.files import read_clip
    from ..evaluate.bench import BenchSettings, bench
    from ..files.terminal import Bar, table
    from ..registry.registry import Registry

    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
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
            ),
            on_stage=lambda stage: bar.progress(stage, 0, 1),
        )
    rows = [
        (r.stage, *(f"{v:.3f}" for v in (r.median, r.least, r.most)), r.unit) for r in done.rows
    ]
    print(table(("stage", "median", "least", "most", "unit"), rows))
    for where, size in done.facts["peak_bytes"].items():
        print(f"peak memory, {where}: {size / 1e9:.2f} GB")
    if done.quality is not None:
        print(
            f"against {arguments.against}: KL {done.quality.kl:.5f} nats, same most likely id "
            f"{100 * done.quality.top1:.1f} % of {done.quality.positions} positions"
        )
    if arguments.out:
        text = json.dumps(done.as_json(), indent=1) + "\n"
        Path(arguments.out).write_text(text, encoding="utf-8")
    return DONE


def _bundles(arguments: argparse.Namespace) -> int:
    """`stepedit bundles`: what is installed."""
    from ..files.terminal import table
    from ..registry.registry import Registry

    registry = Registry()
    rows, code = [], DONE
    for found in registry.list():
        row, problem = _bundle_row(found, verify=arguments.verify)
        rows.append(row)
        if problem:
            code = say_error(problem, FAILED)
    if not rows:
        places = ", ".join(str(folder) for folder in registry.folders)
        return say_error(f"no bundle is installed; looked in {places}. Set $STEPEDIT_HOME.", FAILED)
    head = ("name", "size", "licence", "vocabulary", "sha256", "folder")
    print(table(head + (("files",) if arguments.verify else ()), rows))
    return code


def _bundle_row(found: Entry, *, verify: bool) -> tuple[tuple[str, ...], str]:
    """Cells of one bundle, and what is wrong with it or nothing."""
    from ..bundle.manifest import verify as verify_files
    from ..registry.folders import BrokenEntry

    if isinstance(found, BrokenEntry):
        cells = (found.name, "-", "-", "-", "-", str(found.folder))
        return cells + (("damaged",) if verify else ()), found.problem
    about = found.manifest
    cells = (
        about.name,
        f"{about.size / 1e6:.1f} MB",
        about.licence,
        about.edit_vocabulary,
        found.sha256[:12],
        str(found.folder),
    )
    if not verify:
        return cells, ""
    try:
        verify_files(found.folder)
    except ValueError as error:
        return (*cells, "damaged"), str(error)
    return (*cells, "good"), ""
