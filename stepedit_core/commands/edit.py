"""`stepedit edit`, `clone` and `resynthesize`: one clip in, a folder of rounds out."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..printable import shown
from .options import (
    DONE,
    FAILED,
    UsageError,
    add_model,
    add_rounds,
    add_seed,
    asked,
    load_bundle,
    number,
    place,
    say_error,
    say_note,
    say_result,
)
from .transcribe import add_recogniser

if TYPE_CHECKING:
    from ..output.folder import RunFolder
    from ..pipelines.listened import Listened
    from ..pipelines.plan import Plan
    from ..registry.handle import Bundle
    from ..types import Clip, EditRequest

CLIP = "recording of 0.5 to 30 s: wav, flac, ogg or mp3"


def add(commands: Any) -> None:
    """Put `edit`, `clone` and `resynthesize` on the command line."""
    edit = commands.add_parser(
        "edit",
        help="change how a clip sounds, round by round",
        description="Change how a clip sounds. Each round is made of the round before it; the "
        "folder gets a wave and a tokens file for every round, round_0.wav is the recording as "
        "the model hears it, and report.json has the figures.",
        allow_abbrev=False,
    )
    edit.add_argument("clip", metavar="IN", help=CLIP)
    edit.add_argument(
        "--text",
        default="",
        metavar="WORDS",
        help="the words spoken in the clip; default: what the recogniser hears; --denoise and "
        "--trim-silence do without",
    )
    add_recogniser(edit)
    what = edit.add_mutually_exclusive_group(required=True)
    for kind, examples in (("emotion", "happy, sad"), ("style", "whisper"), ("speed", "faster")):
        what.add_argument(
            f"--{kind}", metavar="X", help=f"as {examples}; a wrong one lists what the model knows"
        )
    what.add_argument(
        "--sounds",
        metavar="WORDS",
        help='the words with sounds in between, as "well [Laughter] hello"',
    )
    what.add_argument("--denoise", action="store_true", help="remove the noise")
    what.add_argument("--trim-silence", action="store_true", help="remove the silence")
    what.add_argument(
        "--rewrite",
        metavar="X",
        help="experimental: fillers, interjections or text, sentences that the release of 2026 was "
        "trained on and does not offer; --say has the words that should be left",
    )
    edit.add_argument("--say", default="", metavar="WORDS", help="the words after --rewrite")
    edit.add_argument(
        "--engine",
        choices=("auto", "model", "signal"),
        default="auto",
        help="who makes --speed, --denoise, --trim-silence and --style whisper: the model, or "
        "signal processing, which needs no words; default auto: the model where it makes the edit",
    )
    edit.add_argument(
        "--seconds",
        type=number(0, 120),
        default=0.0,
        metavar="S",
        help="length of the clip after --speed 'fit to seconds'",
    )
    add_rounds(edit)
    edit.add_argument(
        "--voice",
        choices=("original", "previous"),
        default="original",
        help="whose sound each round follows: that of the recording (default), or of the round "
        "before it",
    )
    edit.add_argument(
        "--decode",
        choices=("exact", "difference"),
        help="exact: from noise, as released; difference: from the recording, which keeps more "
        "of it; default: what the model was made for",
    )
    edit.add_argument(
        "--strength",
        type=number(0, 2),
        default=1.0,
        metavar="S",
        help="how much of the change, 0 (the recording) to 2; default 1; needs the decoding by "
        "difference",
    )
    _common(edit)
    edit.set_defaults(run=_edit, command="edit", stopped="stopped; finished rounds are kept.")

    clone = commands.add_parser(
        "clone",
        help="say new words in the voice of a clip",
        description="Say new words in the voice of a clip: clone.wav, its tokens, report.json.",
        allow_abbrev=False,
    )
    clone.add_argument("clip", metavar="IN", help=CLIP)
    clone.add_argument(
        "--text", required=True, metavar="WORDS", help="the words spoken in the clip"
    )
    clone.add_argument(
        "--say",
        required=True,
        metavar="WORDS",
        help="the new words; a Mandarin character with several readings may be spelled as pinyin "
        "and tone, for example guo4",
    )
    _common(clone)
    clone.set_defaults(run=_clone, command="clone")

    again = commands.add_parser(
        "resynthesize",
        help="send a clip through tokenizer and decoder alone",
        description="Send a clip through tokenizer and decoder alone: what the model can keep of "
        "it at best. The language model is not used.",
        allow_abbrev=False,
    )
    again.add_argument("clip", metavar="IN", help=CLIP)
    _common(again)
    again.set_defaults(run=_resynthesize, command="resynthesize")


def _common(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that makes sound."""
    add_model(parser)
    add_seed(parser)
    parser.add_argument(
        "--out",
        type=place,
        required=True,
        metavar="DIR",
        help="folder for the results; an older result there is replaced once the new one is "
        "finished, other files are left alone",
    )


