"""Ids and codes: expected values are written out from spec 5."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stepedit_core.types import DualCodes
from stepedit_core.vocab import Vocabulary, align, pairs


def codes(linguistic: list[int], semantic: list[int], codebook: str = "step-audio") -> DualCodes:
    return DualCodes(
        linguistic=torch.tensor(linguistic, dtype=torch.int64),
        semantic=torch.tensor(semantic, dtype=torch.int64),
        codebook=codebook,
    )


@st.composite
def dual_codes(draw: st.DrawFn) -> DualCodes:
    groups = draw(st.integers(0, 12))
    return codes(
        draw(st.lists(st.integers(0, 1023), min_size=2 * groups, max_size=2 * groups)),
        draw(st.lists(st.integers(0, 4095), min_size=3 * groups, max_size=3 * groups)),
    )


def test_a_group_becomes_two_linguistic_then_three_semantic_ids():
    ids = Vocabulary().interleave(codes([1, 2, 3, 1023], [10, 11, 12, 13, 14, 4095]))
    assert ids == [
        *(65537, 65538, 66560 + 10, 66560 + 11, 66560 + 12),
        *(65539, 66559, 66560 + 13, 66560 + 14, 70655),
    ]


@given(dual_codes())
def test_split_undoes_interleave(made: DualCodes):
    again = Vocabulary().split(Vocabulary().interleave(made))
    assert torch.equal(again.linguistic, made.linguistic)
    assert torch.equal(again.semantic, made.semantic)


@given(dual_codes(), st.integers(1, 4))
def test_a_trailing_partial_group_is_dropped(made: DualCodes, rest: int):
    words = Vocabulary(audio_offset=300)
    ids = words.interleave(made)
    partial = words.interleave(codes([5, 6], [7, 8, 9]))[:rest]
    assert words.split(ids + partial).groups == made.groups


@given(dual_codes())
def test_every_interleaved_id_is_legal_at_its_place(made: DualCodes):
    words = Vocabulary(audio_offset=300)
    for position, i in enumerate(words.interleave(made)):
        first, end = words.legal_range(position)
        assert first <= i < end


@pytest.mark.parametrize("bad", [0, 65535, 66560, 74751])
def test_an_id_in_the_wrong_slot_is_refused(bad: int):
    ids = Vocabulary().interleave(codes([1, 2], [3, 4, 5]))
    ids[0] = bad
    with pytest.raises(ValueError, match="not linguistic codes at their place"):
        Vocabulary().split(ids)


def test_tokens_of_another_codebook_are_refused():
    with pytest.raises(ValueError, match="made with codebook 'nano-1'; this bundle reads"):
        Vocabulary().interleave(codes([1, 2], [3, 4, 5], "nano-1"))


def test_align_drops_what_fills_no_group():
    made = align(torch.arange(7), torch.arange(8), "x")
    assert made.linguistic.tolist() == [0, 1, 2, 3]
    assert made.semantic.tolist() == [0, 1, 2, 3, 4, 5]


def test_decoder_rows_pad_the_third_linguistic_place_and_shift_the_semantic_codes():
    made = pairs(torch.tensor([3, 4]), torch.tensor([0, 1, 4095]))
    assert made.tolist() == [[3, 1025], [4, 1026], [1024, 5120]]


def test_decoder_rows_keep_batch_dimensions():
    assert pairs(torch.zeros(2, 4, dtype=torch.int64), torch.zeros(2, 6)).shape == (2, 6, 2)
