"""Fillers and repeats: what is removed, and what is good language and stays."""

from __future__ import annotations

import pytest

from stepedit_core.text.disfluency import fillers_of, is_filler, repeats
from stepedit_core.text.units import split_words


@pytest.mark.parametrize(
    "word", ["um", "Um,", "Ummm...", "uh", "UHH", "erm", "hmm", "嗯", "呃。", "えーと", "음"]
)
def test_fillers(word: str) -> None:
    assert is_filler(word, fillers_of())


@pytest.mark.parametrize(
    "word", ["uh-huh", "mm-hmm", "ah", "oh", "her", "umbrella", "那", "", "...", "eh"]
)
def test_words_that_are_none(word: str) -> None:
    assert not is_filler(word, fillers_of())


def test_a_language_has_its_own() -> None:
    assert is_filler("ähm", fillers_of("de"))
    assert not is_filler("um", fillers_of("de"))  # German: around
    with pytest.raises(ValueError, match="allowed are en, zh"):
        fillers_of("tlh")


def kept(text: str) -> str:
    words = split_words(text)
    gone = {n for first, end in repeats(words, fillers_of()) for n in range(first, end)}
    return " ".join(word for n, word in enumerate(words) if n not in gone)


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        ("I I think", "I think"),
        ("I, I, I think", "I think"),
        ("it was the um the house", "it was the house"),
        ("we went we went home", "we went home"),
        ("I want to I want to go", "I want to go"),
        ("over the hill over the hill we go", "over the hill we go"),
        ("the quick brown fox the quick brown fox ran", "the quick brown fox ran"),
        ("th- the house", "the house"),
        ("a wor- word", "a word"),
        ("我我觉得", "我 觉 得"),
        ("这个这个人", "这 个 人"),
    ],
)
def test_a_start_that_is_said_again_goes(said: str, stays: str) -> None:
    assert kept(said) == stays


@pytest.mark.parametrize(
    "said",
    [
        "he had had enough",
        "I know that that is so",
        "what it is is good",
        "what he did did not help",
        "we gave her her book",
        "he came in in time",
        "no no no",
        "a very very big big house",
        "many many years",
        "one one two two",
        "call 5 5 5",
        "come on come on",
        "妈妈看看天天",
        "研究研究",
        "the house the garden",
        "tear down the fence, tear down the fence, they cried",
        "we will go we will go",
        "bye bye",
        "well-known",
    ],
)
def test_what_is_rightly_said_twice_stays(said: str) -> None:
    assert kept(said).split() == split_words(said)
