"""`stepedit edit`, `clone` and `resynthesize`: one clip in, a folder of rounds out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import DONE, UsageError, add_model, load_bundle

if TYPE_CHECKING:
    from ..pipelines.plan import Plan
    from ..registry.handle import Bundle
    from ..types import Clip, EditRequest


def add(commands: Any) -> None:
    """Put `edit`, `clone` and `resynthesize` on the command line."""
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
        "--voice",
        choices=("original", "previous"),
        default="original",
        help="whose sound each round follows: the original recording's, or the round before's",
    )
    edit.add_argument(
        "--decode",
        choices=("exact", "difference"),
        help="from noise as released, or keeping the recording; default: the model's own way",
    )
    edit.add_argument(
        "--strength",
        type=float,
        default=1.0,
        metavar="S",
        help="0 to 1.5, how much of the change, 0 is the recording; with --decode difference",
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


def _rounds(text: str) -> int:
    try:
        rounds = int(text)
    except ValueError:
        rounds = 0
    if not 1 <= rounds <= 10:
        raise argparse.ArgumentTypeError(f"'{text}' is not allowed; 1 to 10 are")
    return rounds


def _common(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that makes sound."""
    add_model(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of all random draws")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")


def _edit(arguments: argparse.Namespace) -> int:
    """`stepedit edit`: rounds of one edit."""
    from ..files.terminal import Bar
    from ..output.folder import RunFolder
    from ..pipelines.rounds import iterate_rounds
    from ..types import Decoding

    bundle = load_bundle(arguments)
    how = {
        "rounds": arguments.rounds,
        "voice": arguments.voice,
        "decoding": Decoding(way=arguments.decode, strength=arguments.strength),
    }
    clip, plan = _planned(arguments, bundle, _request(arguments), **how)
    folder = RunFolder(Path(arguments.out), arguments.clip, bundle, plan, "edit")
    with Bar(rounds=len(plan.steps)) as bar:
        for made in iterate_rounds(bundle, clip, plan, hooks=bar):
            folder.add(made)
            bar.finished()
    print(folder.finish())
    return DONE


def _clone(arguments: argparse.Namespace) -> int:
    """`stepedit clone`: new words."""
    from ..files.terminal import Bar
    from ..output.folder import RunFolder
    from ..pipelines.clone import clone
    from ..types import EditRequest

    bundle = load_bundle(arguments)
    request = EditRequest(kind="clone", text=arguments.text, new_text=arguments.say)
    clip, plan = _planned(arguments, bundle, request)
    folder = RunFolder(Path(arguments.out), arguments.clip, bundle, plan, "clone")
    with Bar(rounds=1) as bar:
        folder.add(clone(bundle, clip, plan, hooks=bar), file="clone.wav")
    print(folder.finish())
    return DONE


def _resynthesize(arguments: argparse.Namespace) -> int:
    """`stepedit resynthesize`: the codec alone."""
    from ..audio.files import read_clip
    from ..files.terminal import Bar
    from ..output.folder import RunFolder
    from ..pipelines.resynthesize import resynthesize

    bundle = load_bundle(arguments)
    clip = read_clip(arguments.clip)
    folder = RunFolder(Path(arguments.out), arguments.clip, bundle, None, "resynthesize")
    with Bar(rounds=1) as bar:
        folder.add(
            resynthesize(bundle, clip, seed=arguments.seed, hooks=bar), file="resynthesized.wav"
        )
    print(folder.finish())
    return DONE


def _request(arguments: argparse.Namespace) -> EditRequest:
    """The request the options spell."""
    from ..text.edits import EDITS, request_of

    kind = next(k for k in EDITS if getattr(arguments, k) not in (None, False))
    return request_of(kind, getattr(arguments, kind), arguments.text)


def _planned(
    arguments: argparse.Namespace, bundle: Bundle, request: EditRequest, **settings: Any
) -> tuple[Clip, Plan]:
    """The clip and what will be done with it; UsageError for a request the bundle cannot do."""
    from ..audio.files import read_clip
    from ..pipelines.plan import check_request, plan_of

    try:
        check_request(bundle, request)
    except ValueError as error:
        raise UsageError(str(error)) from error
    clip = read_clip(arguments.clip)
    return clip, plan_of(bundle, clip, [request], seed=arguments.seed, **settings)
