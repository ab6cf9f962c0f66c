"""Options that several commands share, exit codes, and the error of a wrong command line."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ..bundle.precision import PRECISIONS
from ..printable import printable, printable_lines, shown

if TYPE_CHECKING:
    from ..audio.recordings import Recording, Source
    from ..registry.handle import Bundle

DONE, FAILED, USAGE, STOPPED, NOBODY_READS = 0, 1, 2, 130, 141
"""Exit codes; the last is what a shell says of a program whose reader has ended."""
RESUMES = "stopped; the same command resumes."
"""What Ctrl-C says of a command that keeps what it has done."""
LARGEST_SEED = 2**64 - 1


class UsageError(Exception):
    """The command line asks for something that cannot be; the text is one sentence."""


@contextmanager
def asked() -> Iterator[None]:
    """What is wrong with what is asked for, found in this block, is the command line's fault."""
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from error


def say_error(sentence: str, code: int) -> int:
    """Print an error on a line of its own and hand the exit code on."""
    end_of_bar = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{end_of_bar}stepedit: {printable(sentence)}", file=sys.stderr)
    return code


def say_result(text: str) -> None:
    """Print what a command found: lines of any words, printable."""
    print(printable_lines(text))


def say_note(sentence: str) -> None:
    """Print a remark on the error output."""
    print(f"stepedit: {printable(sentence)}", file=sys.stderr)


class Parser(argparse.ArgumentParser):
    """A parser whose errors show what was typed printable, and not all of it."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end with 2."""
        super().error(shown(message, 1000))


def place(text: str) -> Path:
    """A path on the command line, for argparse; an empty one is a usage error."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a path is expected, and it is empty")
    return Path(text)


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """A reader of whole numbers from `least` to `most`, for argparse."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise _not_allowed(text, "a whole number", least, most) from None
        if value < least or (most is not None and value > most):
            raise _not_allowed(text, "a whole number", least, most)
        return value

    return read


def number(least: float, most: float | None = None) -> Callable[[str], float]:
    """A reader of numbers from `least` to `most`, for argparse; NaN and infinity are none."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise _not_allowed(text, "a number", least, most) from None
        if not math.isfinite(value) or value < least or (most is not None and value > most):
            raise _not_allowed(text, "a number", least, most)
        return value

    return read


def _not_allowed(
    text: str, what: str, least: float, most: float | None
) -> argparse.ArgumentTypeError:
    bounds = f"from {least} to {most}" if most is not None else f"of {least} or more"
    return argparse.ArgumentTypeError(f"'{shown(text, 60)}' is not allowed; {what} {bounds} is")


def add_recording(parser: argparse.ArgumentParser) -> None:
    """The recording that is read."""
    parser.add_argument("clip", metavar="IN", help="recording: wav, flac, ogg or mp3 of any length")


def add_rounds(parser: argparse.ArgumentParser) -> None:
    """The argument that says how often an edit is applied."""
    parser.add_argument(
        "--rounds",
        type=whole_number(1, 10),
        default=1,
        metavar="N",
        help="how often the edit is applied, 1 to 10; default 1",
    )


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Whether the result may replace a file of somebody else."""
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the file of the result, whatever it is; an older result is replaced anyway",
    )


def opened_recording(source: str, out: Path, *, overwrite: bool) -> Recording:
    """The recording of a file, once it is sure that its result can be written."""
    from ..audio.recordings import read_recording

    recording = read_recording(source)
    check_out(source, out, recording, overwrite=overwrite)
    return recording


def check_out(source: str, out: Path, recording: Source, *, overwrite: bool) -> None:
    """Make the result's folder; ValueError where it cannot be written."""
    from ..audio.recordings import check_name, is_own_result
    from ..files.outputs import check_output

    check_name(out, recording)
    check_output(out, [source], ours=is_own_result, overwrite=overwrite)


def add_seed(parser: argparse.ArgumentParser) -> None:
    """The start of all random draws."""
    parser.add_argument(
        "--seed",
        type=whole_number(0, LARGEST_SEED),
        default=0,
        metavar="S",
        help="start of all random draws: the same seed gives the same result; default 0",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where a model is computed."""
    parser.add_argument(
        "--device", metavar="D", help="cpu, cuda, mps, ...; default: the accelerator, else the cpu"
    )


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """Which model, and where it is computed."""
    parser.add_argument(
        "--bundle",
        default="nano",
        metavar="NAME_OR_DIR",
        help="model: a name of `stepedit bundles`, or a folder; default nano",
    )
    add_device(parser)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Arguments that choose a model and how it runs."""
    add_bundle(parser)
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="number format of the language model; bf16, int8 and int4 also run the flow decoder "
        "in 16 bits, and so does auto on a CPU that multiplies them. auto: as the bundle was made, "
        "else bf16 for a large model and fp32 for a small one",
    )
    parser.add_argument(
        "--adapter", metavar="FILE", help="LoRA file of `stepedit train`, added to the model"
    )


def load_bundle(arguments: argparse.Namespace) -> Bundle:
    """The bundle that the options of add_model name."""
    from ..registry.registry import Registry

    return Registry().load(
        arguments.bundle,
        device=arguments.device,
        precision=arguments.precision,
        adapter=arguments.adapter,
    )
