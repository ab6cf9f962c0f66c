"""Attempts: draws that do not depend on company, legal ids, limits."""

from __future__ import annotations

import pytest
import torch

from stepedit_core.models.llm import Step1LM
from stepedit_core.pipelines.sampling import Answer, sample_answers
from stepedit_core.train.attempts import Asked, Attempt, draw_answers, score_rollout, trajectory
from stepedit_core.train.policy import Policy
from stepedit_core.types import EditRequest, Sampling, stage_generator

from .answers import naive_log_probs
from .toys import VOCABULARY, toy_codes, toy_lm


def whole_answers(*args: object, **settings: object) -> list[list[int]]:
    return [answer.whole for answer in sample_answers(*args, **settings)]


PROMPTS = [[5, 6, 7], [8], [5, 9, 4]]


def drawn(lm: Step1LM, numbers: list[int], step: int = 0) -> list[Answer]:
    asked = [Asked(PROMPTS[n], n, 15) for n in numbers]
    return draw_answers(lm, asked, vocabulary=VOCABULARY, temperature=1.0, seed=4, step=step)


def attempts_of(prompts: list[list[int]], answers: list[Answer]) -> list[Attempt]:
    """What try_prompts makes of answers, as far as score_rollout reads it."""
    return [
        Attempt(
            request=EditRequest(kind="denoise"),
            source=toy_codes(1, 0),
            row=trajectory(prompt, answer, VOCABULARY.end_id),
            answer=answer,
        )
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


def test_draws_depend_on_the_prompts_number_not_on_its_company():
    lm = toy_lm()
    together = drawn(lm, [0, 1, 2])
    assert drawn(lm, [2]) == together[2:]
    assert drawn(lm, [0], step=1) != together[:1]


def test_each_answer_keeps_to_its_own_limit():
    lm = toy_lm()
    together = drawn(lm, [0, 1, 2])
    asked = [Asked(PROMPTS[n], n, limit) for n, limit in enumerate((15, 8, 10))]
    cut = draw_answers(lm, asked, vocabulary=VOCABULARY, temperature=1.0, seed=4, step=0)
    assert [a.ids for a in cut] == [a.ids[:n] for a, n in zip(together, (15, 5, 10), strict=True)]


def test_every_id_of_a_rollout_is_legal_and_scored_under_both_models():
    lm, other = toy_lm(), toy_lm(seed=9)
    answers = drawn(lm, [0, 1, 2])
    assert {len(a.ids) for a in answers} == {15}
    made = score_rollout(
        Policy(lm, VOCABULARY),
        lambda ask: ask(Policy(other, VOCABULARY)),
        attempts_of(PROMPTS, answers),
        temperature=1.0,
        micro_ids=40,
    )
    for row, (prompt, answer) in enumerate(made.rows):
        for t, found in enumerate(answer):
            low, high = VOCABULARY.legal_range(t)
            assert low <= found < high
        for model, said in ((lm, made.log_probs), (other, made.ref_log_probs)):
            expected = naive_log_probs(model, list(prompt), list(answer))
            assert said[row].tolist() == pytest.approx(expected, abs=1e-4)


def test_an_ended_answer_keeps_its_end_id_and_its_partial_group():
    lm = toy_lm()
    with torch.no_grad():  # the end id wins wherever the state points along its row
        lm.lm_head.weight.zero_()
        lm.lm_head.weight[3] = lm(torch.tensor([PROMPTS[1]]))[0, -1]
    asked = [Asked(PROMPTS[1], 0, 15)]
    made = draw_answers(lm, asked, vocabulary=VOCABULARY, temperature=0.1, seed=0, step=0)
    assert made == [Answer((), True)]
    policy = Policy(lm, VOCABULARY)
    tried = attempts_of(PROMPTS[1:2], made)
    rows = score_rollout(policy, lambda ask: ask(policy), tried, temperature=0.1, micro_ids=9).rows
    assert rows == [([8], [3])]


def test_the_product_still_gets_whole_groups_of_the_same_draws():
    lm = toy_lm()
    again = whole_answers(
        lm,
        PROMPTS,
        vocabulary=VOCABULARY,
        sampling=Sampling(temperature=1.0, max_ids=15),
        generators=[stage_generator(4, f"rollout/{n}", 0) for n in range(3)],
    )
    assert again == [list(a.ids) for a in drawn(lm, [0, 1, 2])]
