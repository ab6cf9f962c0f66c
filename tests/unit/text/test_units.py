"""The list of text units, and words joined from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepedit_core.text.units import UNITS_LIMIT, bare, read_units, split_words, word_groups


def write(folder: Path, content: object) -> Path:
    path = folder / "tokens.json"
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def test_the_list_is_read_in_the_order_of_ids(tmp_path):
    units = ["<blank>", "<s>", "</s>", "hel@@", "lo", "好"]
    assert read_units(write(tmp_path, units), 6) == tuple(units)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1,", r"tokens.json is not JSON \(wrong at line 1, column 4\)"),
        ('["\udcff", "a"]', r"tokens.json is not UTF-8 text"),
        ("[" * 100_000, r"tokens.json is nested too deep"),
        ({"a": 1}, r"tokens.json has an object; expected is a list"),
        (["a"], r"tokens.json has 1 units; the network has 2"),
        (["a", 7], r"tokens.json has the value 7 as unit 1; expected are 1 to 64 printable"),
        (["", "a"], r"tokens.json has '' as unit 0"),
        (["a" * 65, "a"], r"as unit 0; expected are 1 to 64"),
        (["a\x1b[2J", "a"], r"as unit 0; expected are 1 to 64 printable"),
        (" " * (UNITS_LIMIT + 1), rf"tokens.json' has {UNITS_LIMIT + 1} bytes; allowed are"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(content, said, tmp_path):
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=rf"{said}.*Take the file from the released") as caught:
        read_units(path, 2)
    assert "\x1b" not in str(caught.value)


def test_pieces_are_joined_and_characters_stand_alone():
    units = ["hel@@", "l@@", "o", "</s>", "world", "你", "好", "ok@@", "吧", "b@@", "<unk>"]
    assert word_groups(units) == [
        ("hello", (0, 1, 2)),
        ("world", (4,)),
        ("你", (5,)),
        ("好", (6,)),
        ("ok", (7,)),
        ("吧", (8,)),
        ("b", (9,)),
    ]


def test_units_that_say_nothing_make_no_word():
    assert word_groups(["<s>", "<blank>", "</s>"]) == []


def test_a_transcript_is_split_as_a_timeline_is():
    assert split_words("So happy, isn't it? 你好\uff0cok吧!") == [
        *("So", "happy,", "isn't", "it?", "你", "好\uff0c", "ok", "吧!"),
    ]


@pytest.mark.parametrize(
    ("word", "plain"),
    [("Happy,", "happy"), ("isn't", "isnt"), ("\uff21\uff22\uff11", "ab1"), ("--", "")],
)
def test_words_are_compared_without_case_width_and_punctuation(word, plain):
    assert bare(word) == plain
