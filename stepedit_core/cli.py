"""The command `stepedit`: clips in and out, bundles, data, training, figures.

Exit codes: 0 done; 1 failed, with one sentence on stderr: a file, a place, a model or the machine
is not as the run needs it; 2 the command line asks for what cannot be (an option that the model
does not know and a missing transcript included); 130 stopped by Ctrl-C, as shells expect.
Results go to stdout as a table, progress to stderr when that is a terminal. Files appear whole or
not at all; rounds that were finished before a failure or Ctrl-C stay, and report.json lists them.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType

from . import __version__
from .commands.options import (
    FAILED,
    NOBODY_READS,
    STOPPED,
    USAGE,
    Parser,
    UsageError,
    say_error,
)
from .files.outputs import locked_file
from .files.reading import said_of
from .printable import said_once
from .text.missing_words import MissingWordsError

COMMANDS = {
    "edit": "edit",
    "clone": "edit",
    "resynthesize": "edit",
    "edit-range": "edit_range",
    "edit-long": "edit_range",
    "script": "script",
    "batch": "batch",
    "remove-words": "remove_words",
    "replace-words": "replace_words",
    "transcribe": "transcribe",
    "convert": "models",
    "bench": "models",
    "bundles": "models",
    "data": "data",
    "train": "train",
    "evaluate": "evaluate",
}
"""Command -> the module of commands/ that has it, in the order of the help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code and never raises for wrong input."""
    arguments = argparse.Namespace()
    try:
        arguments = _parser(sys.argv[1:] if argv is None else argv).parse_args(argv)
        with _ctrl_c_stays_ctrl_c():
            with locked_file(_written(arguments)), said_once():
                code: int = arguments.run(arguments)
            _flush()
    except SystemExit as stop:  # argparse has said why, or shown the help
        try:
            _flush()
        except BrokenPipeError:
            return _nobody_reads()
        return int(stop.code or 0)
    except (UsageError, MissingWordsError) as error:
        return say_error(str(error), USAGE)
    except BrokenPipeError:
        return _nobody_reads()
    except (OSError, ValueError, MemoryError) as error:
        return say_error(said_of(error), FAILED)
    except RuntimeError as error:
        return say_error(_expected(error), FAILED)
    except KeyboardInterrupt:
        code = say_error(getattr(arguments, "stopped", "stopped."), STOPPED)
        if argv is None:  # a process of its own: torch takes 0.7 s to tear down, for nothing
            with suppress(OSError):
                _flush()
            os._exit(code)
    return code


def _written(arguments: argparse.Namespace) -> Path | None:
    """The one file that a command writes; None for one that writes a folder, or nothing."""
    found = getattr(arguments, getattr(arguments, "one_file", ""), None)
    return found if isinstance(found, Path) else None


def _nobody_reads() -> int:
    """The exit code where who read the output has ended, as `head` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python complains when it ends
    return NOBODY_READS


def _flush() -> None:
    """Write out what was printed: an error of it belongs to the command."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by the caller
            stream.flush()


@contextmanager
def _ctrl_c_stays_ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt where a library turned it into an error of its own, as torch does."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or current_thread() is not main_thread():
        yield  # another program's handler, or a place where none can be set
        return
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    except Exception as error:
        if pressed:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)


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


def _parser(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser of the command that is asked for; of all commands where none is."""
    parser = Parser(
        prog="stepedit",
        description="Edit recorded speech, round by round, with a language model.",
        epilog="`stepedit COMMAND --help` lists the options of a command. Exit codes: 0 done, 1 "
        "failed, 2 wrong command line, 130 stopped by Ctrl-C, 141 nobody reads the output.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"stepedit {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    word = next((word for word in argv if not word.startswith("-")), "")
    asked = [COMMANDS[word]] if word in COMMANDS else COMMANDS.values()
    for module in dict.fromkeys(asked):
        import_module(f"{__package__}.commands.{module}").add(commands)
    return parser
