"""What Iterative Edit remembers and picks, without ComfyUI and without a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest
import torch

from stepedit_core.types import Clip, DualCodes, EditRequest, Round

Load = Callable[[str], ModuleType]
HAPPY = EditRequest(kind="emotion", option="happy", text="hello")
FAST = EditRequest(kind="speed", option="faster", text="hello")
KEY = ("digest", 24_000, "follow", 7)


def heard(
    rounds: ModuleType, request: EditRequest | None, score: float | None, seconds: float = 1
) -> object:
    nothing = torch.zeros(0, dtype=torch.int64)
    wave = torch.linspace(-1, 1, int(seconds * 24_000))
    done = Round(
        clip=Clip(wave=wave, sample_rate=24_000),
        codes=DualCodes(linguistic=nothing, semantic=nothing, codebook="a"),
        request=request,
        score=score,
        seconds_elapsed=0.5,
    )
    return rounds.Heard(round=done, pitch_hz=None, speaker=torch.ones(2), similarity=1.0)


@pytest.mark.parametrize(
    ("made", "marked", "best"),
    [
        ([(HAPPY, 3.0), (HAPPY, 8.0), (HAPPY, 5.0)], 0, 2),
        ([(HAPPY, 3.0), (HAPPY, 8.0), (HAPPY, 5.0)], 3, 3),
        ([(HAPPY, 8.0), (HAPPY, 8.0)], 0, 1),
        ([(HAPPY, 9.0), (FAST, 2.0), (FAST, 3.0)], 0, 3),
        ([(HAPPY, 9.0), (FAST, None), (FAST, None)], 0, 3),
    ],
    ids=["highest score", "marked", "first of equals", "after the last edit", "no scores"],
)
def test_the_best_round(
    pack_module: Load, made: list[tuple[EditRequest, float | None]], marked: int, best: int
) -> None:
    rounds = pack_module("rounds")
    run = [heard(rounds, None, None), *(heard(rounds, *one) for one in made)]
    assert rounds.best_number(run, marked) == best


def test_rounds_without_a_score_are_zero_in_the_list(pack_module: Load) -> None:
    rounds = pack_module("rounds")
    run = [heard(rounds, None, None), heard(rounds, FAST, None), heard(rounds, HAPPY, 4.5)]
    assert rounds.scores(run) == [0.0, 4.5]


def test_a_plan_recalls_the_rounds_it_begins_with_and_no_more(pack_module: Load) -> None:
    rounds = pack_module("rounds")
    memory = rounds.RoundMemory()
    run = [heard(rounds, None, None), heard(rounds, HAPPY, 1.0), heard(rounds, HAPPY, 2.0)]
    memory.keep(KEY, [(HAPPY, 0), (HAPPY, 0)], run)
    assert memory.recall(KEY, [(HAPPY, 0)] * 3) == run
    assert memory.recall(KEY, [(HAPPY, 0)]) == run[:2]
    assert memory.recall(KEY, [(HAPPY, 0), (HAPPY, 1)]) == run[:2]  # scored against another round
    assert memory.recall(KEY, [(FAST, 0)]) == run[:1]
    assert memory.recall(KEY, [(replace(HAPPY, text="other words"), 0)]) == []
    assert memory.recall((*KEY[:3], 8), [(HAPPY, 0)]) == []


def test_the_oldest_runs_are_dropped_and_the_newest_is_kept(pack_module: Load) -> None:
    rounds = pack_module("rounds")
    memory = rounds.RoundMemory()
    minute = [heard(rounds, None, None, 60), heard(rounds, HAPPY, 1.0, 60)]
    for seed in range(8):
        memory.keep((*KEY[:3], seed), [(HAPPY, 0)], minute)
    assert memory.seconds <= rounds.KEPT_SECONDS
    assert memory.recall((*KEY[:3], 0), [(HAPPY, 0)]) == []
    assert memory.recall((*KEY[:3], 7), [(HAPPY, 0)]) == minute


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 24_000])
def test_peaks_lie_between_0_and_100_however_long_the_clip(pack_module: Load, samples: int) -> None:
    found = pack_module("rounds").peaks(Clip(wave=torch.full((samples,), -2.0), sample_rate=24_000))
    assert 1 <= len(found) <= 160
    assert set(found) == {100}
