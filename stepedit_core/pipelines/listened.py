"""The transcript of a clip before its run: heard where none is given, else checked by listening.

What is given is never changed. Where nothing can hear, a given transcript is taken as it is, and a
missing one is an error of the plan.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

from ..measure.fitting import unfit_words
from ..measure.hearing import check_draft
from ..measure.letters import LettersRecogniser
from ..measure.recognisers import VARIABLE, can_hear, recogniser_for
from ..measure.timeline import Recogniser, words_between
from ..measure.whisper import NotInstalledError, say_passed_over
from ..printable import listed, shown
from ..registry.handle import Bundle
from ..registry.torch_state import in_own_state
from ..text.missing_words import MissingWordsError
from ..types import Clip, Hooks, Round

MOST_NAMED = 8
"""Most words that a sentence names."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Listened:
    """What a recogniser heard in a clip, beside the transcript that was given."""

    text: str
    """Words for the run: those given, else those heard."""
    heard: str | None = None
    """All that was heard; None where nothing listened."""
    given: bool = True
    """Whether `text` was given."""
    unfit: tuple[str, ...] = ()
    """Words of the given transcript that do not fit what was heard."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of it, a sentence each."""
        if not self.given:
            return (f"no transcript was given; these words were heard: {shown(self.text, 400)}",)
        if self.unfit:
            names = listed([f"'{word}'" for word in self.unfit], "none", most=MOST_NAMED)
            return (
                f"the transcript does not fit the sound at {names}; what is heard is "
                f"'{shown(self.heard, 200)}'. Check these words.",
            )
        return ()


@in_own_state
def listen(
    bundle: Bundle,
    clip: Clip,
    text: str,
    folder: str | Path = "",
    *,
    hooks: Hooks | None = None,
) -> Listened:
    """What is heard in a clip, and whether a transcript fits it; `folder` as for recogniser_for.

    Logs what it finds. Raises ValueError where no words are given and none can be heard.
    """
    if text.strip() and not can_hear(bundle, folder):
        return Listened(text=text)
    try:
        ears = recogniser_for(bundle, folder, hooks=hooks)
    except NotInstalledError:
        if folder or not text.strip():
            raise
        say_passed_over(os.environ[VARIABLE])
        return Listened(text=text)
    return compared(ears, clip, text)


def compared(ears: Recogniser, clip: Clip, text: str) -> Listened:
    """A transcript beside the words that are heard; an empty one is filled with them.

    Raises ValueError where there are neither, and where what is heard is a draft only.
    """
    given = bool(text.strip())
    if given and isinstance(ears, LettersRecogniser):
        words, fit = ears.hear(clip, text)
        unfit = ears.unfit_words(fit)
    else:
        words = ears.transcribe(clip)
        unfit = unfit_words(text, words)
    heard = words_between(words, float("-inf"), float("inf"))
    if not given and not heard:
        raise MissingWordsError(
            "no word is heard in the clip, and no transcript was given; an edit needs the words. "
            "Type the words that are spoken."
        )
    if not given:
        check_draft(ears, words)
    found = Listened(
        text=text if given else heard,
        heard=heard,
        given=given,
        unfit=unfit if given else (),
    )
    for note in found.notes:
        (log.warning if given else log.info)("%s", shown(note))
    return found


def noted(made: Round, found: Listened | None) -> Round:
    """Round 0 with what was found of its transcript."""
    if found is None or not found.notes:
        return made
    return replace(made, notes=(*found.notes, *made.notes))
