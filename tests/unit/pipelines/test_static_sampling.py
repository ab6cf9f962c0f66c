"""Drawing in blocks on the device beside drawing id by id: the same ids from the same numbers.

Run on a CPU as it is; what a CUDA graph makes of it, tools/gpu_check.py sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stepedit_core.audio.files import read_clip
from stepedit_core.models import cuda_step
from stepedit_core.models.llm import LMConfig, Step1LM
from stepedit_core.models.static_step import StaticCache, static_hidden
from stepedit_core.pipelines import generate, static_sampling
from stepedit_core.pipelines.sampling import (
    Answer,
    draw,
    drawn_places,
    forbid_repeat,
    sample_answers,
)
from stepedit_core.pipelines.static_sampling import NO_ID, sample_static, without_repeats
from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import ASSETS, Registry
from stepedit_core.types import Draws, EditRequest, Sampling, same_codes, stage_generator
from stepedit_core.vocab import Vocabulary

VOCABULARY = Vocabulary(audio_offset=40, codebook="tiny")
PROMPTS = [[1, 4, *range(10, 30)], [1, 4, 9], [1, 4, *range(5, 12)]]
SETTINGS = [
    Sampling(temperature=0.0, max_ids=40, forbid_repeats=True),
    Sampling(max_ids=63),
    Sampling(temperature=1.3, top_k=20, top_p=0.8, forbid_repeats=True, max_ids=40),
]


def random_model(**sizes: int) -> Step1LM:
    config = LMConfig(
        vocab_size=40 + 5120, hidden_size=32, intermediate_size=48, num_hidden_layers=2, **sizes
    )
    lm = Step1LM(config).eval().requires_grad_(False)
    lm.initialise(torch.Generator().manual_seed(0), std=0.3)
    return lm


@pytest.fixture(scope="module")
def model() -> Step1LM:
    return random_model(num_attention_heads=8, num_attention_groups=2)


@pytest.fixture(scope="module")
def nano() -> Bundle:
    return Registry().load("nano")


def answers(sample, lm: Step1LM, sampling: Sampling, seed: int = 7, **more) -> list[Answer]:
    rows = range(len(PROMPTS))
    return sample(
        lm,
        PROMPTS,
        vocabulary=VOCABULARY,
        sampling=sampling,
        generators=[stage_generator(seed, "generate", row) for row in rows],
        **more,
    )


def changed(lm: Step1LM, monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], None]) -> None:
    """Change all logits (B, n) before they are drawn from; the end's are the last."""
    plain = lm.slot_head

    def slot_head(first: int, last: int, end: int) -> Callable[[Tensor], Tensor]:
        head = plain(first, last, end)

        def logits(hidden: Tensor) -> Tensor:
            made = head(hidden)
            change(made)
            return made

        return logits

    monkeypatch.setattr(lm, "slot_head", slot_head)


def ending(lm: Step1LM, monkeypatch: pytest.MonkeyPatch, push: float) -> None:
    """Make the end likelier: rows then end at places of their own."""
    changed(lm, monkeypatch, lambda logits: logits[:, -1].add_(push))


@pytest.mark.parametrize("sampling", SETTINGS)
@pytest.mark.parametrize("groups", [1, 2, 8])
def test_the_ids_are_those_of_drawing_one_at_a_time(sampling: Sampling, groups: int) -> None:
    lm = random_model(num_attention_heads=8, num_attention_groups=groups)
    assert answers(sample_static, lm, sampling) == answers(sample_answers, lm, sampling)


