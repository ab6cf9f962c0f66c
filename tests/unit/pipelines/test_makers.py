"""Who makes an edit, and whether the words of the recording are needed for it."""

from __future__ import annotations

import pytest

import stepedit_core as stepedit
from stepedit_core.pipelines.makers import check_way, needs_words
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Clip, Decoding, EditRequest

HAPPY = EditRequest(kind="emotion", option="happy")
FASTER = EditRequest(kind="speed", option="faster", engine="signal")
WHISPER = EditRequest(kind="style", option="whisper", engine="signal")


@pytest.mark.parametrize(
    ("requests", "text", "needed"),
    [
        ([HAPPY], "", True),
        ([FASTER], "", False),
        ([WHISPER], " \n", False),
        ([FASTER], "words that are given are used", True),
        ([HAPPY, WHISPER], "", True),
        ([EditRequest(kind="denoise")], "", False),
        ([EditRequest(kind="unknown")], "", False),
    ],
)
def test_words_are_needed_where_they_are_given_or_the_model_edits(
    bundle: Bundle, requests: list[EditRequest], text: str, needed: bool
) -> None:
    assert needs_words(bundle, requests, text) is needed


def test_a_way_of_decoding_is_for_edits_of_the_model(bundle: Bundle, clip: Clip) -> None:
    exact = Decoding(way="exact")
    check_way(bundle, [FASTER, WHISPER], Decoding())
    check_way(bundle, [HAPPY, WHISPER], exact)
    with pytest.raises(ValueError, match="speed faster, style whisper is made by signal"):
        check_way(bundle, [FASTER, WHISPER, WHISPER], exact)
    with pytest.raises(ValueError, match="the decoder's way is exact"):
        stepedit.edit(bundle, clip, style="whisper", engine="signal", decoding=exact)
