"""Options that several commands share, exit codes, and the error of a wrong command line."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ..bundle.precision import PRECISIONS

if TYPE_CHECKING:
    from ..registry.handle import Bundle

DONE, FAILED, USAGE, STOPPED = 0, 1, 2, 130


class UsageError(Exception):
    """The command line asks for something that cannot be; the text is one sentence."""


def say_error(sentence: str, code: int) -> int:
    """Print an error on a line of its own and hand the exit code on."""
    end_of_bar = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{end_of_bar}stepedit: {' '.join(sentence.split())}", file=sys.stderr)
    return code


def add_model(parser: argparse.ArgumentParser) -> None:
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


def load_bundle(arguments: argparse.Namespace) -> Bundle:
    """The bundle that the options of add_model name."""
    from ..registry.registry import Registry

    return Registry().load(
        arguments.bundle,
        device=arguments.device,
        precision=arguments.precision,
        adapter=arguments.adapter,
    )
