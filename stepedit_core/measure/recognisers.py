"""Which recogniser hears the words of a clip: one that the user names, or the bundle's own."""

from __future__ import annotations

import os
from pathlib import Path

from ..models.letters import Letters
from ..printable import shown
from ..registry.handle import Bundle
from ..types import Hooks, SilentHooks
from .letters import LettersRecogniser
from .paraformer import ParaformerRecogniser
from .timeline import Recogniser

VARIABLE = "STEPEDIT_RECOGNISER"
"""Environment variable: folder of a faster-whisper model."""
SOURCE = (
    "Download the whole Step-Audio-Tokenizer folder, tokens.json included, and convert the release "
    "again; or give the words yourself."
)
"""How a bundle gets its recogniser."""


def recogniser_of(
    bundle: Bundle, *, hooks: Hooks | None = None
) -> ParaformerRecogniser | LettersRecogniser:
    """The bundle's own recogniser; ValueError says how to get it where the bundle has none."""
    if "recogniser" not in bundle.manifest.components:
        raise ValueError(
            f"bundle '{shown(bundle.name)}' has no recogniser, so it cannot hear which words a "
            "clip says. " + SOURCE
        )
    model, hooks = bundle.recogniser, hooks or SilentHooks()
    if isinstance(model, Letters):
        return LettersRecogniser(model, hooks)
    return ParaformerRecogniser(bundle.linguistic, model, model.units, hooks)


def recogniser_for(
    bundle: Bundle, folder: str | Path = "", *, hooks: Hooks | None = None
) -> Recogniser:
    """The recogniser of a folder, else of $STEPEDIT_RECOGNISER, else the bundle's own.

    Nothing is downloaded. Raises ValueError where none of the three is there, or the folder is not
    such a model.
    """
    named = str(folder) or os.environ.get(VARIABLE, "")
    if named:
        from .whisper import open_whisper

        return open_whisper(named, hooks=hooks)
    if "recogniser" in bundle.manifest.components:
        return recogniser_of(bundle, hooks=hooks)
    raise ValueError(
        f"bundle '{shown(bundle.name)}' has no recogniser, so it cannot hear which words a clip "
        f"says. Name the folder of a faster-whisper model (--recogniser, or ${VARIABLE}), or "
        "convert the release with its whole tokenizer folder."
    )
