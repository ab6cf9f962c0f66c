"""Threads of a run: one for a small model, and torch's own number is always set back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from stepedit_core.models.rows import at_once
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate_rounds
from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.threads import own_threads, threads_of
from stepedit_core.types import Clip, EditRequest, SilentHooks
from tests.unit.conftest import voiced


class Watching(SilentHooks):
    """Notes torch's number of threads whenever a stage asks whether it was cancelled."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def check(self) -> None:
        self.seen.add(torch.get_num_threads())


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def clip() -> Clip:
    return Clip(wave=voiced(1.0, 24_000), sample_rate=24_000)


def test_a_stage_of_a_small_model_runs_on_one_thread(
    bundle: Bundle, clip: Clip, two_threads: None
) -> None:
    hooks = Watching()
    tokenize(bundle, clip, hooks=hooks)
    assert hooks.seen == {1}
    assert torch.get_num_threads() == 2


def test_between_two_rounds_torch_has_its_number_back(
    bundle: Bundle, clip: Clip, two_threads: None
) -> None:
    hooks = Watching()
    edit = EditRequest(kind="emotion", option="happy", text="hello")
    seen = []
    for _ in iterate_rounds(bundle, clip, make_plan(bundle, clip, [edit], rounds=1), hooks=hooks):
        seen.append(torch.get_num_threads())
    assert seen == [2, 2]
    assert hooks.seen == {1}


def test_a_cancelled_stage_leaves_torch_as_it_was(
    bundle: Bundle, clip: Clip, two_threads: None
) -> None:
    class Cancelling(SilentHooks):
        def check(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokenize(bundle, clip, hooks=Cancelling())
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("width", "device", "own", "threads"),
    [(384, "cpu", 0, 1), (3072, "cpu", 0, 2), (384, "cuda", 0, 2), (384, "cpu", 2, 2)],
)
def test_size_device_and_a_number_of_ones_own_decide(
    two_threads: None, width: int, device: str, own: int, threads: int
) -> None:
    parts = {"llm": SimpleNamespace(hidden_size=width)}
    made = SimpleNamespace(
        manifest=SimpleNamespace(components=parts), device=torch.device(device), threads=own
    )
    assert threads_of(cast("Bundle", made)) == threads


def test_rows_may_run_on_what_a_small_model_leaves_unless_a_number_was_named(
    bundle: Bundle, two_threads: None
) -> None:
    assert at_once.get() == 1
    with own_threads(bundle):
        assert at_once.get() == 2
    assert at_once.get() == 1
    bundle.threads = 1
    try:
        with own_threads(bundle):
            assert at_once.get() == 1
    finally:
        bundle.threads = 0


def test_the_log_says_it_once(
    bundle: Bundle, two_threads: None, caplog: pytest.LogCaptureFixture
) -> None:
    bundle.release()
    with caplog.at_level(logging.INFO, "stepedit_core.registry.threads"):
        for _ in range(2):
            with own_threads(bundle):
                assert torch.get_num_threads() == 1
    assert caplog.messages == [f"StepEdit: {bundle.name} runs on 1 of torch's 2 threads"]
