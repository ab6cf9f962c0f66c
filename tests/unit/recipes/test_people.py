"""Figures over people, edits identified among each other, and codes that follow an encoder."""

import numpy as np
import pytest
import torch

from recipes.nano.acted import identified
from recipes.nano.moving_codes import MovingCodes
from recipes.nano.over_people import cell, over_people, rate
from stepedit_core.evaluate.functionals import AcousticJudge


def judge(weight: list[list[float]]) -> AcousticJudge:
    """A judge of plain numbers, labels a and b, no bias."""
    return AcousticJudge(
        ("a", "b"),
        mean=torch.zeros(2),
        scale=torch.ones(2),
        weight=torch.tensor(weight),
        accuracy=float("nan"),
    )


def test_the_edit_that_is_the_most_so_is_identified_however_likely_it_is() -> None:
    both_a = {"a": torch.tensor([9.0, 0.0]), "b": torch.tensor([8.0, 0.0])}
    found = identified(judge([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), both_a, ("a", "b"))
    assert found == {"a": 1.0, "b": 1.0}  # b's edit sounds of a, but less than a's does
    swapped = {"a": both_a["b"], "b": both_a["a"]}
    found = identified(judge([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), swapped, ("a", "b"))
    assert found == {"a": 0.0, "b": 0.0}


def test_equal_edits_share_the_point() -> None:
    same = dict.fromkeys(("a", "b"), torch.tensor([1.0, 2.0]))
    found = identified(judge([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), same, ("a", "b"))
    assert found == {"a": 0.5, "b": 0.5}


def test_intervals_draw_people_not_clips() -> None:
    values = np.array([[0.0]] * 50 + [[1.0]] * 50)
    alone = [str(k) for k in range(100)]
    of_two = ["x"] * 50 + ["y"] * 50
    _, low, high = over_people(values, of_two)
    assert (low[0], high[0]) == (0.0, 1.0)
    middle, low, high = over_people(values, alone)
    assert middle[0] == 0.5
    assert 0.3 < low[0] < high[0] < 0.7


def test_a_word_rate_counts_words_not_clips() -> None:
    assert rate(np.array([[1.0, 2.0], [0.0, 8.0]]))[0] == pytest.approx(0.1)
    assert cell([(1, 2), (0, 8)], ["x", "x"], rate, factor=100).startswith("10 [")
    assert cell([], []) == "-"


def test_codes_start_by_kmeans_then_follow_and_restart() -> None:
    book = torch.zeros(2, 1)
    codes = MovingCodes(book, keep=0.5, start_at=3)
    rng = np.random.default_rng(0)
    rows = torch.tensor([[0.0], [0.2], [10.0], [10.2]], requires_grad=True)
    for step in (1, 2):
        given, loss = codes(step, rows, rng, restart=True)
        assert given is rows
        assert loss == 0
    assert book.flatten().sort().values.tolist() == pytest.approx([0.1, 10.1])

    coded, loss = codes(3, rows, rng, restart=True)
    assert coded.flatten().tolist() == pytest.approx([0.1, 0.1, 10.1, 10.1])
    assert loss.item() == pytest.approx(0.01)
    coded.sum().backward()
    assert rows.grad is not None
    assert rows.grad.flatten().tolist() == [1.0] * 4  # straight through the codes

    kept = codes.state()
    for step in range(4, 20):  # nobody says the second code any more
        codes(step, rows[:2].detach(), rng, restart=False)
    assert codes.used == 0.5
    again = MovingCodes(book, keep=0.5, start_at=3)
    again.load(kept)
    assert again.started
    codes(20, rows[:2].detach(), rng, restart=True)
    assert codes.used == 1.0
