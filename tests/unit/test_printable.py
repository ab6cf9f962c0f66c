"""Foreign text in a sentence: nothing that a terminal, a log or a reader's eye obeys."""

from __future__ import annotations

import pytest

from stepedit_core.printable import listed, printable, printable_lines, quoted, shown, storable

HOSTILE = ("\x1b[31mred\x1b[0m", "a\u202eb", "\ud800", "two\nlines", "nul\0", "\u2028", "\x9b2J")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_what_is_shown_is_printable_on_one_line_in_any_encoding(text: str) -> None:
    for made in (printable(text), shown(text), listed([text])):
        assert made.isprintable()
        assert made.encode("utf-8").decode() == made


def test_plain_words_of_any_language_stay_as_they_are() -> None:
    for text in ("grüße", "你好", "مرحبا", "walking_home.wav", "a b", "🎙"):
        assert shown(text) == text


def test_what_was_not_printable_can_be_recognised() -> None:
    assert shown("\x1b[2J\ud83d\u202e") == "\\x1b[2J\\ud83d\\u202e"


def test_a_long_value_is_cut_and_says_so() -> None:
    assert shown("x" * 10**6, most=10) == "xxxxxxxxx…"
    assert shown("x" * 10, most=10) == "x" * 10
    assert shown("   " * 1000, most=10).endswith("…")


def test_a_list_names_the_first_and_counts_the_rest() -> None:
    assert listed([]) == "none"
    assert listed(range(3)) == "0, 1, 2"
    assert listed(range(30), most=2) == "0, 1, 28 more"


def test_lines_keep_their_ends_and_spaces() -> None:
    assert printable_lines("a  b\n\x1b[1mc") == "a  b\n\\x1b[1mc"


def test_a_number_without_end_is_described() -> None:
    for number in (10**400, -(10**5000)):
        assert shown(number) == quoted(number) == "a number of more than 40 digits"
    assert shown(2**64) == str(2**64)


def test_a_name_in_another_encoding_can_be_stored() -> None:
    assert storable("caf\udce9.wav") == "caf\\udce9.wav"
    assert storable("café.wav") == "café.wav"
