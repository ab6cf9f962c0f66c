"""Which recogniser hears the words of a clip: one that the user names, or the bundle's own."""

from __future__ import annotations

import os
from pathlib import Path

from ..printable import shown
from ..registry.handle import Bundle
from ..types import Hooks
from .timeline import Recogniser

VARIABLE = "STEPEDIT_RECOGNISER"
"""Environment variable: folder of a faster-whisper model."""


def can_hear(bundle: Bundle, folder: str | Path = "") -> bool:
    """Whether there is a recogniser for `recogniser_for` to open."""
    named = str(folder) or os.environ.get(VARIABLE, "")
    return bool(named) or "recogniser" in bundle.manifest.components


def recogniser_for(
    bundle: Bundle | None, folder: str | Path = "", *, hooks: Hooks | None = None
) -> Recogniser:
    """The recogniser of a folder, else of $STEPEDIT_RECOGNISER, else that of a bundle.

    Nothing is downloaded. Raises ValueError where none of the three is there, or the folder is not
    such a model.
    """
    named = str(folder) or os.environ.get(VARIABLE, "")
    if named:
        from .whisper import open_whisper

        return open_whisper(named, hooks=hooks)
    if bundle is not None and "recogniser" in bundle.manifest.components:
        from .paraformer import recogniser_of

        return recogniser_of(bundle, hooks=hooks)
    what = "no model is there"
    if bundle is not None:
        what = f"bundle '{shown(bundle.name)}' has no recogniser"
    raise ValueError(
        f"{what}, so nothing hears which words a clip says. Name the folder of a faster-whisper "
        f"model (--recogniser, or ${VARIABLE}; in ComfyUI put it into "
        "models/step_audio_editx/recognisers/), or convert the release with its whole tokenizer "
        "folder."
    )
