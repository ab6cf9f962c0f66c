"""Which engine makes an edit, the language model or signal processing, and why one cannot.

Speed, pauses and noise can be changed either way, and speech can be whispered. `auto` takes the
model where the bundle offers the edit and signal processing (`signal/`) where it does not. All
other edits need the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ..printable import shown
from ..types import EditRequest, Engine
from .edits import EDITS, KINDS, SPEEDS, EditVocabulary, choice

ENGINES: tuple[Engine, ...] = ("auto", "model", "signal")
FIT = "fit to seconds"
"""Option of `speed`: exactly the length that the request names; by signal processing only."""
WHISPER = "whisper"
"""The one option of `style` that signal processing makes."""
SIGNAL_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "speed": (*SPEEDS, FIT),
    "denoise": (),
    "trim_silence": (),
    "style": (WHISPER,),
}
"""Kind -> options of the edits that signal processing makes, with every bundle."""
SIGNAL_MAKES = "speed, denoise, trim_silence, style whisper"
"""The same for a sentence."""
RELEASE = "the released model Step-Audio-EditX"


def signal_makes(request: EditRequest) -> bool:
    """Whether signal processing makes such an edit; of `style` it makes one option only."""
    if request.kind == "style":
        return request.option in SIGNAL_OPTIONS["style"]
    return request.kind in SIGNAL_OPTIONS


def whispers(request: EditRequest | None) -> bool:
    """Whether this is a whisper by signal processing."""
    return request is not None and (
        request.engine == "signal" and (request.kind, request.option) == ("style", WHISPER)
    )


def engine_of(request: EditRequest, vocabulary: EditVocabulary) -> Literal["model", "signal"]:
    """The engine that makes a request; ValueError for an unknown one, or one that cannot."""
    if request.engine not in ENGINES:
        raise ValueError(choice("engine", request.engine, ENGINES))
    able = signal_makes(request)
    if request.engine == "signal" and not able:
        raise ValueError(
            f"the engine signal does not make {shown(request.label)}; it makes {SIGNAL_MAKES}. "
            "Choose the engine auto."
        )
    fits = request.kind == "speed" and request.option == FIT
    if request.engine == "model" and fits:
        raise ValueError(
            f"no model makes speed '{FIT}'; a model knows {', '.join(SPEEDS)}. Choose the engine "
            "signal."
        )
    if request.engine != "auto":
        return request.engine
    return "signal" if able and (fits or not _offered(request, vocabulary)) else "model"


def _offered(request: EditRequest, vocabulary: EditVocabulary) -> bool:
    """Whether a model of this vocabulary makes the edit; of `style` each option counts."""
    options = vocabulary.options.get(request.kind)
    return options is not None and (request.kind != "style" or request.option in options)


def check_signal(request: EditRequest) -> None:
    """Raise ValueError for what signal processing cannot make of a request of its kinds."""
    options = SIGNAL_OPTIONS[request.kind]
    if options and request.option not in options:
        raise ValueError(choice(f"{request.kind} option", request.option, options))
    if not options and request.option:
        raise ValueError(
            f"{request.kind} received the option '{shown(request.option)}'; it takes none. "
            "Leave the option empty."
        )
    check_seconds(request)


def check_seconds(request: EditRequest) -> None:
    """Raise ValueError for a length without the option that uses it, or the other way round."""
    fits = request.kind == "speed" and request.option == FIT
    if fits and not request.seconds > 0:
        raise ValueError(
            f"speed '{FIT}' received the length {request.seconds:g} s; it needs more than 0. Give "
            "the seconds that the clip should last."
        )
    if request.seconds and not fits:
        raise ValueError(
            f"{shown(request.label)} received the length {request.seconds:g} s; only speed '{FIT}' "
            "takes one. Leave it out, or choose that speed."
        )


def check_offered(bundle: str, request: EditRequest, vocabulary: EditVocabulary) -> None:
    """Raise ValueError where the model of a bundle of this name does not make this kind of edit.

    The sentence says what it makes, and which engine or model makes the rest. A kind that nobody
    knows is left to `validate`.
    """
    able = signal_makes(request)
    if request.kind not in KINDS or _offered(request, vocabulary):
        return
    if request.kind in vocabulary.options and not able:
        if request.engine == "auto":
            options = dict.fromkeys((*vocabulary.options["style"], *SIGNAL_OPTIONS["style"]))
            raise ValueError(choice("style option", request.option, tuple(options)))
        return  # `validate` lists the options
    remedy = f"Load {RELEASE}"
    if able:
        remedy = f"Use Iterative Edit or `stepedit edit` with the engine signal, or load {RELEASE}"
    what = request.label if request.kind == "style" and able else request.kind
    raise ValueError(
        f"the model of {shown(bundle)} does not make {shown(what)}; it makes "
        f"{shown(makes(vocabulary))}. {remedy}."
    )


def makes(vocabulary: EditVocabulary) -> str:
    """What a model of this vocabulary makes, and what signal processing does, for a sentence."""
    own = ", ".join(kind for kind in (*EDITS, "clone") if kind in vocabulary.options) or "no edit"
    return f"{own}, and the engine signal {SIGNAL_MAKES}"
