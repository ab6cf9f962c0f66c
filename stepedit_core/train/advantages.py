"""From rewards and values to advantages: KL-shaped rewards, GAE, whitening, group advantages.

Sources: GAE arXiv:1506.02438 eq. 16; the reward of each id, -beta KL and the score at the last id,
arXiv:1909.08593 eq. 2 per id; group advantages arXiv:2402.03300 section 4.1.2. The report
(arXiv:2511.03601) states neither gamma nor lambda; 1 and 0.95 are the field's.
Letters: B rows, A ids of the longest answer; masks (B, A) are True on an answer's ids, from the
left, without holes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def shaped_rewards(kl: Tensor, scores: Tensor, mask: Tensor, *, beta: float) -> Tensor:
    """Reward of each id (B, A): -beta kl (B, A), and the answer's score (B,) at its last id."""
    rewards = torch.where(mask, -beta * kl, 0.0)
    last = mask.sum(1, keepdim=True).clamp(min=1) - 1
    return rewards.scatter_add(1, last, scores[:, None].to(rewards.dtype))


def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Advantages (B, A) and returns (B, A), zero outside the mask.

    rewards (B, A) and values (B, A) of the state before each id; what follows the last id of an
    answer has the value 0, also where the limit cut it.
    """
    inside = mask.to(values.dtype)
    values, rewards = values * inside, rewards * inside
    following = torch.zeros_like(values[:, 0])
    ahead = torch.zeros_like(following)
    columns = []
    for at in range(values.shape[1] - 1, -1, -1):
        delta = rewards[:, at] + gamma * following - values[:, at]
        ahead = (delta + gamma * lam * ahead) * inside[:, at]
        following = values[:, at]
        columns.append(ahead)
    advantages = torch.stack(columns[::-1], dim=1)
    return advantages, (advantages + values) * inside


def moments(values: Tensor, mask: Tensor) -> Tensor:
    """Count, sum and sum of squares (3,) float64 of values (B, A) inside the mask.

    Those of several processes add up.
    """
    inside = values[mask].double()
    return torch.stack([inside.new_tensor(len(inside)), inside.sum(), inside.square().sum()])


def whiten(values: Tensor, mask: Tensor, total: Tensor | None = None) -> Tensor:
    """Values (B, A) shifted and scaled to mean 0 and standard deviation 1 over the mask.

    The deviation is the population's. `total` are the moments of a larger whole that this is a part
    of. Equal values become 0. Outside the mask stands 0.
    """
    count, first, second = moments(values, mask) if total is None else total
    mean = first / count.clamp(min=1)
    deviation = (second / count.clamp(min=1) - mean.square()).clamp(min=0).sqrt()
    scaled = (values.double() - mean) / deviation.clamp(min=1e-8)
    return torch.where(mask, scaled, 0.0).to(values.dtype)


def group_advantages(scores: Tensor, *, eps: float = 1e-6) -> Tensor:
    """(score - group mean) / (group deviation + eps), (P, K) -> (P, K): K answers a prompt.

    The deviation is the population's; answers that are all equal get 0.
    """
    centred = scores - scores.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True).sqrt() + eps)
