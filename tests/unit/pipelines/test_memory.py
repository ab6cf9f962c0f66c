"""Rounds that are remembered between runs, without a model."""

from __future__ import annotations

from dataclasses import replace

from stepedit_core.pipelines.memory import MOST_SECONDS, RoundMemory
from stepedit_core.pipelines.plan import ClipFacts, Plan
from stepedit_core.types import Decoding
from tests.rounds import finished, request_of

CLIP = ClipFacts(sha256="a" * 64, sample_rate=24_000, samples=24_000)


def plan(*options: str, rounds: int = 1, seed: int = 7, text: str = "hello") -> Plan:
    requests = tuple(request_of(option, text) for option in options)
    return Plan(clip=CLIP, requests=requests, rounds=rounds, seed=seed)


def test_a_plan_recalls_the_rounds_it_begins_with_and_no_more() -> None:
    memory = RoundMemory()
    run = [finished("", None), finished("happy", 1.0), finished("happy", 2.0)]
    memory.keep(plan("happy", rounds=2), run)
    assert memory.recall(plan("happy", rounds=3)) == run
    assert memory.recall(plan("happy")) == run[:2]
    # the second round would be scored against the first
    assert memory.recall(plan("happy", "happy")) == run[:2]
    assert memory.recall(plan("faster")) == run[:1]
    assert memory.recall(plan("happy", text="other words")) == []


def test_another_seed_clip_voice_or_setting_recalls_nothing() -> None:
    memory = RoundMemory()
    made = plan("happy")
    memory.keep(made, [finished("", None), finished("happy", 1.0)])
    assert len(memory.recall(made)) == 2
    for other in (
        replace(made, seed=8),
        replace(made, voice="previous"),
        replace(made, recogniser="ears"),
        replace(made, decoding=Decoding(steps=4)),
        replace(made, clip=replace(CLIP, sample_rate=16_000)),
        replace(made, clip=replace(CLIP, sha256="b" * 64)),
    ):
        assert memory.recall(other) == []


def test_the_oldest_runs_are_dropped_and_the_newest_is_kept() -> None:
    memory = RoundMemory()
    minute = [finished("", None, 60), finished("happy", 1.0, 60)]
    for seed in range(8):
        memory.keep(plan("happy", seed=seed), minute)
    assert memory.seconds <= MOST_SECONDS
    assert memory.recall(plan("happy", seed=0)) == []
    assert memory.recall(plan("happy", seed=7)) == minute
