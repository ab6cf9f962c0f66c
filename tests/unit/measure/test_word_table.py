"""A table of words is read back as it was written, and a text that is none is left alone."""

from __future__ import annotations

import pytest
import torch

from stepedit_core.audio.recordings import recording_of
from stepedit_core.measure.hearing import hear_surely
from stepedit_core.measure.timeline import Word
from stepedit_core.measure.word_table import read_word_table, timed_words, word_table
from stepedit_core.types import Clip

WORDS = (Word("Hello,", 0.1, 0.45, 0.9), Word("1984", 0.45, 1.0, 0.5), Word("你", 10.25, 11.0, 1.0))


def test_a_table_comes_back() -> None:
    assert read_word_table(word_table(WORDS)) == WORDS
    assert read_word_table("  \n" + "\n".join(word_table(WORDS).split("\n")[1:])) == WORDS
    assert read_word_table(word_table(())) == ()


def test_a_word_without_the_last_column_is_sure() -> None:
    assert read_word_table("0.5 1 hello\n1 1.25 there 0.5") == (
        Word("hello", 0.5, 1.0, 1.0),
        Word("there", 1.0, 1.25, 0.5),
    )


@pytest.mark.parametrize("text", ["", " \n ", "hello there", "12 monkeys", "1 2 3 go\n5"])
def test_a_text_stays_a_text(text: str) -> None:
    assert read_word_table(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.5 1 hello\nthere", "'there' is not a line"),
        ("0.5 1 hello\n0.9 1.2 there", "'0.9 1.2 there' begins before"),
        ("1 1 hello", "'1 1 hello' begins before"),
        ("0.5 1 hello\nnan inf there", "is not a line"),
    ],
)
def test_a_wrong_line_is_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_word_table(text)


def test_times_after_the_end_of_the_recording_are_refused() -> None:
    assert timed_words("hello there", 5.0) is None
    assert timed_words("0.0 5.04 hello", 5.0) == (Word("hello", 0.0, 5.04, 1.0),)
    with pytest.raises(ValueError, match=r"'hello' ends at 9\.00 s; the recording ends at 5\.03 s"):
        timed_words("0.0 9.0 hello", 5.03)


def test_words_with_their_times_are_taken_wherever_words_are_given() -> None:
    class Deaf:
        def transcribe(self, clip: Clip) -> tuple[Word, ...]:
            raise AssertionError("nothing needs to be heard")

        def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
            raise AssertionError("nothing needs to be found")

    recording = recording_of(torch.zeros(1, 16_000), 16_000)
    assert hear_surely(Deaf(), recording, "0.1 0.6 hello") == (Word("hello", 0.1, 0.6, 1.0),)
    with pytest.raises(ValueError, match=r"the recording ends at 1\.00 s"):
        hear_surely(Deaf(), recording, "0.1 1.6 hello")
