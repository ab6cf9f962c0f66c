"""The command `stepedit`: clips in and out, bundles, data, training, figures.

Exit codes: 0 done; 1 failed, with one sentence on stderr; 2 the command line is wrong (an unknown
option of the bundle and a missing transcript included); 130 stopped by Ctrl-C, as shells expect.
Results go to stdout as a table, progress to stderr when that is a terminal. Files appear whole or
not at all; rounds that were finished before a failure or Ctrl-C stay, and report.json lists them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .bundle.precision import PRECISIONS
from .commands import data, evaluate, train

if TYPE_CHECKING:
    from .registry.registry import Bundle, Found
    from .types import Clip, EditRequest

DONE, FAILED, USAGE, STOPPED = 0, 1, 2, 130
KINDS = ("emotion", "style", "speed", "sounds", "denoise", "trim_silence")


class UsageError(Exception):
    """The command line asks for something that cannot be; the text is one sentence."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code and never raises for wrong input."""
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said why
        return int(stop.code or 0)
    try:
        code: int = arguments.run(arguments)
    except UsageError as error:
        return _say(str(error), USAGE)
    except (ValueError, OSError, MemoryError) as error:
        return _say(str(error) or type(error).__name__, FAILED)
    except RuntimeError as error:
        return _say(_expected(error), FAILED)
    except KeyboardInterrupt:
        code = _say("stopped; finished rounds are kept.", STOPPED)
        if argv is None:  # a process of its own: torch takes 0.7 s to tear down, for nothing
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return code


def _expected(error: RuntimeError) -> str:
    """The sentence for a full disk or a full device; any other error is raised again."""
    import soundfile

    if isinstance(error, soundfile.SoundFileError):
        return f"a sound file could not be written ({error}). Check the disk's free space."
    if "out of memory" in str(error).lower():
        return (
            "the device has too little free memory for this model; bf16 halves the need, int8 "
            "quarters it, the CPU may have more. Use --precision bf16, int8 or --device cpu."
        )
    raise error


def _say(sentence: str, code: int) -> int:
    """Print an error on a line of its own and hand the exit code on."""
    end_of_bar = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{end_of_bar}stepedit: {' '.join(sentence.split())}", file=sys.stderr)
    return code


