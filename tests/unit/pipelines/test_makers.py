"""Who makes an edit, and whether the words of the recording are needed for it."""

from __future__ import annotations

import pytest

from stepedit_core.pipelines.makers import needs_words
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import EditRequest

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
