"""Words of a transcript that the sound does not have, by what a recogniser heard."""

from __future__ import annotations

import pytest

from stepedit_core.measure.fitting import spoken, unfit_words
from stepedit_core.measure.timeline import Word


def heard(text: str, sure: float = 0.9) -> tuple[Word, ...]:
    return tuple(Word(t, n, n + 0.9, sure) for n, t in enumerate(text.split()))


@pytest.mark.parametrize(
    ("transcript", "said"),
    [
        ("Dr. Lee paid $1,200!", "doctor lee paid twelve hundred dollars"),
        ("The U.S.A. won, 25 to 3", "the u s a won twenty five to three"),
        ("He came 2nd & left.", "he came second and left"),
        ("It\u2019s 50% off", "its fifty percent off"),
        ("OK, e.g. this", "okay for example this"),
        ("the colour is grey", "the color is gray"),  # three of five letters or more
        ("a cat", "the cat"),  # too short to be judged
        ("你好吗", "你 号 吗"),  # one character is misheard easily
    ],
)
def test_the_same_speech_written_otherwise_fits(transcript: str, said: str) -> None:
    assert unfit_words(transcript, heard(said)) == ()


@pytest.mark.parametrize(
    ("transcript", "said", "unfit"),
    [
        ("I am so happy today", "i am so angry today", ("happy",)),
        ("Dogs are sitting by the door", "kids are talking by the door", ("Dogs", "sitting")),
        ("I paid 30 dollars", "i paid eighteen dollars", ("30",)),
        ("good morning to all", "good to all", ("morning",)),
        ("He is, Dr. Brown, here", "he is mister green here", ("Dr.", "Brown,")),
        ("我很高兴", "我 很 生 气", ("高", "兴")),
    ],
)
def test_other_words_are_named_as_they_are_written(
    transcript: str, said: str, unfit: tuple[str, ...]
) -> None:
    assert unfit_words(transcript, heard(said)) == unfit


def test_a_recogniser_that_is_not_sure_says_nothing() -> None:
    assert unfit_words("I am so happy today", heard("i am so angry today", 0.3)) == ()
    words = [*heard("i am so"), Word("angry", 3, 3.9, 0.2), Word("today", 4, 4.9, 0.9)]
    assert unfit_words("I am so happy today", words) == ()
    assert unfit_words("I am so happy today", ()) == ()


def test_places_are_those_of_the_written_words() -> None:
    assert spoken(["At", "twenty", "five,", "U.", "S.", "law"]) == [
        ("at", 0, 1),
        ("25", 1, 3),
        ("us", 3, 5),
        ("law", 5, 6),
    ]
