"""`stepedit transcribe`: which words a recording says, and when."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import (
    DONE,
    add_model,
    add_overwrite,
    add_recording,
    load_bundle,
    place,
    say_note,
    say_result,
)

if TYPE_CHECKING:
    from ..measure.timeline import Word


def add(commands: Any) -> None:
    """Put `transcribe` on the command line."""
    words = commands.add_parser(
        "transcribe",
        help="show the words of a recording with their times",
        description="Show the words of a recording with their times.",
        allow_abbrev=False,
    )
    add_recording(words)
    words.add_argument(
        "--text",
        default="",
        help="its words, where they are known: only their times are looked for",
    )
    add_recogniser(words)
    add_model(words)
    words.add_argument("--out", type=place, metavar="FILE.json", help="write the words there")
    add_overwrite(words)
    words.set_defaults(run=_transcribe, one_file="out")


def add_words(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which words a recording has, or who hears them."""
    parser.add_argument(
        "--text",
        default="",
        metavar="WORDS",
        help="the words of the recording; default: what the recogniser hears",
    )
    add_recogniser(parser)


def add_recogniser(parser: argparse.ArgumentParser) -> None:
    """The argument that names a recogniser."""
    parser.add_argument(
        "--recogniser",
        default="",
        metavar="DIR",
        help="folder of a faster-whisper model; default: $STEPEDIT_RECOGNISER, or the bundle's own",
    )


def _transcribe(arguments: argparse.Namespace) -> int:
    """`stepedit transcribe`: a table of words."""
    from ..audio.recording_files import open_recording
    from ..files.outputs import check_output
    from ..files.terminal import table
    from ..measure.hearing import draft_note, hear, hear_surely
    from ..measure.recognisers import recogniser_for

    if arguments.out:
        check_output(
            arguments.out,
            [arguments.clip],
            endings=(".json",),
            ours=_is_words,
            overwrite=arguments.overwrite,
        )
    given = bool(arguments.text.strip())
    with open_recording(arguments.clip) as source:
        recogniser = recogniser_for(load_bundle(arguments), arguments.recogniser)
        words = (
            hear_surely(recogniser, source, arguments.text) if given else hear(recogniser, source)
        )
    if arguments.out:
        _write(words, arguments.out)
    rows = [
        (f"{word.start:.2f}", f"{word.end:.2f}", word.text, f"{word.confidence:.2f}")
        for word in words
    ]
    say_result(table(("start", "end", "word", "sure"), rows))
    note = "" if given else draft_note(recogniser)
    if not words:
        say_note("No word is heard in it.")
    elif note:
        say_note(f"This is {note}, or name a faster-whisper folder (--recogniser).")
    return DONE


def _is_words(path: Path) -> bool:
    """Whether a file has the words that this command wrote."""
    from dataclasses import fields

    from ..files.reading import read_json
    from ..measure.timeline import Word

    try:
        found = read_json(path, 2**26)
    except (OSError, ValueError):
        return False
    names = {field.name for field in fields(Word)}
    return isinstance(found, list) and all(
        isinstance(word, dict) and word.keys() == names for word in found
    )


def _write(words: tuple[Word, ...], path: Path) -> None:
    import json
    from dataclasses import asdict

    from ..files.whole import write_whole

    text = json.dumps(
        [asdict(word) for word in words], ensure_ascii=False, indent=1, allow_nan=False
    )
    write_whole(path, (text + "\n").encode())
