"""Rewards of words, length and legality, and their sum."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stepedit_core.pipelines.sampling import Answer
from stepedit_core.train.attempts import Attempt
from stepedit_core.train.policy import Critic
from stepedit_core.train.reward_terms import (
    compose,
    legality,
    length_kept,
    model_reward,
    words_kept,
)
from stepedit_core.types import DualCodes, EditRequest

from .answers import line, toy_reward
from .toys import VOCABULARY, toy_codes


def attempt(
    codes: DualCodes,
    *,
    source: DualCodes,
    reference: DualCodes | None = None,
    kind: str = "emotion",
    option: str = "happy",
    extra: tuple[int, ...] = (),
    ended: bool = True,
) -> Attempt:
    ids = (*VOCABULARY.interleave(codes), *extra)
    return Attempt(
        request=EditRequest(kind=kind, option=option, text="a"),
        source=source,
        row=([5], [*ids, 3]),
        answer=Answer(ids, ended),
        reference=reference,
    )


BOOK = torch.randn(1024, 5, generator=torch.Generator().manual_seed(4))


def by_hand(first: tuple[int, ...], second: tuple[int, ...]) -> float:
    """1 - the time-warping distance, written out over a full table of cells."""
    centred = BOOK.double() - BOOK.double().mean(0)

    def apart(a: int, b: int) -> float:
        x, y = centred[a], centred[b]
        return 1 - float(x @ y / (x.norm() * y.norm()))

    table = {(-1, -1): 0.0}
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i, j] = min(
                table.get((i - 1, j), math.inf) + apart(a, b),
                table.get((i, j - 1), math.inf) + apart(a, b),
                table.get((i - 1, j - 1), math.inf) + 2 * apart(a, b),
            )
    return 1 - table[len(first) - 1, len(second) - 1] / (len(first) + len(second))


def test_the_words_reward_is_1_less_the_time_warping_distance_of_the_codes():
    source, answers = (1, 2, 3, 4, 5, 6), [(1, 2, 3, 3, 5, 6), (9, 8, 7, 6), (6, 5, 4, 3, 2, 1)]
    reward = words_kept(VOCABULARY, BOOK)
    found = reward([attempt(line(*a), source=line(*source)) for a in answers]).tolist()
    # the product's vectors are float32
    assert found == pytest.approx([by_hand(source, a) for a in answers], abs=1e-5)
    assert found[0] > max(found[1:])


def test_words_are_kept_whatever_the_speed():
    slower = attempt(line(1, 1, 2, 2, 2, 3, 4, 4), source=line(1, 2, 3, 4))
    assert words_kept(VOCABULARY, BOOK)([slower]).tolist() == pytest.approx([1.0], abs=1e-6)


def test_a_reference_counts_where_it_is_nearer():
    made = attempt(line(7, 8), source=line(1, 2), reference=line(7, 8))
    again = attempt(line(1, 2), source=line(1, 2), reference=line(7, 8))
    found = words_kept(VOCABULARY, BOOK)([made, again]).tolist()
    assert found == pytest.approx([1.0, 1.0], abs=1e-6)


def test_new_words_are_compared_with_the_reference_alone():
    clone = attempt(line(1, 2), source=line(1, 2), reference=line(7, 8), kind="clone", option="")
    sounds = replace(clone, request=EditRequest(kind="sounds", text="a", new_text="[Sigh] a"))
    expected = by_hand((7, 8), (1, 2))
    found = words_kept(VOCABULARY, BOOK)([clone, sounds]).tolist()
    assert found == pytest.approx([expected, expected], abs=1e-5)


def test_a_clone_without_a_reference_gets_no_words_reward_and_an_empty_answer_the_least():
    clone = attempt(line(1, 2), source=line(1, 2), kind="clone", option="")
    empty = attempt(toy_codes(0, 1), source=line(1, 2))
    assert words_kept(VOCABULARY, BOOK)([clone, empty]).tolist() == [0.0, -1.0]


def test_length_is_measured_in_octaves_of_what_is_expected():
    source = toy_codes(10, 0)
    same, half = attempt(toy_codes(10, 1), source=source), attempt(toy_codes(5, 1), source=source)
    faster = attempt(toy_codes(8, 1), source=source, kind="speed", option="faster")
    near = attempt(toy_codes(8, 1), source=source)
    found = length_kept([same, half, faster, near]).tolist()
    assert found == pytest.approx([1.0, 0.0, 1.0, 1 - math.log2(10 / 8)], abs=1e-6)


def test_only_an_answer_that_ends_behind_whole_groups_is_legal():
    codes, source = toy_codes(2, 1), toy_codes(2, 0)
    first = VOCABULARY.audio_offset
    assert legality(
        [
            attempt(codes, source=source),
            attempt(codes, source=source, ended=False),
            attempt(codes, source=source, extra=(first,)),
            attempt(toy_codes(0, 1), source=source),
        ]
    ).tolist() == [1.0, 0.0, 0.0, 0.0]


def test_rewards_add_up_by_weight_and_idle_ones_are_not_computed():
    def never(attempts: object) -> Tensor:
        raise AssertionError("a term of weight 0 was computed")

    terms = {
        "one": lambda a: torch.ones(len(a)),
        "ids": lambda a: torch.tensor([float(len(x.answer.ids)) for x in a]),
        "idle": never,
    }
    source = toy_codes(1, 0)
    made = [attempt(toy_codes(n, 1), source=source) for n in (1, 2)]
    total, parts = compose(terms, {"one": 3.0, "ids": 0.1, "idle": 0.0})(made)
    assert total.tolist() == pytest.approx([3.5, 4.0])
    assert parts["ids"].tolist() == [5.0, 10.0]
    assert set(parts) == {"one", "ids"}


def test_a_weight_without_a_term_is_refused():
    with pytest.raises(ValueError, match="'model' has a weight but no term; terms are words"):
        compose({"words": length_kept}, {"model": 1.0})


@torch.no_grad()
def test_the_models_reward_is_the_value_behind_the_last_id():
    model = toy_reward()
    made = attempt(toy_codes(1, 1), source=toy_codes(1, 0))
    ids = torch.tensor([[*made.row[0], *made.row[1]]])
    expected = float(model(ids)[0, -1])
    found = model_reward(Critic(model), VOCABULARY.end_id, 100, None)([made])
    assert float(found) == pytest.approx(expected, abs=1e-6)
