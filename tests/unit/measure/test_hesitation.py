"""Sounds without a word: which words must still be heard without them."""

from __future__ import annotations

import pytest

from stepedit_core.measure.hesitation import Sound, words_stay
from stepedit_core.measure.timeline import Word


def said(text: str) -> list[Word]:
    """A word every half second."""
    return [Word(word, n / 2, n / 2 + 0.4, 0.9) for n, word in enumerate(text.split())]


@pytest.mark.parametrize(
    ("heard", "again", "copied", "stays"),
    [
        ("go in that barn now", "go in that barn now", False, True),
        ("go in that barn now", "go in the barn now", False, False),
        ("go in that barn now", "go in the barn now", True, True),
        ("tear from the fence down", "tear the fence down", True, True),
        ("go in that barn now", "go barn now", True, False),
    ],
)
def test_of_a_word_said_twice_another_may_have_been_made(
    heard: str, again: str, copied: bool, stays: bool
) -> None:
    sound = Sound(start=0.95, end=1.15, before=0.9, after=1.2, kind="repeat", copied=copied)
    assert words_stay(sound, said(heard), said(again)) is stays
