"""`stepedit edit-range`: an edit of some words or seconds of a recording, and of nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import DONE, UsageError, add_model, load_bundle
from .transcribe import add_recogniser

if TYPE_CHECKING:
    from ..audio.recordings import Recording
    from ..measure.timeline import Word
    from ..pipelines.range_edit import Part
    from ..registry.handle import Bundle
    from ..types import EditRequest

KINDS = ("emotion", "style", "speed")


def add(commands: Any) -> None:
    """Put `edit-range` on the command line."""
    part = commands.add_parser(
        "edit-range",
        help="edit some words or seconds of a recording of any length",
        allow_abbrev=False,
    )
    part.add_argument("clip", metavar="IN.wav", help="wav, flac, ogg or mp3 of any length")
    where = part.add_mutually_exclusive_group(required=True)
    where.add_argument("--range", type=_range, metavar="A:B", help="from second A to second B")
    where.add_argument("--words", metavar="PHRASE", help="words that the recording says once")
    what = part.add_mutually_exclusive_group(required=True)
    for kind in KINDS:
        what.add_argument(f"--{kind}", metavar="X", help=f"a {kind} the bundle knows")
    part.add_argument(
        "--text", default="", help="words of the recording; default: what the recogniser hears"
    )
    add_recogniser(part)
    part.add_argument("--rounds", type=int, default=1, metavar="N", help="1 to 10")
    part.add_argument("--strength", type=float, default=1.0, metavar="S", help="0 to 1.5")
    part.add_argument("--seed", type=int, default=0, metavar="S", help="of all random draws")
    add_model(part)
    part.add_argument(
        "--out", required=True, metavar="OUT.wav", help="the whole recording, wav or flac"
    )
    part.set_defaults(run=_edit_range)


def _range(text: str) -> tuple[float, float]:
    try:
        start, end = (float(part) for part in text.split(":"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a range; two numbers of seconds with a colon between are"
        ) from error
    return start, end


def _edit_range(arguments: argparse.Namespace) -> int:
    """`stepedit edit-range`: the recording with one part edited."""
    from ..audio.recordings import check_name, read_recording, write_recording
    from ..files.terminal import Bar
    from ..pipelines.range_edit import edit_range
    from ..types import Decoding

    recording = read_recording(arguments.clip)
    out = Path(arguments.out)
    check_name(out, recording)
    if out.exists() and out.samefile(arguments.clip):
        raise UsageError(f"'{out}' is the input; the result needs a file of its own. Rename it.")
    bundle = load_bundle(arguments)
    part, request = _asked(arguments, bundle, recording)
    settings = {
        "rounds": arguments.rounds,
        "seed": arguments.seed,
        "decoding": Decoding(way="difference", strength=arguments.strength),
    }
    with Bar(rounds=arguments.rounds) as bar:
        made = edit_range(bundle, recording, part, [request], settings=settings, hooks=bar)
    write_recording(out, made.recording)
    rate, total = recording.sample_rate, made.recording.samples.shape[1]
    print(
        f"{out}: round {made.number} of {arguments.rounds}, {made.first / rate:.2f} to "
        f"{made.end / rate:.2f} s edited; {total - made.end + made.first} samples outside are the "
        "input's"
    )
    return DONE


def _asked(
    arguments: argparse.Namespace, bundle: Bundle, recording: Recording
) -> tuple[Part, EditRequest]:
    """Which part, and the edit with the words of its window."""
    from ..measure.timeline import find_phrase, words_between
    from ..pipelines.range_edit import part_of
    from ..text.edits import request_of

    words: tuple[Word, ...] | None = None
    if arguments.words is not None:
        words = _heard(arguments, bundle, recording)
        part = part_of(recording, *find_phrase(words, arguments.words))
    else:
        part = part_of(recording, *arguments.range)
    text = arguments.text.strip()
    whole = part.window_end - part.window_start == recording.samples.shape[1]
    if not (whole and text):
        words = _heard(arguments, bundle, recording) if words is None else words
        rate = recording.sample_rate
        text = words_between(words, part.window_start / rate, part.window_end / rate)
    kind = next(k for k in KINDS if getattr(arguments, k) is not None)
    return part, request_of(kind, getattr(arguments, kind), text)


def _heard(arguments: argparse.Namespace, bundle: Bundle, recording: Recording) -> tuple[Word, ...]:
    """The words of the recording with their times."""
    from ..measure.recognisers import recogniser_for

    recogniser = recogniser_for(bundle, arguments.recogniser)
    clip, text = recording.clip(), arguments.text.strip()
    return recogniser.align(clip, text) if text else recogniser.transcribe(clip)
