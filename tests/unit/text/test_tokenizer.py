"""Text to ids: golden ids of the released tokenizer, and the rules on a tiny one trained here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepedit_core.text.tokenizer import TextTokenizer

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "golden" / "language_text.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", GOLDEN["texts"], ids=lambda case: repr(case["text"])[:24])
def test_ids_equal_those_of_the_transformers_tokenizer(
    released: TextTokenizer, case: dict[str, object]
) -> None:
    assert released.encode(str(case["text"])) == case["ids"]


def test_released_tokenizer_has_the_documented_layout(released: TextTokenizer) -> None:
    assert released.size == 74752
    assert released.encode("<unk><s></s><|EOT|><|BOT|><audio_0><audio_9215>") == [
        *(0, 1, 2, 3, 4, 65536, 74751)
    ]
    assert released.encode("system") == [2323]
    assert released.encode("human") == [4623]
    assert released.encode_inside("\n") == [78]
    assert released.encode("[Cantonese]") == [877, 11563, 42730, 359, 422]


def test_the_template_check_of_the_specification_holds(released: TextTokenizer) -> None:
    rendered = "<s><|BOT|> assistant\n<audio_1><|EOT|>"
    assert released.encode(rendered) == [1, 4, 15886, 78, 65537, 3]


@pytest.mark.parametrize("text", ["我也想 go\n", "naïve 🙂 café", "a<audio_5>b", "x <|EOT|> y"])
def test_decode_undoes_encode_inside(released: TextTokenizer, text: str) -> None:
    assert released.decode(released.encode_inside(text)) == text


def test_control_ids_stand_where_every_bundle_has_them(tiny: TextTokenizer) -> None:
    assert tiny.encode("<unk><s></s><|EOT|><|BOT|>") == [0, 1, 2, 3, 4]


def test_the_leading_space_is_given_only_where_the_text_starts(tiny: TextTokenizer) -> None:
    start, inside = tiny.encode("hello"), tiny.encode_inside("hello")
    assert tiny.decode(start) == " hello"
    assert tiny.decode(inside) == "hello"
    assert tiny.encode(" hello") == start
    assert tiny.encode("<|BOT|>hello") == [4, *inside]
    assert tiny.encode("<|BOT|> hello") == [4, *start]
    assert tiny.encode("") == []


def test_specials_cut_the_text_and_neighbours_are_encoded_alone(tiny: TextTokenizer) -> None:
    audio = tiny.encode("<audio_3>")
    assert len(audio) == 1
    assert tiny.encode("hello<audio_3>there") == [
        *tiny.encode("hello"),
        *audio,
        *tiny.encode_inside("there"),
    ]


def test_text_that_only_looks_special_stays_text(tiny: TextTokenizer) -> None:
    for text in ("<audio_9>", "a < b > c", "<0x41>", "<<|EOT|", "<>"):
        assert tiny.specials_in(text) == []
        assert tiny.decode(tiny.encode_inside(text)) == text
    assert tiny.specials_in("<<s> x <audio_1>>") == ["<s>", "<audio_1>"]


def test_characters_without_a_piece_become_their_bytes(tiny: TextTokenizer) -> None:
    ids = tiny.encode_inside("\n語")
    assert len(ids) == 4
    assert 0 not in ids
    assert tiny.decode(ids) == "\n語"
    assert tiny.decode(ids[:-1]) == "\n�"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_no_text_is_lost(tiny: TextTokenizer, text: str) -> None:
    # NUL ends a C string inside SentencePiece; U+2581 is its own sign for a space
    text = text.replace("\0", "").replace("▁", "")
    assert tiny.decode(tiny.encode_inside(text)) == text


def test_a_missing_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no tokenizer at tokenizer\.model; .* Copy the missing"):
        TextTokenizer(tmp_path / "tokenizer.model")
