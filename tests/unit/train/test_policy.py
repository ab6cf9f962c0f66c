"""The policy and the critic: what they say of each id of an answer."""

from __future__ import annotations

import math

import pytest
import torch

from stepedit_core.models.reward import RewardModel
from stepedit_core.train.batches import pack
from stepedit_core.train.policy import Critic, Policy

from .answers import ROWS, naive_log_probs, toy_reward
from .toys import VOCABULARY, toy_lm


@torch.no_grad()
def test_log_probs_are_those_among_the_legal_ids_of_each_slot():
    lm = toy_lm()
    scores = Policy(lm, VOCABULARY)(pack(ROWS, VOCABULARY.end_id))
    assert scores.log_probs.shape == (3, 16)
    for row, (prompt, answer) in enumerate(ROWS):
        expected = naive_log_probs(lm, prompt, answer)
        # float32 sums of 4,000 terms
        assert scores.log_probs[row, : len(answer)].tolist() == pytest.approx(expected, abs=1e-4)
        assert scores.log_probs[row, len(answer) :].abs().sum() == 0


@torch.no_grad()
def test_entropy_of_equal_logits_is_the_log_of_the_legal_ids():
    lm = toy_lm()
    lm.lm_head.weight.zero_()
    entropy = Policy(lm, VOCABULARY)(pack(ROWS[1:2], VOCABULARY.end_id)).entropy[0]
    expected = [math.log(1025)] * 2 + [math.log(4097)] * 3 + [math.log(1025)]
    assert entropy.tolist() == pytest.approx(expected, abs=1e-4)


def test_checkpointing_changes_no_gradient():
    gradients = []
    for checkpointing in (False, True):
        lm = toy_lm()
        policy = Policy(lm, VOCABULARY, checkpointing=checkpointing)
        policy(pack(ROWS, VOCABULARY.end_id)).log_probs.sum().backward()
        gradients.append([p.grad for p in lm.parameters()])
    for plain, again in zip(*gradients, strict=True):
        assert plain is not None
        assert torch.equal(plain, again)


@torch.no_grad()
def test_a_new_reward_model_gives_every_answer_zero():
    rewards = Critic(RewardModel.from_language_model(toy_lm()))(pack(ROWS, VOCABULARY.end_id))[1]
    assert rewards.tolist() == [0.0, 0.0, 0.0]


@torch.no_grad()
def test_values_stand_before_each_id_and_the_reward_behind_the_last():
    lm, model = toy_lm(), toy_reward()
    values, rewards = Critic(model)(pack(ROWS, VOCABULARY.end_id))
    for row, (prompt, answer) in enumerate(ROWS):
        hidden = lm(torch.tensor([[*prompt, *answer]]))[0]
        line = (hidden @ model.head.weight[0] + 0.5).tolist()
        before = line[len(prompt) - 1 : len(prompt) - 1 + len(answer)]
        assert values[row, : len(answer)].tolist() == pytest.approx(before, abs=1e-5)
        assert float(rewards[row]) == pytest.approx(line[-1], abs=1e-5)
        assert values[row, len(answer) :].abs().sum() == 0
