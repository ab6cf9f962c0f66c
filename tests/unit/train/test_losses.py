"""Every loss against its formula, written out number by number."""

from __future__ import annotations

import math

import pytest
import torch

from stepedit_core.train import losses

T = torch.tensor
MASK = T([[True, True, False], [True, False, False]])
# float32 against Python's doubles
CLOSE = {"abs": 1e-6}


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_cross_entropy_is_the_mean_over_answer_ids_only():
    log_probs = T([[-1.0, -2.0, -50.0], [-4.0, float("-inf"), -50.0]])
    assert float(losses.cross_entropy(log_probs, MASK)) == pytest.approx((1 + 2 + 4) / 3)
    # a micro-batch of a batch that holds ten answer ids
    assert float(losses.cross_entropy(log_probs, MASK, count=10)) == pytest.approx(7 / 10)


def test_nothing_outside_the_mask_gets_a_gradient():
    log_probs = T([[-1.0, -2.0, -5.0], [-4.0, -6.0, -7.0]], requires_grad=True)
    losses.cross_entropy(log_probs, MASK).backward()
    assert log_probs.grad is not None
    assert torch.equal(log_probs.grad != 0, MASK)


def test_bradley_terry_is_minus_log_sigmoid_of_the_margin():
    loss = losses.bradley_terry(T([2.0, -1.0]), T([0.5, 1.0]))
    expected = (-math.log(sigmoid(1.5)) - math.log(sigmoid(-2.0))) / 2
    assert float(loss) == pytest.approx(expected, **CLOSE)
    assert float(losses.bradley_terry(T([3.0]), T([3.0]))) == pytest.approx(math.log(2), **CLOSE)


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.5, 2.0, -2.4),  # good and grown: bounded at 1.2
        (1.1, 2.0, -2.2),  # inside the bounds
        (0.5, 2.0, -1.0),  # good and shrunk: the smaller product counts
        (1.5, -2.0, 3.0),  # bad and grown: nothing bounds the penalty
        (0.5, -2.0, 1.6),  # bad and shrunk: bounded at 0.8
        (0.9, -2.0, 1.8),
    ],
)
def test_clipped_surrogate_with_both_signs_of_advantage(
    ratio: float, advantage: float, expected: float
):
    loss = losses.clipped_surrogate(
        T([[math.log(ratio) - 3.0]]), T([[-3.0]]), T([[advantage]]), T([[True]]), clip=0.2
    )
    assert float(loss) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("ratio", "advantage", "pushes"), [(1.5, 2.0, False), (0.5, 2.0, True), (0.5, -2.0, False)]
)
def test_beyond_the_clip_in_the_good_direction_there_is_no_push(
    ratio: float, advantage: float, pushes: bool
):
    log_probs = T([[math.log(ratio)]], requires_grad=True)
    losses.clipped_surrogate(
        log_probs, T([[0.0]]), T([[advantage]]), T([[True]]), clip=0.2
    ).backward()
    assert log_probs.grad is not None
    assert bool(log_probs.grad.abs() > 0) == pushes


def test_value_loss_takes_the_larger_of_the_two_errors():
    values, old = T([[1.0, 2.0, 9.0], [0.0, 9.0, 9.0]]), T([[0.0, 1.9, 9.0], [0.1, 9.0, 9.0]])
    returns = T([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    # 1: error 0, bounded value 0.2, error 0.64; 2: 4 and 4 (moved by 0.1); 3: 4 and 4
    bounded = 0.5 * (0.64 + 4.0 + 4.0) / 3
    assert float(losses.value_loss(values, old, returns, MASK, clip=0.2)) == pytest.approx(bounded)
    plain = 0.5 * (0.0 + 4.0 + 4.0) / 3
    assert float(losses.value_loss(values, old, returns, MASK, clip=0.0)) == pytest.approx(plain)


def test_both_kl_estimates_have_the_kl_as_their_mean():
    p, q = T([0.5, 0.3, 0.2]), T([0.2, 0.2, 0.6])
    kl = 0.5 * math.log(0.5 / 0.2) + 0.3 * math.log(0.3 / 0.2) + 0.2 * math.log(0.2 / 0.6)
    for estimate in (losses.kl_k1, losses.kl_k3):
        values = estimate(p.log(), q.log())
        assert float((p * values).sum()) == pytest.approx(kl, **CLOSE)
    assert (losses.kl_k3(p.log(), q.log()) >= 0).all()
    assert float(losses.kl_k1(T(math.log(0.5)), T(math.log(0.2)))) == pytest.approx(math.log(2.5))
    assert float(losses.kl_k3(T(math.log(0.5)), T(math.log(0.2)))) == pytest.approx(
        0.4 - math.log(0.4) - 1, **CLOSE
    )


def test_dpo_is_minus_log_sigmoid_of_beta_times_the_gained_margin():
    loss = losses.dpo_loss(
        T([-10.0, -8.0]), T([-12.0, -5.0]), T([-11.0, -8.0]), T([-11.0, -9.0]), beta=0.1
    )
    first = -math.log(sigmoid(0.1 * (1.0 - -1.0)))
    second = -math.log(sigmoid(0.1 * (0.0 - 4.0)))
    assert float(loss) == pytest.approx((first + second) / 2, **CLOSE)


def test_grpo_averages_inside_each_answer_first():
    log_probs = T([[math.log(1.5), 0.0, 7.0], [math.log(0.5), 7.0, 7.0]])
    ref = T([[math.log(1.5), -1.0, 0.0], [math.log(0.5), 0.0, 0.0]])
    loss = losses.grpo_loss(
        losses.LogProbs(log_probs, torch.zeros(2, 3), ref), T([1.0, -1.0]), MASK, clip=0.2, beta=0.1
    )
    k3 = math.exp(-1.0) + 1.0 - 1.0
    first = ((-1.2 + 0.0) + (-1.0 + 0.1 * k3)) / 2
    second = 0.8
    assert float(loss) == pytest.approx((first + second) / 2, abs=1e-5)
    half = losses.grpo_loss(
        losses.LogProbs(log_probs[:1], torch.zeros(1, 3), ref[:1]),
        T([1.0]),
        MASK[:1],
        clip=0.2,
        beta=0.1,
        rows=2,
    )
    assert float(half) == pytest.approx(first / 2, abs=1e-5)
