"""`stepedit edit-range` and `edit-long`: some words of a recording and no others, or all of it."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files.lock import locked
from ..files.whole import ready_folder
from ..printable import shown
from .options import (
    DONE,
    RESUMES,
    add_model,
    add_overwrite,
    add_recording,
    add_rounds,
    add_seed,
    asked,
    check_out,
    load_bundle,
    number,
    opened_recording,
    place,
    say_note,
    say_result,
)
from .transcribe import add_words

if TYPE_CHECKING:
    from ..audio.recordings import Recording, Source
    from ..measure.timeline import Word
    from ..pipelines.inside import Part
    from ..pipelines.long_edit import PieceNote
    from ..registry.handle import Bundle
    from ..types import EditRequest

KINDS = ("emotion", "style", "speed")


def add(commands: Any) -> None:
    """Put `edit-range` and `edit-long` on the command line."""
    part = commands.add_parser(
        "edit-range",
        help="edit some words or seconds of a recording of any length",
        description="Edit some words or seconds of a recording of any length; every sample "
        "outside of the part stays as it is.",
        allow_abbrev=False,
    )
    add_recording(part)
    where = part.add_mutually_exclusive_group(required=True)
    where.add_argument("--range", type=_range, metavar="A:B", help="from second A to second B")
    where.add_argument("--words", metavar="PHRASE", help="words that the recording says once")
    _common(part)
    part.set_defaults(run=_edit_range, one_file="out")

    long = commands.add_parser(
        "edit-long",
        help="edit a recording of any length, piece by piece",
        description="Edit a recording of any length, piece by piece. A stopped run resumes when it "
        "is run again.",
        allow_abbrev=False,
    )
    add_recording(long)
    _common(long)
    long.set_defaults(run=_edit_long, one_file="out", stopped=RESUMES)


def _common(parser: argparse.ArgumentParser) -> None:
    """The edit, its settings and the result's name."""
    what = parser.add_mutually_exclusive_group(required=True)
    for kind in KINDS:
        what.add_argument(f"--{kind}", metavar="X", help=f"{kind}; a wrong one lists the allowed")
    add_words(parser)
    add_rounds(parser)
    parser.add_argument(
        "--strength",
        type=number(0, 2),
        default=1.0,
        metavar="S",
        help="how much of the change, 0 (the recording) to 2; default 1",
    )
    add_seed(parser)
    add_model(parser)
    parser.add_argument(
        "--out",
        type=place,
        required=True,
        metavar="OUT.wav",
        help="file for the whole recording, wav or flac",
    )
    add_overwrite(parser)


