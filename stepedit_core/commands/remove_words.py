"""`stepedit remove-words`: words, fillers, repeats and long pauses out of a recording."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .options import (
    DONE,
    add_model,
    add_overwrite,
    add_recording,
    asked,
    load_bundle,
    number,
    opened_recording,
    place,
    say_result,
)
from .transcribe import add_recogniser

if TYPE_CHECKING:
    from ..pipelines.remove_words import RemovedWords


def add(commands: Any) -> None:
    """Put `remove-words` on the command line."""
    parser = commands.add_parser(
        "remove-words",
        help="take words, fillers, repeats or long pauses out of a recording",
        description="Take words, fillers, repeats or long pauses out of a recording of any length. "
        "No model is needed but a recogniser; every sample outside of the cuts stays as it is.",
        allow_abbrev=False,
    )
    add_recording(parser)
    parser.add_argument("out", type=place, metavar="OUT", help="file for the result, wav or flac")
    parser.add_argument(
        "--words",
        action="append",
        default=[],
        metavar="PHRASE",
        help="words that the recording says once; the option may be repeated",
    )
    parser.add_argument(
        "--every", action="store_true", help="remove --words wherever they are said"
    )
    parser.add_argument("--fillers", action="store_true", help="remove um, uh and the like")
    parser.add_argument(
        "--repeats", action="store_true", help='remove starts that are said again: "I I", "the the"'
    )
    parser.add_argument(
        "--pauses-over",
        type=number(0.2, 10),
        metavar="SECONDS",
        help="make longer pauses this long, 0.2 to 10",
    )
    parser.add_argument(
        "--language",
        default="",
        metavar="L",
        help="whose fillers: en, zh, ja, ko, de, fr, es; default: the first four",
    )
    parser.add_argument(
        "--keep-length",
        action="store_true",
        help="fill with room tone instead of closing the gaps, for the sound of a film",
    )
    parser.add_argument(
        "--text",
        default="",
        metavar="WORDS",
        help="the words of the recording, fillers and repeats among them; default: what the "
        "recogniser hears",
    )
    add_recogniser(parser)
    add_model(parser)
    add_overwrite(parser)
    parser.set_defaults(run=_remove_words, one_file="out")


def _remove_words(arguments: argparse.Namespace) -> int:
    """`stepedit remove-words`: one file and a table of what is gone."""
    from ..audio.recordings import write_recording
    from ..measure.hearing import hear_surely, sure_listener
    from ..measure.recognisers import recogniser_for
    from ..pipelines.remove_words import Removal, check_removal, remove_words

    which = Removal(
        phrases=tuple(arguments.words),
        every=arguments.every,
        fillers=arguments.fillers,
        repeats=arguments.repeats,
        pauses_over=arguments.pauses_over,
        language=arguments.language,
        keep_length=arguments.keep_length,
    )
    with asked():
        check_removal(which)
    recording = opened_recording(arguments.clip, arguments.out, overwrite=arguments.overwrite)
    if which.only_pauses and not arguments.text.strip():
        made = remove_words(recording, (), which)
    else:
        recogniser = recogniser_for(load_bundle(arguments), arguments.recogniser)
        words = hear_surely(recogniser, recording, arguments.text, chosen=which.phrases)
        made = remove_words(recording, words, which, ears=sure_listener(recogniser))
    write_recording(arguments.out, made.recording)
    say_result(_summary(made, recording.seconds))
    return DONE


def _summary(made: RemovedWords, seconds: float) -> str:
    """What was cut, as a table, and the length before and after."""
    from ..files.terminal import table

    length = f"{seconds:.2f} s before, {made.recording.seconds:.2f} s after"
    if not made.cuts:
        return f"nothing of that was found; {length}"
    rows = [(f"{cut.start:.2f}", f"{cut.end:.2f}", cut.why, cut.text or "-") for cut in made.cuts]
    return f"{table(('from', 'to', 'why', 'words'), rows)}\n{length}"
