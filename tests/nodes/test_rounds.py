"""What Iterative Edit shows of its rounds, without ComfyUI and without a model."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest
import torch

from stepedit_core.types import Clip, Decoding
from tests.rounds import finished

Load = Callable[[str], ModuleType]


def test_rounds_without_a_score_are_zero_in_the_list(pack_module: Load) -> None:
    run = [finished("", None), finished("faster", None), finished("happy", 4.5)]
    assert pack_module("rounds").scores(run) == [0.0, 4.5]


@pytest.mark.parametrize("strength", [1.0, 1.5])
def test_the_panel_is_told_what_made_the_rounds(pack_module: Load, strength: float) -> None:
    decoding = Decoding(way="difference", strength=strength)
    plan = SimpleNamespace(seed=5, rounds=2, voice="original", decoding=decoding)
    rounds = pack_module("rounds")
    told = rounds.panel(rounds.FinishedRun(plan, [finished("", None)], 0))
    made = {"seed": 5, "asked": 2, "voice": "original", "strength": strength}
    assert {key: told[key] for key in made} == made


@pytest.mark.parametrize("strength", [math.nan, math.inf])
def test_a_strength_that_is_refused_does_not_keep_the_panel_from_saying_so(
    pack_module: Load, strength: float
) -> None:
    used = pack_module("rounds").used(seed=5, rounds=2, voice="original", strength=strength)
    assert used["strength"] is None  # as JSON has neither


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 24_000])
def test_peaks_lie_between_0_and_100_however_long_the_clip(pack_module: Load, samples: int) -> None:
    found = pack_module("rounds").peaks(Clip(wave=torch.full((samples,), -2.0), sample_rate=24_000))
    assert 1 <= len(found) <= 160
    assert set(found) == {100}