@pytest.mark.parametrize("seed", range(4))
def test_rows_that_end_at_different_times_end_where_they_do_one_at_a_time(
    model: Step1LM, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending(model, monkeypatch, 3.2)
    sampling = Sampling(max_ids=120)
    ordinary = answers(sample_answers, model, sampling, seed)
    assert answers(sample_static, model, sampling, seed) == ordinary
    assert len({len(answer.ids) for answer in ordinary}) > 1
    assert any(answer.ended for answer in ordinary)


def test_no_step_runs_long_after_the_last_row_has_ended(
    model: Step1LM, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending(model, monkeypatch, 50.0)  # at once
    steps: list[int] = []
    step = static_sampling._advance

    def counted(*args) -> None:
        steps.append(1)
        step(*args)

    monkeypatch.setattr(static_sampling, "_advance", counted)
    made = answers(sample_static, model, Sampling(max_ids=2000))
    assert [answer.ids for answer in made] == [(), (), ()]
    assert len(steps) == static_sampling.READ_EVERY


def test_nanos_codes_are_those_of_drawing_one_at_a_time(nano: Bundle, monkeypatch) -> None:
    codes, _ = tokenize(nano, read_clip(ASSETS / "samples/walking_home.wav"))
    words = "I was walking home when it began to rain."
    request = EditRequest(text=words, kind="emotion", option="happy")
    made = []
    for steps in ("ordinary", "static"):
        monkeypatch.setattr(nano, "steps", steps)
        sampling = Sampling(max_ids=60)
        made.append(generate.generate(nano, codes, request, draws=Draws(seed=3), sampling=sampling))
    ordinary, static = made
    assert same_codes(static.codes, ordinary.codes)
    assert static.ended == ordinary.ended
    assert ordinary.codes.groups > 4


def test_a_step_at_fixed_places_is_the_step(model: Step1LM) -> None:
    caches = [model.new_cache(3, 40) for _ in range(2)]
    for cache in caches:
        model.prefill_hidden(PROMPTS, cache)
    static = StaticCache(caches[1])
    for number in range(40 - 22):
        ids = torch.tensor([number, 2 * number, 5])
        ordinary = model.step_hidden(ids, caches[0])
        # float32 sums over more places, of which the further ones are 0
        torch.testing.assert_close(
            static_hidden(model, ids, static), ordinary, rtol=1e-5, atol=1e-5
        )
        assert int(static.used) == caches[0].used


def test_a_cache_without_a_prompt_or_room_is_refused(model: Step1LM) -> None:
    with pytest.raises(ValueError, match=r"0 of 30 ids filled; .* Call prefill_hidden first"):
        StaticCache(model.new_cache(3, 30))
    full = model.new_cache(3, 22)
    model.prefill_hidden(PROMPTS, full)
    with pytest.raises(ValueError, match=r"22 of 22 ids filled"):
        StaticCache(full)


@pytest.mark.parametrize("sampling", SETTINGS)
def test_a_draw_on_the_device_is_the_draw(sampling: Sampling) -> None:
    seeds = range(50)
    logits = 3 * torch.randn(50, 97, generator=torch.Generator().manual_seed(1))
    expected = draw(logits.clone(), sampling, [torch.Generator().manual_seed(s) for s in seeds])
    block = [torch.rand(9, generator=torch.Generator().manual_seed(s))[:1] for s in seeds]
    assert drawn_places(logits, sampling, torch.stack(block)).tolist() == expected


def test_a_block_of_uniform_numbers_is_the_numbers_one_by_one() -> None:
    one, many = (torch.Generator().manual_seed(5) for _ in range(2))
    singly = torch.cat([torch.rand(1, generator=one) for _ in range(300)])
    assert torch.equal(torch.rand(300, generator=many), singly)


@pytest.mark.parametrize(
    "running",
    [
        [5, 6, 7, 8, 9, 10, 11, 12, 13, 14],  # once
        [5, 6, 7, 8, 9, 14, 11, 12, 13, 14],  # twice
        [14] * 9,  # too few
        [14] * 10,
        [3] * 10,  # below the slot
        [34] * 10,  # one above it, where the end is
        [70] * 10,  # above it
        [5, 6, 14, 7, 8, 9, 10, 11, 12, 13, 14],  # the other is ten places back
    ],
)
def test_the_repetition_rule_is_the_rule(running: list[int]) -> None:
    logits = torch.randn(1, 31, generator=torch.Generator().manual_seed(2))
    expected = logits.clone()
    forbid_repeat(expected[0], running, 4)
    window = torch.tensor([([NO_ID] * 10 + running)[-10:]])
    assert torch.equal(without_repeats(logits, window, 4), expected)


def test_scores_that_are_not_numbers_are_said_with_their_place(
    model: Step1LM, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = {"n": 0}

    def broken(logits: Tensor) -> None:
        calls["n"] += 1
        if calls["n"] == 8:
            logits.fill_(torch.nan)

    changed(model, monkeypatch, broken)
    with pytest.raises(ValueError, match="NaN at id 7; all scores must be numbers"):
        answers(sample_static, model, Sampling(max_ids=40))


def test_what_a_row_makes_after_its_end_is_nobodys_error(
    model: Step1LM, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = {"n": 0}

    def first_row_ends(logits: Tensor) -> None:
        calls["n"] += 1
        if len(logits) == len(PROMPTS):  # one at a time, the ended row is no longer there
            logits[0, -1] += 1e4
            if calls["n"] > 1:
                logits[0] = torch.nan

    changed(model, monkeypatch, first_row_ends)
    made = answers(sample_static, model, Sampling(max_ids=40))
    calls["n"] = 0
    assert made == answers(sample_answers, model, Sampling(max_ids=40))


def test_hooks_are_asked_in_every_block(model: Step1LM) -> None:
    class Stop(Exception):
        pass

    class Hooks:
        def __init__(self) -> None:
            self.seen: list[int] = []

        def check(self) -> None:
            if len(self.seen) == 2:
                raise Stop

        def progress(self, stage: str, done: int, total: int) -> None:
            assert (stage, total) == ("generate", 100)
            self.seen.append(done)

    run = static_sampling.Run(hooks=Hooks())
    with pytest.raises(Stop):
        answers(sample_static, model, Sampling(max_ids=100), run=run)
    assert run.hooks.seen == [1, 26]


def test_a_bundle_draws_one_at_a_time_unless_it_is_set(nano, monkeypatch) -> None:
    used: list[str] = []
    for name in ("sample_answers", "sample_static"):
        monkeypatch.setattr(generate, name, lambda *_, name=name, **__: used.append(name) or [])
    assert nano.steps == "ordinary"
    assert generate.sample_for(nano)() == []
    monkeypatch.setattr(nano, "steps", "static")
    assert generate.sample_for(nano)() == []
    assert used == ["sample_answers", "sample_static"]


def test_on_a_cpu_work_is_run_as_it_is() -> None:
    state = torch.zeros(1)
    work = lambda: state.add_(1)  # noqa: E731
    assert cuda_step.replayable(work, (state,)) is work


def test_a_capture_leaves_no_trace_of_its_warming_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing:
        def __init__(self, *args: object) -> None: ...
        def __enter__(self) -> None: ...
        def __exit__(self, *args: object) -> None: ...
        def wait_stream(self, other: object) -> None: ...

    class Graph:
        def replay(self) -> None:
            work()

    def capturing(graph: Graph) -> Nothing:
        recorded.append(graph)
        return Nothing()

    state, runs, recorded = torch.zeros(2), [], []

    def work() -> None:
        if not recorded or runs[-1] == "recorded":  # a capture runs nothing
            state.add_(1)
            runs.append("run")
        else:
            runs.append("recorded")

    for name, stub in (
        ("Stream", Nothing),
        ("stream", Nothing),
        ("current_stream", Nothing),
        ("CUDAGraph", Graph),
        ("graph", capturing),
    ):
        monkeypatch.setattr(torch.cuda, name, stub)
    step = cuda_step.Replayed(work, (state,))
    step()
    assert state.tolist() == [1, 1]
    assert runs == ["run"] * cuda_step.WARM_UP + ["recorded", "run"]
    runs.append("recorded")
    step()
    assert state.tolist() == [2, 2]
    assert len(recorded) == 1


def test_the_limit_of_one_group_needs_no_more_than_it(model: Step1LM) -> None:
    sampling = replace(SETTINGS[1], max_ids=5)
    assert answers(sample_static, model, sampling) == answers(sample_answers, model, sampling)
