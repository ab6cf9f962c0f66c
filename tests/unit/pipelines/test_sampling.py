"""Drawing ids: legal slots, seeds, filters, limits, the repetition rule and the hooks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stepedit_core.models.llm import LMConfig, Step1LM
from stepedit_core.models.llm_cache import PromptMemory
from stepedit_core.pipelines.run import Run
from stepedit_core.pipelines.sampling import (
    draw,
    filter_logits,
    forbid_repeat,
    prompt_cuts,
    sample_answers,
)
from stepedit_core.types import Sampling, stage_generator
from stepedit_core.vocab import Vocabulary

VOCABULARY = Vocabulary(audio_offset=40, codebook="tiny")
PROMPTS = [[1, 4, *range(10, 30)], [1, 4, 9], [1, 4, *range(5, 12)]]


def whole_answers(
    *args: object, sampling: Sampling, max_ids: int, run: Run | None = None, **settings: object
) -> list[list[int]]:
    """Answers of at most `max_ids` ids, or of as many as the sampling says."""
    sampling = replace(sampling, max_ids=sampling.max_ids or max_ids)
    made = sample_answers(*args, sampling=sampling, run=run, **settings)  # type: ignore[arg-type]
    return [answer.whole for answer in made]


@pytest.fixture(scope="module")
def model() -> Step1LM:
    config = LMConfig(
        vocab_size=40 + 5120,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_attention_groups=2,
    )
    lm = Step1LM(config).eval()
    lm.initialise(torch.Generator().manual_seed(0), std=0.3)
    return lm


def sampled(
    lm: Step1LM, rows: list[int], sampling: Sampling, max_ids: int = 40, seed: int = 7
) -> list[list[int]]:
    return whole_answers(
        lm,
        [PROMPTS[row] for row in rows],
        vocabulary=VOCABULARY,
        sampling=sampling,
        generators=[stage_generator(seed, "generate", row) for row in rows],
        max_ids=max_ids,
    )


SETTINGS = [
    Sampling(temperature=0.0),
    Sampling(),
    Sampling(temperature=1.3, top_k=20, top_p=0.8, forbid_repeats=True),
]


@pytest.mark.parametrize("sampling", SETTINGS)
def test_every_id_fits_its_slot(model: Step1LM, sampling: Sampling) -> None:
    for ids in sampled(model, [0, 1, 2], sampling):
        assert len(ids) % 5 == 0
        for position, i in enumerate(ids):
            low, high = VOCABULARY.legal_range(position)
            assert low <= i < high
        assert VOCABULARY.split(ids).groups == len(ids) // 5


@pytest.mark.parametrize("sampling", SETTINGS)
def test_a_row_of_an_unequal_batch_gets_the_ids_it_gets_alone(
    model: Step1LM, sampling: Sampling
) -> None:
    together = sampled(model, [0, 1, 2], sampling)
    assert together == [sampled(model, [row], sampling)[0] for row in range(3)]


def test_the_seed_decides_and_greedy_needs_none(model: Step1LM) -> None:
    assert sampled(model, [0], Sampling(), seed=1) == sampled(model, [0], Sampling(), seed=1)
    assert sampled(model, [0], Sampling(), seed=1) != sampled(model, [0], Sampling(), seed=2)
    greedy = Sampling(temperature=0.0)
    assert sampled(model, [0], greedy, seed=1) == sampled(model, [0], greedy, seed=2)


def test_greedy_takes_the_largest_legal_logit(model: Step1LM) -> None:
    ids = sampled(model, [0], Sampling(temperature=0.0), max_ids=10)[0]
    running = list(PROMPTS[0])
    for position, i in enumerate(ids):
        with torch.no_grad():
            logits = model.logits(model(torch.tensor([running])))[0, -1]
        low, high = VOCABULARY.legal_range(position)
        legal = torch.full_like(logits, -math.inf)
        legal[low:high] = logits[low:high]
        legal[3] = logits[3]
        assert int(legal.argmax()) == i
        running.append(i)


@pytest.mark.parametrize("at", [0, 4, 5, 7, 13])
def test_the_end_id_ends_a_row_anywhere_and_drops_the_partial_group(
    model: Step1LM, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = sampled(model, [0, 1], Sampling(temperature=0.0), max_ids=20)
    slot_head = model.slot_head
    calls = {"end": 0}

    def ending(first: int, last: int, end: int) -> Callable[[Tensor], Tensor]:
        head = slot_head(first, last, end)

        def logits(hidden: Tensor) -> Tensor:
            made = head(hidden)
            if calls["end"] == at:
                made[0, -1] = 1e9
            calls["end"] += 1
            return made

        return logits

    monkeypatch.setattr(model, "slot_head", ending)
    ended = sampled(model, [0, 1], Sampling(temperature=0.0), max_ids=20)
    assert ended[0] == plain[0][: at - at % 5]
    assert ended[1] == plain[1]


def test_limits_count_whole_groups_and_the_setting_wins(model: Step1LM) -> None:
    greedy = Sampling(temperature=0.0)
    assert len(sampled(model, [0], greedy, max_ids=14)[0]) == 10
    fewer = Sampling(temperature=0.0, max_ids=5)
    assert len(sampled(model, [0], fewer, max_ids=40)[0]) == 5


class Watch:
    """Counts reports and cancels at the n-th check."""

    def __init__(self, cancel_at: int) -> None:
        self.cancel_at = cancel_at
        self.done: list[tuple[str, int, int]] = []

    def progress(self, stage: str, done: int, total: int) -> None:
        self.done.append((stage, done, total))

    def check(self) -> None:
        if len(self.done) == self.cancel_at:
            raise KeyboardInterrupt


def watched(lm: Step1LM, watch: Watch) -> list[list[int]]:
    return whole_answers(
        lm,
        PROMPTS[:1],
        vocabulary=VOCABULARY,
        sampling=Sampling(),
        generators=[stage_generator(1, "generate")],
        max_ids=20,
        run=Run(hooks=watch),
    )


def test_hooks_hear_of_every_id_and_can_cancel_at_each(model: Step1LM) -> None:
    watch = Watch(cancel_at=-1)
    ids = watched(model, watch)[0]
    assert len(ids) == 20
    assert watch.done == [("generate", done, 20) for done in range(21)]
    stopped = Watch(cancel_at=3)
    with pytest.raises(KeyboardInterrupt):
        watched(model, stopped)
    assert len(stopped.done) == 3


def reference_repetition_rule(ids: Tensor, scores: Tensor) -> Tensor:
    """The 2025 rule written out for batches (spec 6.8): ids (B, n), scores (B, V)."""
    out = scores.clone()
    if ids.shape[1] < 10:
        return out
    for row, history in enumerate(ids[:, -10:].tolist()):
        newest = history[-1]
        if sum(i == newest for i in history) / 10 > 0.1:
            out[row, newest] = -math.inf
    return out


@pytest.mark.parametrize("length", [1, 9, 10, 14])
def test_the_repetition_rule_equals_the_2025_processor(length: int) -> None:
    generator = torch.Generator().manual_seed(length)
    ids = torch.randint(0, 9, (64, length), generator=generator)
    ids[:8] = torch.randint(0, 400, (8, length), generator=generator)
    # the last column stands for the end id, which the histories never hold
    scores = torch.randn(64, 401, generator=generator)
    expected = reference_repetition_rule(ids, scores)
    for row in range(64):
        forbid_repeat(scores[row], ids[row].tolist(), 0)
    assert torch.equal(scores, expected)
    assert bool(torch.isinf(scores).any()) == (length >= 10)


def test_the_repetition_rule_leaves_ids_of_other_slots_alone() -> None:
    scores = torch.zeros(5)
    forbid_repeat(scores, [7] * 10, 20)
    forbid_repeat(scores, [24] * 10, 20)
    assert torch.equal(scores, torch.zeros(5))
    forbid_repeat(scores, [23] * 10, 20)
    assert scores.tolist() == [0.0, 0.0, 0.0, -math.inf, 0.0]


def test_top_k_and_top_p_keep_exactly_the_documented_ids() -> None:
    logits = torch.tensor([[0.5, 0.1, 0.25, 0.15], [0.1, 0.2, 0.3, 0.4]]).log()
    kept = filter_logits(logits, Sampling(top_k=2)) > -math.inf
    assert kept.tolist() == [[True, False, True, False], [False, False, True, True]]
    kept = filter_logits(logits, Sampling(top_p=0.7)) > -math.inf
    assert kept.tolist() == [[True, False, True, False], [False, False, True, True]]
    kept = filter_logits(logits, Sampling(top_p=0.01)) > -math.inf
    assert kept.tolist() == [[True, False, False, False], [False, False, False, True]]
    assert torch.equal(filter_logits(logits, Sampling()), logits)


def test_draws_follow_the_softmax_at_the_temperature() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, -math.inf, 0.5])
    generator = stage_generator(3, "generate")
    counts = torch.zeros(5)
    rounds = 4000
    for _ in range(rounds):
        counts[draw(logits[None], Sampling(temperature=0.7), [generator])[0]] += 1
    expected = torch.softmax(logits / 0.7, 0)
    assert counts[3] == 0
    # four standard deviations of a frequency of 4000 draws
    assert (counts / rounds - expected).abs().max() < 4 * (0.25 / rounds) ** 0.5


def test_a_draw_uses_one_number_of_its_own_generator() -> None:
    logits = torch.randn(2, 50, generator=torch.Generator().manual_seed(4))
    first, second = stage_generator(5, "a"), stage_generator(5, "b")
    draw(logits, Sampling(), [first, second])
    for used, stage in ((first, "a"), (second, "b")):
        fresh = stage_generator(5, stage)
        torch.rand(1, generator=fresh)
        assert torch.equal(used.get_state(), fresh.get_state())


def test_impossible_ids_are_not_drawn_at_the_very_end_of_the_scale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logits = torch.tensor([[0.0, 0.0, -math.inf, -math.inf]])
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.ones(1))
    assert draw(logits, Sampling(temperature=1.0), [torch.Generator()]) == [1]


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        (Sampling(temperature=-0.1), r"temperature is -0\.1; allowed is 0 or more"),
        (Sampling(top_k=-1), r"top_k is -1; allowed is 0 \(off\) or more"),
        (Sampling(top_p=0.0), r"top_p is 0\.0; allowed is above 0 and up to 1"),
        (Sampling(top_p=1.5), r"top_p is 1\.5; allowed"),
        (Sampling(max_ids=4), r"number of ids is 0; allowed is 5 or more"),
    ],
)
def test_settings_that_cannot_be_sampled_with_are_refused(
    model: Step1LM, sampling: Sampling, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sampled(model, [0], sampling)


def test_one_generator_a_prompt_is_required(model: Step1LM) -> None:
    with pytest.raises(ValueError, match="1 generators were given for 2 prompts; each"):
        whole_answers(
            model,
            PROMPTS[:2],
            vocabulary=VOCABULARY,
            sampling=Sampling(),
            generators=[stage_generator(1, "generate")],
            max_ids=10,
        )


SYSTEM = [1, 4, *([10, 11, 12] * 14), 3]
"""45 ids."""


def round_prompt(words: int, audio: int) -> list[int]:
    heard = [40 + i % 1024 for i in range(audio)]
    return [*SYSTEM, 4, *([20 + words] * 40), *heard, 3, 4, 9, 9]


def test_prompts_are_cut_behind_a_turn_and_before_the_audio() -> None:
    prompt = round_prompt(0, 50)
    assert prompt_cuts(prompt, VOCABULARY) == [45, 86]
    assert prompt[44] == 3
    assert prompt[86] == 40


@pytest.mark.parametrize("prompt", [[1, 4, 9], [*range(4, 34), *[40] * 50], [*[9] * 60, *[40] * 5]])
def test_parts_too_short_to_be_worth_a_reading_of_the_weights_are_not_cut(prompt) -> None:
    assert prompt_cuts(prompt, VOCABULARY) == []


def run_rounds(model: Step1LM, memory: PromptMemory | None) -> tuple[list[list[int]], list[int]]:
    """Three rounds: same words, then other words; the ids, and how many were not run again."""
    ids, reused = [], []
    for number, (words, audio) in enumerate([(0, 50), (0, 60), (1, 45)]):
        ids += whole_answers(
            model,
            [round_prompt(words, audio)],
            vocabulary=VOCABULARY,
            sampling=Sampling(),
            generators=[stage_generator(3, "generate", number)],
            max_ids=20,
            run=None if memory is None else Run(prompts=memory),
        )
        reused.append(0 if memory is None else memory.reused)
    return ids, reused


def test_rounds_with_a_memory_draw_the_ids_of_rounds_without(model: Step1LM) -> None:
    without, _ = run_rounds(model, None)
    with_memory, reused = run_rounds(model, PromptMemory())
    assert with_memory == without
    assert reused == [0, 86, 45]


def test_a_remembered_beginning_gives_equal_bits_and_is_not_run(
    model: Step1LM, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [round_prompt(0, 50), round_prompt(0, 60)]
    cuts = [prompt_cuts(prompt, VOCABULARY) for prompt in prompts]
    alone = model.new_cache(1, 200)
    expected = model.prefill_hidden([prompts[1]], alone, cuts=[cuts[1]])
    memory, cache = PromptMemory(), model.new_cache(1, 200)
    model.prefill_hidden([prompts[0]], cache, cuts=[cuts[0]], memory=memory)
    seen: list[int] = []
    embed = model.model.embed_tokens.forward
    monkeypatch.setattr(
        model.model.embed_tokens, "forward", lambda ids: (seen.append(ids.shape[1]), embed(ids))[1]
    )
    cache = model.new_cache(1, 200)
    hidden = model.prefill_hidden([prompts[1]], cache, cuts=[cuts[1]], memory=memory)
    assert torch.equal(hidden, expected)
    assert torch.equal(cache.kv, alone.kv)
    assert seen == [len(prompts[1]) - 86]


def test_candidates_of_one_batch_share_the_beginning_of_their_prompts(
    model: Step1LM, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [round_prompt(0, 50), round_prompt(1, 50), round_prompt(0, 50)]
    cuts = [prompt_cuts(prompt, VOCABULARY) for prompt in prompts]
    seen: list[int] = []
    embed = model.model.embed_tokens.forward
    monkeypatch.setattr(
        model.model.embed_tokens, "forward", lambda ids: (seen.append(ids.shape[1]), embed(ids))[1]
    )
    together = model.prefill_hidden(prompts, model.new_cache(3, 160), cuts=cuts)
    assert sum(seen) == len(prompts[0]) + len(prompts[1]) - 45
    for row in range(2):
        single = model.prefill_hidden([prompts[row]], model.new_cache(1, 160), cuts=[cuts[row]])
        assert torch.equal(together[row], single[0])
    assert torch.equal(together[2], together[0])


def test_the_memory_of_another_model_or_dtype_is_ignored(model: Step1LM) -> None:
    other = Step1LM(model.config).eval()
    other.initialise(torch.Generator().manual_seed(1), std=0.3)
    memory = PromptMemory()
    run_rounds(other, memory)
    with_foreign, reused = run_rounds(model, memory)
    assert with_foreign == run_rounds(model, None)[0]
    assert reused[0] == 0
