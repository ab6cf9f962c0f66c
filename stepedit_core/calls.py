"""What the calls of the library take: the edit among the keywords, a model, a clip, a recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .audio.clips import mono_clip
from .audio.files import read_clip
from .audio.recordings import Recording, check_finite, read_recording
from .pipelines.plan import check_names
from .printable import quoted, shown
from .registry.handle import Bundle
from .text.edits import EDITS, check_text, request_of
from .types import Clip, EditRequest, Round

FLAGS = ("denoise", "trim_silence")
"""Edits that are asked for with True."""


def request_among(text: str, what: Mapping[str, Any]) -> tuple[EditRequest, dict[str, Any]]:
    """The edit among the keywords, and the settings beside it."""
    check_text("the text of the edit", text)
    check_names(what, (*EDITS, "engine", "seconds"))
    kinds = [k for k in EDITS if what.get(k) not in (None, False, "")]
    if len(kinds) != 1:
        raise ValueError(
            f"{len(kinds)} edits are asked for ({shown(', '.join(kinds) or 'none')}); one is "
            f"allowed, of {', '.join(EDITS)}. Name one."
        )
    (kind,) = kinds
    value = what[kind]
    if (value is not True) if kind in FLAGS else not isinstance(value, str):
        example = "True or False" if kind in FLAGS else "text"
        raise ValueError(
            f"{kind} is {quoted(value)} ({type(value).__name__}); {example} is allowed. Change it."
        )
    given = {name: what[name] for name in ("engine", "seconds") if name in what}
    request = replace(request_of(kind, value, text), **given)
    return request, {k: v for k, v in what.items() if k not in (*EDITS, *given)}


def recording_of(clip: Recording | str | Path) -> Recording:
    """The recording itself, or that of a file; ValueError for samples that are not numbers."""
    if isinstance(clip, (str, Path)):
        return read_recording(clip)
    if not isinstance(clip, Recording):
        raise ValueError(
            f"the clip is of the type {type(clip).__name__}; a path or a Recording is needed. Pass "
            "what read_recording of stepedit_core.audio.recordings gives."
        )
    check_finite(clip)
    return clip


def check_call(model: object, hooks: object) -> None:
    """Raise ValueError for a model that is not loaded, and for hooks without the two methods."""
    if not isinstance(model, Bundle):
        raise ValueError(
            f"the model is {quoted(model)} ({type(model).__name__}); a loaded one is needed. Pass "
            "what stepedit.load gives."
        )
    if hooks is not None and not all(
        callable(getattr(hooks, name, None)) for name in ("progress", "check")
    ):
        raise ValueError(
            f"hooks is {quoted(hooks)} ({type(hooks).__name__}); an object with the methods "
            "progress and check is needed. See stepedit_core/types.py, Hooks."
        )


def clip_of(clip: Clip | str | Path) -> Clip:
    """The recording as one channel of float32 samples, or what is wrong with it."""
    if isinstance(clip, Clip):
        checked = mono_clip(clip.wave, clip.sample_rate)
        return replace(checked, notes=(*clip.notes, *checked.notes))
    if isinstance(clip, Round):
        raise ValueError("the clip is a Round; a path or a Clip is needed. Pass its .clip.")
    if not isinstance(clip, (str, Path)):
        raise ValueError(
            f"the clip is of the type {type(clip).__name__}; a path or a Clip is needed. Pass "
            "stepedit.Clip(wave=..., sample_rate=...)."
        )
    return read_clip(clip)
