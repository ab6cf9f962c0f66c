"""The shared types: their own checks, and seeds."""

from __future__ import annotations

import pytest
import torch

from stepedit_core.types import Clip, DualCodes, stage_generator


def test_codes_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="a group is 2 linguistic and 3 semantic"):
        DualCodes(linguistic=torch.zeros(4), semantic=torch.zeros(3), codebook="x")


def test_a_group_lasts_120_ms():
    codes = DualCodes(linguistic=torch.zeros(4), semantic=torch.zeros(6), codebook="x")
    assert codes.groups == 2
    assert codes.seconds == pytest.approx(0.24)


def test_a_clip_knows_its_seconds():
    assert Clip(wave=torch.zeros(12_000), sample_rate=24_000).seconds == 0.5


def test_equal_seed_stage_and_round_draw_equal_numbers():
    first = torch.rand(4, generator=stage_generator(7, "flow", 2))
    assert torch.equal(first, torch.rand(4, generator=stage_generator(7, "flow", 2)))


@pytest.mark.parametrize("other", [(8, "flow", 2), (7, "vocode", 2), (7, "flow", 3)])
def test_another_seed_stage_or_round_draws_other_numbers(other: tuple[int, str, int]):
    first = torch.rand(4, generator=stage_generator(7, "flow", 2))
    assert not torch.equal(first, torch.rand(4, generator=stage_generator(*other)))


def test_a_stage_generator_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    torch.rand(4, generator=stage_generator(1, "flow"))
    assert torch.equal(before, torch.get_rng_state())