def _rounds(text: str) -> int:
    try:
        rounds = int(text)
    except ValueError:
        rounds = 0
    if not 1 <= rounds <= 10:
        raise argparse.ArgumentTypeError(f"'{text}' is not allowed; 1 to 10 are")
    return rounds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stepedit", description="Edit recorded speech by rounds.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"stepedit {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    edit = commands.add_parser(
        "edit", help="change how a clip sounds, round by round", allow_abbrev=False
    )
    edit.add_argument("clip", metavar="IN.wav", help="wav, flac, ogg or mp3, up to 30 s")
    edit.add_argument("--text", default="", help="words of the clip")
    what = edit.add_mutually_exclusive_group(required=True)
    for kind in ("emotion", "style", "speed"):
        what.add_argument(f"--{kind}", metavar="X", help=f"a {kind} the bundle knows")
    what.add_argument("--sounds", metavar="TEXT", help='the words with "[Laughter]" inside')
    what.add_argument("--denoise", action="store_true", help="remove noise")
    what.add_argument("--trim-silence", action="store_true", help="remove silence")
    edit.add_argument("--rounds", type=_rounds, default=1, metavar="N", help="1 to 10")
    edit.add_argument(
        "--prompt",
        choices=("follow", "fixed"),
        default="follow",
        help="voice of each round: the round before (follow) or the original (fixed)",
    )
    _common(edit)
    edit.set_defaults(run=_edit)

    clone = commands.add_parser("clone", help="new words in a clip's voice", allow_abbrev=False)
    clone.add_argument("clip", metavar="IN.wav", help="wav, flac, ogg or mp3, up to 30 s")
    clone.add_argument("--text", required=True, help="words of the clip")
    clone.add_argument("--say", required=True, metavar="TEXT", help="new words")
    _common(clone)
    clone.set_defaults(run=_clone)

    again = commands.add_parser(
        "resynthesize", help="tokenize and decode, no language model", allow_abbrev=False
    )
    again.add_argument("clip", metavar="IN.wav", help="wav, flac, ogg or mp3, up to 30 s")
    _common(again)
    again.set_defaults(run=_resynthesize)

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
    _model(bench)
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
    data.add(commands)
    train.add(commands)
    evaluate.add(commands)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that makes sound."""
    _model(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of all random draws")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")


def _model(parser: argparse.ArgumentParser) -> None:
    """Arguments that choose a model and how it runs."""
    parser.add_argument("--bundle", default="nano", metavar="NAME_OR_DIR", help="which model")
    parser.add_argument("--device", metavar="D", help="cpu, cuda, ...; default: what torch finds")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="of the language model, and of the flow decoder in bf16, int8 and int4; auto: bf16 "
        "for a large language model, or as the bundle was quantised",
    )
    parser.add_argument("--adapter", metavar="FILE", help="LoRA file of `stepedit train`")


def _load(arguments: argparse.Namespace) -> Bundle:
    from .registry.registry import Registry

    return Registry().load(
        arguments.bundle,
        device=arguments.device,
        precision=arguments.precision,
        adapter=arguments.adapter,
    )


def _request(arguments: argparse.Namespace, bundle: Bundle) -> EditRequest:
    """The request the options spell; UsageError when the bundle does not know it."""
    from .pipelines.generate import check_request
    from .types import EditRequest

    kind = next(k for k in KINDS if getattr(arguments, k) not in (None, False))
    value = getattr(arguments, kind)
    request = EditRequest(
        kind=kind,
        option=value if kind in ("emotion", "style", "speed") else "",
        text=arguments.text,
        new_text=value if kind == "sounds" else "",
    )
    return _checked(bundle, request, check_request)


def _checked(bundle: Bundle, request: EditRequest, check: object) -> EditRequest:
    try:
        check(bundle, request)  # type: ignore[operator]
    except ValueError as error:
        raise UsageError(str(error)) from error
    return request


def _read(path: str) -> Clip:
    from .audio.files import read_clip

    return read_clip(path)


def _edit(arguments: argparse.Namespace) -> int:
    """`stepedit edit`: rounds of one edit."""
    from .files.terminal import Bar
    from .output.report import Report
    from .pipelines.rounds import iterate

    bundle = _load(arguments)
    request = _request(arguments, bundle)
    clip = _read(arguments.clip)
    report = Report(Path(arguments.out), arguments.clip, bundle, "edit", arguments.seed)
    report.about(text=arguments.text, prompt=arguments.prompt, request=request)
    with Bar(rounds=arguments.rounds) as bar:
        iterate(
            bundle,
            clip,
            [request],
            seed=arguments.seed,
            rounds=arguments.rounds,
            prompt=arguments.prompt,
            hooks=bar,
            on_round=lambda finished: bar.finished(report.add(finished)),
        )
    print(report.finish())
    return DONE


def _clone(arguments: argparse.Namespace) -> int:
    """`stepedit clone`: new words."""
    from .files.terminal import Bar
    from .output.report import Report
    from .pipelines.clone import clone
    from .pipelines.generate import check_request
    from .types import EditRequest

    bundle = _load(arguments)
    request = EditRequest(kind="clone", text=arguments.text, new_text=arguments.say)
    _checked(bundle, request, check_request)
    clip = _read(arguments.clip)
    report = Report(Path(arguments.out), arguments.clip, bundle, "clone", arguments.seed)
    report.about(text=arguments.text, request=request)
    with Bar(rounds=1) as bar:
        made = clone(bundle, clip, arguments.text, arguments.say, seed=arguments.seed, hooks=bar)
        report.add(made, file="clone.wav")
    print(report.finish())
    return DONE


def _resynthesize(arguments: argparse.Namespace) -> int:
    """`stepedit resynthesize`: the codec alone."""
    from .files.terminal import Bar
    from .output.report import Report
    from .pipelines.resynthesize import resynthesize

    bundle = _load(arguments)
    clip = _read(arguments.clip)
    report = Report(Path(arguments.out), arguments.clip, bundle, "resynthesize", arguments.seed)
    with Bar(rounds=1) as bar:
        made = resynthesize(bundle, clip, seed=arguments.seed, hooks=bar)
        report.add(made, file="resynthesized.wav")
    print(report.finish())
    return DONE


def _convert(arguments: argparse.Namespace) -> int:
    """`stepedit convert`: a release becomes a bundle."""
    from .files.terminal import Bar, table
    from .release.convert import convert, verify_conversion

    with Bar(rounds=1) as bar:
        about = convert(
            arguments.release,
            arguments.tokenizer,
            arguments.out,
            version=arguments.year,
            dtype=arguments.dtype,
            quantize=arguments.quantize,
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

    from .evaluate.bench import bench
    from .files.terminal import Bar, table
    from .registry.registry import Registry

    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    with Bar(rounds=1) as bar:
        done = bench(
            Registry(),
            arguments.bundle,
            device=arguments.device,
            precision=arguments.precision,
            clip=_read(arguments.clip) if arguments.clip else None,
            ids=arguments.ids,
            runs=arguments.runs,
            against=arguments.against,
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
    from .files.terminal import table
    from .registry.registry import Registry

    registry = Registry()
    rows, code = [], DONE
    for found in registry.list():
        row, problem = _bundle_row(found, verify=arguments.verify)
        rows.append(row)
        if problem:
            code = _say(problem, FAILED)
    if not rows:
        places = ", ".join(str(folder) for folder in registry.folders)
        return _say(f"no bundle is installed; looked in {places}. Set $STEPEDIT_HOME.", FAILED)
    head = ("name", "size", "licence", "vocabulary", "sha256", "folder")
    print(table(head + (("files",) if arguments.verify else ()), rows))
    return code


def _bundle_row(found: Found, *, verify: bool) -> tuple[tuple[str, ...], str]:
    """Cells of one bundle, and what is wrong with it or nothing."""
    from .bundle.manifest import verify as verify_files

    if found.manifest is None:
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
