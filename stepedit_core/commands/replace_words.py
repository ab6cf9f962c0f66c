"""`stepedit replace-words`: other words in the place of some, in the voice of the recording."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..printable import shown
from .options import (
    DONE,
    add_model,
    add_overwrite,
    add_recording,
    add_seed,
    asked,
    load_bundle,
    opened_recording,
    place,
    say_note,
    say_result,
)
from .transcribe import add_words

if TYPE_CHECKING:
    from ..measure.timeline import Recogniser
    from ..pipelines.replace_words import ReplacedWords, Replacement

AROUND_S = 2.0
"""Seconds beside the new words that are listened to as well."""


def add(commands: Any) -> None:
    """Put `replace-words` on the command line."""
    parser = commands.add_parser(
        "replace-words",
        help="say other words in the place of some, in the voice of the recording",
        description="Say other words in the place of some of a recording of any length, in its "
        "voice. It needs a model that can clone, as the released one. Samples outside of the new "
        "words stay as they are; what follows moves where these are longer or shorter.",
        allow_abbrev=False,
    )
    add_recording(parser)
    parser.add_argument("out", type=place, metavar="OUT", help="file for the result, wav or flac")
    parser.add_argument(
        "--replace",
        type=_replacement,
        action="append",
        required=True,
        metavar="OLD=NEW",
        help="words that the recording says once, and others for them; the option may be repeated",
    )
    add_words(parser)
    add_seed(parser)
    add_model(parser)
    add_overwrite(parser)
    parser.set_defaults(run=_replace_words, one_file="out")


def _replacement(text: str) -> Replacement:
    from ..pipelines.replace_words import Replacement

    old, equals, new = text.partition("=")
    if not (equals and old.strip() and new.strip()):
        raise argparse.ArgumentTypeError(
            f"'{shown(text)}' does not say what should be replaced; OLD=NEW does, words on both "
            "sides"
        )
    return Replacement(old=old.strip(), new=new.strip())


def _replace_words(arguments: argparse.Namespace) -> int:
    """`stepedit replace-words`: one file, and what is heard at the new words."""
    from ..audio.recordings import write_recording
    from ..files.terminal import Bar
    from ..measure.hearing import hear_surely
    from ..measure.recognisers import recogniser_for
    from ..pipelines.replace_words import check_clones, replace_words

    recording = opened_recording(arguments.clip, arguments.out, overwrite=arguments.overwrite)
    bundle = load_bundle(arguments)
    with asked():
        check_clones(bundle)
    ears = recogniser_for(bundle, arguments.recogniser)
    old = [which.old for which in arguments.replace]
    words = hear_surely(ears, recording, arguments.text, chosen=old)
    lines = []
    for which in arguments.replace:
        with Bar() as bar:
            made = replace_words(
                bundle, recording, words, which, settings={"seed": arguments.seed}, hooks=bar
            )
        recording, words = made.recording, made.words
        lines.append(_line(which, made, ears))
        for fault in made.spoken.notes:
            say_note(f"'{which.new}': {fault}")
    write_recording(arguments.out, recording)
    say_result("\n".join(lines))
    return DONE


def _line(which: Replacement, made: ReplacedWords, ears: Recogniser) -> str:
    """Where the new words are, and what a recogniser hears there."""
    rate, patch = made.recording.sample_rate, made.patch
    near = round(AROUND_S * rate)
    heard = ears.transcribe(made.recording.clip(max(0, patch.first - near), patch.end + near))
    said = " ".join(word.text for word in heard)
    return (
        f"{patch.first / rate:.2f} to {patch.end / rate:.2f} s: {shown(which.new)}; heard around "
        f"it: {shown(said or 'nothing')}"
    )