def _edit(arguments: argparse.Namespace) -> int:
    """`stepedit edit`: rounds of one edit."""
    from ..files.terminal import Bar
    from ..measure.recognisers import judging_folder
    from ..pipelines.listened import noted
    from ..pipelines.makers import check_way
    from ..pipelines.rounds import iterate_rounds
    from ..types import Decoding

    bundle = load_bundle(arguments)
    how = {
        "rounds": arguments.rounds,
        "voice": arguments.voice,
        "decoding": Decoding(way=arguments.decode, strength=arguments.strength),
        "recogniser": judging_folder(arguments.recogniser),
    }
    request = _request(arguments)
    clip, found = _listened(arguments, bundle, request)
    request = request if found is None else replace(request, text=found.text)
    plan = _planned(arguments, bundle, clip, request, **how)
    with asked():
        check_way(bundle, plan.requests, plan.decoding)
    with _folder(arguments, bundle, plan, found) as folder:
        bundle.load_all()  # a damaged part is found before anything is written
        with Bar(rounds=len(plan.steps)) as bar:
            for made in iterate_rounds(bundle, clip, plan, hooks=bar):
                folder.add(made if made.request else noted(made, found))
                bar.finished()
        _finish(folder)
    return DONE


def _clone(arguments: argparse.Namespace) -> int:
    """`stepedit clone`: new words."""
    from ..files.terminal import Bar
    from ..pipelines.clone import clone
    from ..types import EditRequest

    bundle = load_bundle(arguments)
    request = EditRequest(kind="clone", text=arguments.text, new_text=arguments.say)
    clip = _read(arguments, bundle, request)
    plan = _planned(arguments, bundle, clip, request)
    with _folder(arguments, bundle, plan) as folder:
        bundle.load_all()
        with Bar(rounds=1) as bar:
            folder.add(clone(bundle, clip, plan, hooks=bar))
        _finish(folder)
    return DONE


def _resynthesize(arguments: argparse.Namespace) -> int:
    """`stepedit resynthesize`: the codec alone."""
    from ..audio.files import read_clip
    from ..files.terminal import Bar
    from ..pipelines.resynthesize import resynthesize

    bundle = load_bundle(arguments)
    clip = read_clip(arguments.clip)
    with _folder(arguments, bundle, None) as folder:
        bundle.load_all(("linguistic", "semantic", "speaker", "flow", "vocoder"))
        with Bar(rounds=1) as bar:
            folder.add(resynthesize(bundle, clip, seed=arguments.seed, hooks=bar))
        _finish(folder)
    return DONE


def _finish(folder: RunFolder) -> None:
    """Put the result in its place, and say what it is."""
    say_result(folder.finish())
    for warning in folder.warnings:
        say_note(warning)


@contextmanager
def _folder(
    arguments: argparse.Namespace,
    bundle: Bundle,
    plan: Plan | None,
    found: Listened | None = None,
) -> Iterator[RunFolder]:
    """The folder of results; says where the rounds of a stopped run lie when an older one stays."""
    from ..output.folder import RunFolder

    made = RunFolder(arguments.out, arguments.clip, bundle, plan, arguments.command)
    made.heard = None if found is None else found.heard
    try:
        with made as folder:
            yield folder
    finally:
        if made.kept is not None:
            said = f"the older result in '{shown(arguments.out)}' stays; the new rounds are in"
            say_error(f"{shown(said)} '{shown(made.kept)}'.", FAILED)


def _request(arguments: argparse.Namespace) -> EditRequest:
    """The request the options spell."""
    from ..text.edits import EDITS, request_of

    kinds = (*EDITS, "rewrite")
    kind = next(k for k in kinds if getattr(arguments, k) not in (None, False))
    if arguments.say and kind != "rewrite":
        raise UsageError(f"--say has words, but {kind} has none of its own. Leave --say out.")
    request = request_of(kind, getattr(arguments, kind), arguments.text)
    if kind == "rewrite":
        request = replace(request, new_text=arguments.say)
    return replace(request, engine=arguments.engine, seconds=arguments.seconds)


def _listened(
    arguments: argparse.Namespace, bundle: Bundle, request: EditRequest
) -> tuple[Clip, Listened | None]:
    """The clip and what is heard in it before the run, said on the error output."""
    from ..measure.recognisers import can_hear
    from ..pipelines.plan import ANY_WORDS, listened

    hears = can_hear(bundle, arguments.recogniser) and not request.text.strip()
    clip = _read(arguments, bundle, replace(request, text=ANY_WORDS) if hears else request)
    found = listened(bundle, clip, [request], arguments.recogniser)
    for note in () if found is None or found.given else found.notes:  # a warning is logged
        say_note(note)
    return clip, found


def _read(arguments: argparse.Namespace, bundle: Bundle, request: EditRequest) -> Clip:
    """The clip; UsageError for a request the bundle cannot do."""
    from ..audio.clips import check_clip
    from ..audio.files import read_clip
    from ..pipelines.plan import check_request

    with asked():
        check_request(bundle, request)
    clip = read_clip(arguments.clip)
    check_clip(clip)
    return clip


def _planned(
    arguments: argparse.Namespace,
    bundle: Bundle,
    clip: Clip,
    request: EditRequest,
    **settings: Any,
) -> Plan:
    """What will be done with the clip; UsageError for what cannot be."""
    from ..pipelines.plan import plan_of
    from ..pipelines.transcript import PaceError

    try:
        return plan_of(bundle, clip, [request], seed=arguments.seed, **settings)
    except PaceError:  # the clip may as well be the wrong one
        raise
    except ValueError as error:
        raise UsageError(str(error)) from error
