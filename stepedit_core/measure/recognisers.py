"""Which recogniser hears the words of a clip: one that the user names, or the bundle's own."""

from __future__ import annotations

import os
from pathlib import Path

from ..models.letters import Letters
from ..printable import shown
from ..registry.handle import Bundle
from ..text.missing_words import MissingWordsError
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


def can_hear(bundle: Bundle, folder: str | Path = "") -> bool:
    """Whether there is a recogniser for `recogniser_for` to open."""
    named = str(folder) or os.environ.get(VARIABLE, "")
    return bool(named) or "recogniser" in bundle.manifest.components


def language_of(bundle: Bundle | None) -> str:
    """The one language that a bundle knows, for ears that know many; empty where it is open.

    A recogniser that writes the letters a to z hears English alone, and so does its bundle. Ears
    that guess may take a short English clip for another language.
    """
    if bundle is None or "recogniser" not in bundle.manifest.components:
        return ""
    return "en" if bundle.manifest.recogniser == "letters" else ""


def judging_folder(folder: str | Path = "") -> str:
    """Folder of the recogniser that judges the words of rounds, for `Plan.recogniser`.

    The given one, else that of $STEPEDIT_RECOGNISER where faster-whisper is installed. Empty, for
    the bundle's own, where there is none.
    """
    from .whisper import is_installed

    if folder:
        return str(folder)
    return os.environ.get(VARIABLE, "") if is_installed() else ""


def recogniser_for(
    bundle: Bundle | None, folder: str | Path = "", *, hooks: Hooks | None = None
) -> Recogniser:
    """The recogniser of a folder, else of $STEPEDIT_RECOGNISER, else that of a bundle.

    Nothing is downloaded. Where the variable names a folder and faster-whisper is not installed,
    the bundle's own hears. Raises ValueError where none of the three is there, or the folder is not
    such a model.
    """
    named = str(folder) or os.environ.get(VARIABLE, "")
    if named:
        from .whisper import NotInstalledError, open_whisper, say_passed_over

        try:
            return open_whisper(named, language=language_of(bundle), hooks=hooks)
        except NotInstalledError:
            if folder or bundle is None or "recogniser" not in bundle.manifest.components:
                raise
            say_passed_over(named)
    if bundle is not None and "recogniser" in bundle.manifest.components:
        return recogniser_of(bundle, hooks=hooks)
    what = "no model is there"
    if bundle is not None:
        what = f"bundle '{shown(bundle.name)}' has no recogniser"
    raise MissingWordsError(
        f"{what}, so nothing hears which words a clip says. Name the folder of a faster-whisper "
        f"model (--recogniser, or ${VARIABLE}; in ComfyUI put it into "
        "models/step_audio_editx/recognisers/), or convert the release with its whole tokenizer "
        "folder."
    )
