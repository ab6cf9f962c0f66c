"""Advantages against trajectories worked out by hand."""

from __future__ import annotations

import pytest
import torch

from stepedit_core.train.advantages import gae, group_advantages, moments, shaped_rewards, whiten

T = torch.tensor


def test_the_score_stands_at_the_last_id_and_the_kl_at_every_one():
    mask = T([[True, True, True], [True, False, False]])
    kl = T([[1.0, 2.0, -1.0], [4.0, 9.0, 9.0]])
    rewards = shaped_rewards(kl, T([10.0, 20.0]), mask, beta=0.05)
    torch.testing.assert_close(rewards, T([[-0.05, -0.1, 10.05], [19.8, 0.0, 0.0]]))


def test_gae_of_a_trajectory_worked_out_by_hand():
    # gamma 0.5, lambda 0.5; r = 1 2 3; v = 4 6 8; nothing follows the last id
    # delta: 1 + 3 - 4 = 0, 2 + 4 - 6 = 0, 3 + 0 - 8 = -5
    # A: -5; 0 + 0.25 * -5 = -1.25; 0 + 0.25 * -1.25 = -0.3125
    # second row ends after two ids: delta 1 + 3 - 4 = 0, 2 - 6 = -4; A -1, -4
    mask = T([[True, True, True], [True, True, False]])
    rewards, values = T([[1.0, 2, 3], [1, 2, 99]]), T([[4.0, 6, 8], [4, 6, 99]])
    advantages, returns = gae(rewards, values, mask, gamma=0.5, lam=0.5)
    torch.testing.assert_close(advantages, T([[-0.3125, -1.25, -5.0], [-1.0, -4.0, 0.0]]))
    torch.testing.assert_close(returns, T([[3.6875, 4.75, 3.0], [3.0, 2.0, 0.0]]))


def test_gae_with_lambda_1_is_the_sum_of_what_follows_less_the_value():
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(2, 6, generator=generator)[:, None].unbind(0)
    advantages, returns = gae(rewards, values, torch.ones(1, 6).bool(), gamma=0.9, lam=1.0)
    expected = [sum(0.9 ** (k - t) * float(rewards[0, k]) for k in range(t, 6)) for t in range(6)]
    torch.testing.assert_close(returns, T([expected]))
    torch.testing.assert_close(advantages, T([expected]) - values)


def test_whitened_advantages_have_mean_0_and_deviation_1_inside_the_mask():
    generator = torch.Generator().manual_seed(1)
    values = 3.0 + 7.0 * torch.randn(5, 9, generator=generator)
    mask = torch.rand(5, 9, generator=generator) < 0.6
    values[~mask] = 1e6
    inside = whiten(values, mask)[mask].tolist()
    mean = sum(inside) / len(inside)
    # rounding of 30 float32 numbers of size 1
    assert mean == pytest.approx(0.0, abs=1e-6)
    assert sum((x - mean) ** 2 for x in inside) / len(inside) == pytest.approx(1.0, abs=1e-5)
    assert (whiten(values, mask)[~mask] == 0).all()


def test_whitening_keeps_the_order_and_the_ratio_of_distances():
    white = whiten(T([[1.0, 2.0, 4.0]]), T([[True, True, True]]))
    # mean 7/3, variance ((4/3)^2 + (1/3)^2 + (5/3)^2) / 3 = 14/9
    deviation = (14 / 9) ** 0.5
    expected = [[-4 / 3 / deviation, -1 / 3 / deviation, 5 / 3 / deviation]]
    torch.testing.assert_close(white, T(expected))


def test_equal_values_whiten_to_zero():
    assert whiten(torch.full((2, 3), 5.0), torch.ones(2, 3).bool()).abs().max() == 0


def test_parts_of_a_batch_whiten_as_the_whole_does():
    values = T([[1.0, 5.0], [2.0, 30.0], [-4.0, 0.0]])
    mask = T([[True, True], [True, False], [True, True]])
    total = moments(values[:1], mask[:1]) + moments(values[1:], mask[1:])
    inside = [1.0, 5.0, 2.0, -4.0, 0.0]
    mean = sum(inside) / 5
    deviation = (sum((x - mean) ** 2 for x in inside) / 5) ** 0.5
    expected = T([[(2 - mean) / deviation, 0.0], [(-4 - mean) / deviation, -mean / deviation]])
    torch.testing.assert_close(whiten(values[1:], mask[1:], total), expected)


def test_group_advantages_compare_answers_of_one_prompt():
    found = group_advantages(T([[1.0, 3.0], [5.0, 5.0]]))
    # deviations 1 and 0; eps is a millionth
    torch.testing.assert_close(found, T([[-1.0, 1.0], [0.0, 0.0]]), atol=2e-6, rtol=0)
