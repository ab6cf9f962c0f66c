"""Which engine makes an edit, the language model or signal processing, and why one cannot.

Speed, pauses and noise can be changed either way. `auto` takes the model where the bundle offers
the edit and signal processing (`signal/`) where it does not. All other edits need the model.
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
SIGNAL_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "speed": (*SPEEDS, FIT),
    "denoise": (),
    "trim_silence": (),
}
"""Kind -> options of the edits that signal processing makes, with every bundle."""
RELEASE = "the released model Step-Audio-EditX"


def engine_of(request: EditRequest, vocabulary: EditVocabulary) -> Literal["model", "signal"]:
    """The engine that makes a request; ValueError for an unknown one, or one that cannot."""
    if request.engine not in ENGINES:
        raise ValueError(choice("engine", request.engine, ENGINES))
    able = request.kind in SIGNAL_OPTIONS
    if request.engine == "signal" and not able:
        raise ValueError(
            f"the engine signal does not make {shown(request.label)}; it makes "
            f"{', '.join(SIGNAL_OPTIONS)}. Choose the engine auto."
        )
    fits = request.kind == "speed" and request.option == FIT
    if request.engine == "model" and fits:
        raise ValueError(
            f"no model makes speed '{FIT}'; a model knows {', '.join(SPEEDS)}. Choose the engine "
            "signal."
        )
    if request.engine != "auto":
        return request.engine
    return "signal" if able and (fits or request.kind not in vocabulary.options) else "model"


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
    if request.kind in vocabulary.options or request.kind not in KINDS:
        return
    remedy = f"Load {RELEASE}"
    if request.kind in SIGNAL_OPTIONS:
        remedy = f"Use Iterative Edit or `stepedit edit` with the engine signal, or load {RELEASE}"
    raise ValueError(
        f"the model of {shown(bundle)} does not make {request.kind}; it makes "
        f"{shown(makes(vocabulary))}. {remedy}."
    )


def makes(vocabulary: EditVocabulary) -> str:
    """What a model of this vocabulary makes, and what signal processing does, for a sentence."""
    own = ", ".join(kind for kind in (*EDITS, "clone") if kind in vocabulary.options) or "no edit"
    return f"{own}, and the engine signal {', '.join(SIGNAL_OPTIONS)}"
