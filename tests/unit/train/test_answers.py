"""Packing, slot-legal log-probabilities, rollouts and rewards, against plain loops."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stepedit_core.models.llm import Step1LM
from stepedit_core.models.reward import RewardModel
from stepedit_core.pipelines.sampling import Answer, sample_answers
from stepedit_core.train.attempts import Asked, Attempt, draw_answers, score_rollout, trajectory
from stepedit_core.train.batches import in_parts, micro_batches, pack
from stepedit_core.train.policy import Critic, Policy
from stepedit_core.train.reward_terms import (
    compose,
    legality,
    length_kept,
    model_reward,
    words_kept,
)
from stepedit_core.types import DualCodes, EditRequest, Sampling, stage_generator

from .toys import VOCABULARY, toy_answer, toy_codes, toy_lm

ROWS = [([5, 6, 7], toy_answer(2, 1)), ([8], toy_answer(1, 2)), ([5, 9, 4, 4, 8], toy_answer(3, 3))]


def whole_answers(*args: object, **settings: object) -> list[list[int]]:
    return [answer.whole for answer in sample_answers(*args, **settings)]


@torch.no_grad()
def naive_log_probs(lm: Step1LM, prompt: list[int], answer: list[int]) -> list[float]:
    """log softmax over the ids that sampling could have drawn, place by place."""
    hidden = lm(torch.tensor([[*prompt, *answer]]))[0].double()
    head = lm.lm_head.weight.double()
    found = []
    for t, goal in enumerate(answer):
        scores = head @ hidden[len(prompt) - 1 + t]
        first = 10 if t % 5 < 2 else 10 + 1024
        legal = [3, *range(first, first + (1024 if t % 5 < 2 else 4096))]
        exps = torch.exp(scores[legal])
        found.append(math.log(float(torch.exp(scores[goal]) / exps.sum())))
    return found


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


def test_micro_batches_hold_every_row_once_and_not_too_many_ids():
    lengths = [7, 3, 50, 3, 12, 9, 4, 6]
    parts = list(micro_batches(lengths, 20))
    assert sorted(i for part in parts for i in part) == list(range(8))
    assert all(len(p) == 1 or max(lengths[i] for i in p) * len(p) <= 20 for p in parts)
    assert [2] in parts


@torch.no_grad()
def test_asking_in_parts_says_what_asking_at_once_says():
    policy = Policy(toy_lm(), VOCABULARY)
    whole = policy(pack(ROWS, VOCABULARY.end_id)).log_probs
    parts = in_parts(ROWS, VOCABULARY.end_id, 12, None, lambda b: policy(b).log_probs)
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=0)


def toy_reward(seed: int = 3) -> RewardModel:
    model = RewardModel.from_language_model(toy_lm())
    with torch.no_grad():
        model.head.weight.normal_(generator=torch.Generator().manual_seed(seed))
        model.head.bias.fill_(0.5)
    return model


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
        sampling=Sampling(temperature=1.0),
        generators=[stage_generator(4, f"rollout/{n}", 0) for n in range(3)],
        max_ids=15,
    )
    assert again == [list(a.ids) for a in drawn(lm, [0, 1, 2])]


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


def line(*codes: int) -> DualCodes:
    """Codes whose linguistic line is given; two a group."""
    return DualCodes(
        linguistic=torch.tensor(codes),
        semantic=torch.zeros(len(codes) // 2 * 3, dtype=torch.int64),
        codebook="toy",
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
