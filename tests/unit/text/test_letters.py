"""Words as letters: numbers spelled out, marks and accents left out."""

from __future__ import annotations

import pytest

from stepedit_core.text.letters import (
    ALPHABET,
    BLANK,
    CLASSES,
    SPACE,
    letter_ids,
    letter_words,
    number_words,
    spelled,
    text_of,
)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("Hello,", "hello"),
        ("don\u2019t", "don't"),
        ("'tis'", "tis"),
        ("Café", "cafe"),
        ("well-known", "well known"),
        ("25", "twenty five"),
        ("25th.", "twenty fifth"),
        ("1st", "first"),
        ("12th", "twelfth"),
        ("30th", "thirtieth"),
        ("1984", "nineteen eighty four"),
        ("1900", "nineteen hundred"),
        ("1906", "nineteen oh six"),
        ("2024", "two thousand twenty four"),
        ("1,984", "one thousand nine hundred eighty four"),
        ("007", "zero zero seven"),
        ("1980s", "nineteen eighties"),
        ("3.14", "three point one four"),
        ("$20", "twenty dollars"),
        ("50%", "fifty percent"),
        ("R&D", "r and d"),
        ("4x4", "four x four"),
        ("Mr.", "mister"),
        ("1000000", "one million"),
        ("1234567890123", "one two three four five six seven eight nine zero one two three"),
        ("你", ""),
        ("—", ""),
        ("", ""),
    ],
)
def test_a_word_is_spelled_as_it_is_said(word: str, said: str) -> None:
    assert spelled(word) == said


def test_what_is_spelled_has_letters_of_the_alphabet_only() -> None:
    for code in range(0x20, 0x3000, 7):
        assert set(spelled(f"a{chr(code)}b")) <= set(ALPHABET)


def test_numbers_are_words() -> None:
    assert number_words(0) == "zero"
    assert number_words(110) == "one hundred ten"
    assert number_words(2_000_005) == "two million five"
    with pytest.raises(ValueError, match=r"-1 is negative; a number from 0 on is needed"):
        number_words(-1)


def test_the_words_of_a_transcript_keep_their_writing() -> None:
    assert letter_words("On May 3rd, — ok") == [
        ("On", "on"),
        ("May", "may"),
        ("3rd,", "third"),
        ("—", ""),
        ("ok", "ok"),
    ]


def test_ids_begin_after_the_blank_with_the_space() -> None:
    assert (BLANK, SPACE, CLASSES) == (0, 1, 29)
    assert letter_ids(" 'az") == [1, 2, 3, 28]
    assert text_of(letter_ids("it's a z")) == "it's a z"
