"""Who makes an edit with a bundle, its model or signal processing, and what follows from that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..printable import shown
from ..registry.handle import Bundle
from ..text.edits import KINDS, EditVocabulary, edit_vocabulary
from ..text.engines import engine_of, signal_makes
from ..types import Decoding, EditRequest


def vocabulary_of(bundle: Bundle) -> EditVocabulary:
    """What the bundle's model can be asked for."""
    return edit_vocabulary(bundle.manifest.edit_vocabulary, bundle.manifest.edit_options)


def needs_words(bundle: Bundle, requests: Sequence[EditRequest], text: str = "") -> bool:
    """Whether the words of a recording are needed: `text` gives some, or the model makes an edit.

    Signal processing edits any sound, and so does the model where a kind does without words.
    """
    known = vocabulary_of(bundle)
    return bool(text.strip()) or any(
        KINDS[request.kind].needs_text and engine_of(request, known) == "model"
        for request in requests
        if request.kind in KINDS
    )


def check_strength(bundle: Bundle, requests: Iterable[EditRequest], decoding: Decoding) -> None:
    """Raise ValueError for a strength of an edit that signal processing makes."""
    known = vocabulary_of(bundle)
    for request in requests if decoding.strength != 1 else ():
        if signal_makes(request) and engine_of(request, known) == "signal":
            raise ValueError(
                f"strength is {decoding.strength:g}, and {shown(request.label)} is made by signal "
                "processing, which has none; it is for edits of the model, by difference. Choose "
                "strength 1, or make other edits in a step of their own."
            )


def check_way(bundle: Bundle, requests: Sequence[EditRequest], decoding: Decoding) -> None:
    """Raise ValueError for a chosen way of decoding where signal processing makes every edit.

    For calls whose user chooses the way; edits of a part name one for all of their edits.
    """
    known = vocabulary_of(bundle)
    if decoding.way is None or any(engine_of(r, known) == "model" for r in requests):
        return
    made = ", ".join(dict.fromkeys(request.label for request in requests))
    raise ValueError(
        f"the decoder's way is {shown(decoding.way)}, and {shown(made)} is made by signal "
        "processing, which decodes nothing; a way is for edits of the model. Leave --decode, or "
        "the way of `decoding`, out."
    )
