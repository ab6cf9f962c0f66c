"""How long words take: counts by hand, and that people fit between the bounds."""

from __future__ import annotations

import pytest

from stepedit_core.text.pace import FASTEST, SLOWEST, USUAL, seconds_to_say, spoken_letters


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("Hello, world!", (10, 0)),
        ("[Laughter] hi [Sigh]", (2, 0)),
        ("我走 home", (4, 2)),
        ("かな カナ 한국", (0, 6)),
        ("", (0, 0)),
        ("[!?]", (0, 0)),
    ],
)
def test_letters_and_syllables_are_counted_without_tags(text: str, counts: tuple[int, int]) -> None:
    assert spoken_letters(text) == counts


def test_a_sentence_that_was_said_in_four_seconds_fits() -> None:
    words = "I was walking home last night when I heard a song that I used to know."
    assert seconds_to_say(words, FASTEST) < 2 < seconds_to_say(words, USUAL) < 4.1
    assert seconds_to_say(words, SLOWEST) > 6


def test_both_kinds_of_letters_add_up() -> None:
    assert seconds_to_say("ab 我", (2.0, 4.0)) == 1.25
