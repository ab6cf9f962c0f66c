"""What Iterative Edit shows of its rounds, without ComfyUI and without a model."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch

from stepedit_core.types import Clip
from tests.rounds import finished

Load = Callable[[str], ModuleType]


def test_rounds_without_a_score_are_zero_in_the_list(pack_module: Load) -> None:
    run = [finished("", None), finished("faster", None), finished("happy", 4.5)]
    assert pack_module("rounds").scores(run) == [0.0, 4.5]


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 24_000])
def test_peaks_lie_between_0_and_100_however_long_the_clip(pack_module: Load, samples: int) -> None:
    found = pack_module("rounds").peaks(Clip(wave=torch.full((samples,), -2.0), sample_rate=24_000))
    assert 1 <= len(found) <= 160
    assert set(found) == {100}
