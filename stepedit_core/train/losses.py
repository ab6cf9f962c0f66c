"""Losses on log-probabilities, values and rewards; pure functions, sums in float32.

Sources: Bradley-Terry as in arXiv:2203.02155 eq. 1; clipped surrogate and squared value error
arXiv:1707.06347 eq. 7 and 9; DPO arXiv:2305.18290 eq. 7; GRPO arXiv:2402.03300 eq. 3 and 4, whose
KL term is Schulman's estimator k3 (joschu.net/blog/kl-approx.html). Clip 0.2 and beta 0.05 of PPO
are the EditX report's, arXiv:2511.03601.
Letters: B rows, A ids of the longest answer. A mask (B, A) is True on the ids of an answer, its end
id included; what stands outside it never matters.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor, count: float | None = None) -> Tensor:
    """Sum () of values (B, A) where the mask is True, over `count`.

    `count` None is the number of True places; a micro-batch gives that of its whole batch.
    """
    total = torch.where(mask, values, 0.0).sum()
    return total / (mask.sum().clamp(min=1) if count is None else count)


def cross_entropy(log_probs: Tensor, mask: Tensor, *, count: float | None = None) -> Tensor:
    """Mean negative log-probability () of the answers' ids: the SFT loss.

    log_probs (B, A) float32 among the ids legal at each slot (answers.slot_log_probs); prompts do
    not appear.
    """
    return masked_mean(-log_probs, mask, count)


def bradley_terry(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Mean -log sigmoid(r_w - r_l) () of rewards (B,) and (B,)."""
    return -F.logsigmoid(chosen - rejected).mean()


def clipped_surrogate(
    log_probs: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip: float,
    count: float | None = None,
) -> Tensor:
    """Mean -min(ratio A, clip(ratio, 1 - clip, 1 + clip) A) (); all inputs (B, A)."""
    return masked_mean(surrogate_terms(log_probs, old_log_probs, advantages, clip), mask, count)


def surrogate_terms(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, clip: float
) -> Tensor:
    """The surrogate's negative terms (B, A), to be minimised."""
    ratio = torch.exp(log_probs - old_log_probs)
    bounded = ratio.clamp(1.0 - clip, 1.0 + clip)
    return -torch.minimum(ratio * advantages, bounded * advantages)


def value_loss(
    values: Tensor,
    old_values: Tensor,
    returns: Tensor,
    mask: Tensor,
    *,
    clip: float,
    count: float | None = None,
) -> Tensor:
    """Half the mean squared error () of values (B, A) against returns (B, A).

    The larger of the errors of the value and of the value kept within `clip` of the old one, so
    that a step cannot profit from moving further; clip 0 leaves the bound out.
    """
    error = (values - returns).square()
    if clip:
        near = old_values + (values - old_values).clamp(-clip, clip)
        error = torch.maximum(error, (near - returns).square())
    return 0.5 * masked_mean(error, mask, count)


def kl_k1(log_probs: Tensor, ref_log_probs: Tensor) -> Tensor:
    """Estimate (B, A) of KL(policy || reference) at ids the policy drew: log p - log p_ref.

    Unbiased, may be negative: what PPO takes off the reward of each id.
    """
    return log_probs - ref_log_probs


def kl_k3(log_probs: Tensor, ref_log_probs: Tensor) -> Tensor:
    """Estimate (B, A) of the same KL: p_ref / p - log(p_ref / p) - 1, unbiased and never negative.

    GRPO adds it to the loss.
    """
    log_ratio = ref_log_probs - log_probs
    return torch.exp(log_ratio) - log_ratio - 1.0


def dpo_loss(
    chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, *, beta: float
) -> Tensor:
    """Mean -log sigmoid(beta ((c - c_ref) - (r - r_ref))) ().

    All inputs (B,): log-probability of a whole answer, the sum over its ids.
    """
    margin = (chosen - ref_chosen) - (rejected - ref_rejected)
    return -F.logsigmoid(beta * margin).mean()


class LogProbs(NamedTuple):
    """Log-probabilities (B, A) of the same ids under three models."""

    now: Tensor
    """Under the model that learns, with gradient."""
    drawn: Tensor
    """Under that model when the answers were drawn."""
    reference: Tensor


def grpo_loss(
    log_probs: LogProbs,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip: float,
    beta: float,
    rows: float | None = None,
) -> Tensor:
    """Mean over answers of the mean over each answer's ids of surrogate + beta k3 ().

    Args:
        log_probs: (B, A) each.
        advantages: one an answer (B,).
        mask: (B, A).
        clip: of the ratio.
        beta: weight of the KL term.
        rows: answers the outer mean divides by; None: B. A micro-batch gives its whole batch's.
    """
    terms = surrogate_terms(log_probs.now, log_probs.drawn, advantages[:, None], clip)
    terms = torch.where(mask, terms + beta * kl_k3(log_probs.now, log_probs.reference), 0.0)
    means = terms.sum(1) / mask.sum(1).clamp(min=1)
    return means.sum() / (len(means) if rows is None else rows)