def _range(text: str) -> tuple[float, float]:
    try:
        start, end = (float(part) for part in text.split(":"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"'{shown(text)}' is not a range; two numbers of seconds with a colon between are"
        ) from error
    if not 0 <= start < end:
        raise argparse.ArgumentTypeError(
            f"'{shown(text)}' is not a range; a start of 0 s or more and a later end are"
        )
    return start, end


def _edit_range(arguments: argparse.Namespace) -> int:
    """`stepedit edit-range`: the recording with one part edited."""
    from ..audio.recordings import write_recording
    from ..files.terminal import Bar
    from ..pipelines.range_edit import edit_range
    from ..pipelines.verdict import round_warnings

    out: Path = arguments.out
    recording = opened_recording(arguments.clip, out, overwrite=arguments.overwrite)
    bundle = load_bundle(arguments)
    _check(arguments, bundle)
    part, request = _part(arguments, bundle, recording)
    with Bar(rounds=arguments.rounds) as bar:
        made = edit_range(
            bundle, recording, part, [request], settings=_settings(arguments), hooks=bar
        )
    write_recording(out, made.recording)
    for warning in round_warnings(made.rounds.rounds, made.number):
        say_note(warning)
    if not made.number:
        say_result(f"{out}: the recording as it was; no round of the part holds")
        return DONE
    if made.note:
        say_result(f"{out}: the recording as it was; {made.note}")
        return DONE
    rate, total = recording.sample_rate, made.recording.samples.shape[1]
    say_result(
        f"{out}: round {made.number} of {arguments.rounds}, {made.first / rate:.2f} to "
        f"{made.end / rate:.2f} s edited; {total - made.end + made.first} samples outside are the "
        "input's"
    )
    return DONE


def _edit_long(arguments: argparse.Namespace) -> int:
    """`stepedit edit-long`: all of a recording; a run that was stopped resumes."""
    import shutil

    from ..files.terminal import table
    from ..pipelines.long_edit import COLUMNS, piece_rows

    out: Path = arguments.out
    kept = out.with_name(f".{out.name}.pieces")
    try:
        pieces = _pieces(arguments, kept)
    finally:
        with suppress(OSError):  # an empty one; finished pieces stay for the next run
            kept.rmdir()
    shutil.rmtree(kept, ignore_errors=True)
    say_result(table(COLUMNS, piece_rows(pieces)))
    return DONE


def _pieces(arguments: argparse.Namespace, kept: Path) -> tuple[PieceNote, ...]:
    """What was done with each piece of the recording; finished ones lie in `kept`."""
    from ..audio.recording_files import open_recording
    from ..files.terminal import Bar
    from ..pipelines.long_edit import LongEdit, edit_long_file

    out: Path = arguments.out
    with open_recording(arguments.clip) as source:
        check_out(arguments.clip, out, source, overwrite=arguments.overwrite)
        bundle = load_bundle(arguments)
        _check(arguments, bundle)
        request = _request(arguments, "")
        words = _heard(arguments, bundle, source) if _need_words(arguments, bundle) else ()
        ready_folder(kept)
        with locked(kept), Bar() as bar:
            how = LongEdit(request, _settings(arguments), kept, bar)
            return edit_long_file(bundle, source, out, words, how)


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fields of the plan."""
    from ..types import Decoding

    return {
        "rounds": arguments.rounds,
        "seed": arguments.seed,
        "decoding": Decoding(way="difference", strength=arguments.strength),
    }


def _request(arguments: argparse.Namespace, text: str) -> EditRequest:
    """The edit that the options name."""
    from ..text.edits import request_of

    kind = next(k for k in KINDS if getattr(arguments, k) is not None)
    return request_of(kind, getattr(arguments, kind), text)


def _check(arguments: argparse.Namespace, bundle: Bundle) -> None:
    """UsageError, before anything is heard, for an edit that the bundle or a part does not have."""
    from ..pipelines.makers import check_strength
    from ..pipelines.plan import ANY_WORDS, check_request
    from ..pipelines.range_edit import check_keeps

    request = _request(arguments, ANY_WORDS)
    with asked():
        check_keeps(request)
        check_request(bundle, request)
        check_strength(bundle, [request], _settings(arguments)["decoding"])


def _part(
    arguments: argparse.Namespace, bundle: Bundle, recording: Recording
) -> tuple[Part, EditRequest]:
    """Which part, and the edit with the words of its window."""
    from ..measure.timeline import find_phrase, words_between
    from ..measure.word_table import timed_words
    from ..pipelines.range_edit import part_of

    words: tuple[Word, ...] | None = None
    if arguments.words is not None:
        words = _heard(arguments, bundle, recording)
        part = part_of(recording, *find_phrase(words, arguments.words))
    else:
        part = part_of(recording, *arguments.range)
        if not _need_words(arguments, bundle):
            return part, _request(arguments, "")
    text = arguments.text.strip()
    whole = part.window_end - part.window_start == recording.samples.shape[1]
    timed = timed_words(text, recording.seconds) is not None
    if timed or not (whole and text):
        words = _heard(arguments, bundle, recording) if words is None else words
        rate = recording.sample_rate
        text = words_between(words, part.window_start / rate, part.window_end / rate)
    return part, _request(arguments, text)


def _need_words(arguments: argparse.Namespace, bundle: Bundle) -> bool:
    """Whether words are given, or the edit needs them."""
    from ..pipelines.makers import needs_words

    return needs_words(bundle, [_request(arguments, "")], arguments.text)


def _heard(arguments: argparse.Namespace, bundle: Bundle, source: Source) -> tuple[Word, ...]:
    """The words of the recording with their times."""
    from ..measure.hearing import hear_surely
    from ..measure.recognisers import recogniser_for

    phrase = getattr(arguments, "words", None)  # edit-long chooses no words
    return hear_surely(
        recogniser_for(bundle, arguments.recogniser),
        source,
        arguments.text,
        chosen=None if phrase is None else [phrase],
    )
