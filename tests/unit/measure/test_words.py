"""Words kept, by dynamic time warping: against the recursion written out, and what it means."""

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stepedit_core.measure.words import WordDistances, lost_words, word_distance
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import DualCodes

BOOK = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))


def codes(linguistic: list[int]) -> DualCodes:
    groups = len(linguistic) // 2
    return DualCodes(
        linguistic=torch.tensor(linguistic[: 2 * groups]),
        semantic=torch.zeros(3 * groups, dtype=torch.int64),
        codebook="test",
    )


def by_recursion(first: list[int], second: list[int]) -> float:
    centred = BOOK - BOOK.mean(0)

    def cost(i: int, j: int) -> float:
        return 1 - float(torch.cosine_similarity(centred[first[i]], centred[second[j]], dim=0))

    @cache
    def best(i: int, j: int) -> float:
        if i == 0 and j == 0:
            return 2 * cost(0, 0)
        ways = []
        if i:
            ways.append(best(i - 1, j) + cost(i, j))
        if j:
            ways.append(best(i, j - 1) + cost(i, j))
        if i and j:
            ways.append(best(i - 1, j - 1) + 2 * cost(i, j))
        return min(ways)

    return best(len(first) - 1, len(second) - 1) / (len(first) + len(second))


sequence = st.lists(st.integers(0, 11), min_size=1, max_size=5).map(lambda c: c + c[::-1])


@settings(deadline=None, max_examples=60)
@given(sequence, sequence)
def test_the_distance_is_that_of_the_recursion(first: list[int], second: list[int]) -> None:
    found = word_distance(BOOK, codes(first), codes(second))
    assert found == pytest.approx(by_recursion(first, second), abs=1e-5)


def test_speed_costs_nothing_and_lost_words_cost() -> None:
    words = [3, 1, 4, 1, 5, 9, 2, 6]
    slower = [c for c in words for _ in range(2)]
    assert word_distance(BOOK, codes(words), codes(slower)) == pytest.approx(0, abs=1e-6)
    lost = word_distance(BOOK, codes(words), codes(words[:4]))
    assert lost > 0.1
    assert word_distance(BOOK, codes(words), codes(words[:6])) < lost


def test_a_laugh_between_words_costs_nothing_and_lost_words_cost(bundle: Bundle) -> None:
    def drawn(groups: int, seed: int) -> DualCodes:
        generator = torch.Generator().manual_seed(seed)
        return DualCodes(
            linguistic=torch.randint(0, 1024, (2 * groups,), generator=generator),
            semantic=torch.zeros(3 * groups, dtype=torch.int64),
            codebook="tiny-1",
        )

    def joined(*parts: torch.Tensor) -> DualCodes:
        linguistic = torch.cat(parts)
        return DualCodes(
            linguistic=linguistic,
            semantic=torch.zeros(len(linguistic) * 3 // 2, dtype=torch.int64),
            codebook="tiny-1",
        )

    said, laugh = drawn(12, 1), drawn(5, 2).linguistic
    words = said.linguistic
    laughing = joined(words[:10], laugh, words[10:])
    assert lost_words(bundle, said, laughing) == pytest.approx(0, abs=1e-6)
    assert WordDistances().between(bundle, said, laughing) > 0.1
    cut = joined(words[:6], laugh)
    assert lost_words(bundle, said, cut) > 0.25
