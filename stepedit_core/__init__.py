"""StepEdit core: speech editing with dual-codebook language models, in plain torch.

    import stepedit_core as stepedit

    model = stepedit.load("nano")
    result = stepedit.edit(model, "in.wav", text="the words of the clip", emotion="happy", rounds=3)
    stepedit.save(result.best, "out.wav")

Names are looked up when they are first used, so that importing the package imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import (
        clone,
        edit,
        edit_long,
        edit_range,
        load,
        remove_words,
        replace_words,
        resynthesize,
        run,
        save,
        script,
        transcribe,
    )
    from .types import Clip, Decoding, EditRequest, EditResult, Round, Sampling

__version__ = "0.1.0"
_HOME = {
    **dict.fromkeys(
        (
            *("load", "edit", "edit_range", "edit_long", "clone", "run", "resynthesize"),
            *("remove_words", "replace_words", "transcribe", "script", "save"),
        ),
        "api",
    ),
    **dict.fromkeys(
        ("Clip", "Decoding", "EditRequest", "EditResult", "Round", "Sampling"), "types"
    ),
}
__all__ = [
    "Clip",
    "Decoding",
    "EditRequest",
    "EditResult",
    "Round",
    "Sampling",
    "clone",
    "edit",
    "edit_long",
    "edit_range",
    "load",
    "remove_words",
    "replace_words",
    "resynthesize",
    "run",
    "save",
    "script",
    "transcribe",
]


def __getattr__(name: str) -> Any:
    """A public name, from the module that defines it."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*globals(), *_HOME])
