"""A stretch taken out of a sound: where, how its edges meet, and what stays."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from stepedit_core.signal.cut import Room, alike_pair, closed, filled, lasting, quiet_places

RATE = 16_000


def hum(seconds: float, hz: float = 150.0) -> torch.Tensor:
    """(1, N) a steady voice."""
    time = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    return 0.1 * sum(torch.sin(2 * math.pi * hz * k * time) / k for k in range(1, 9))[None]


def test_the_quiet_places_of_a_room() -> None:
    wave = hum(1.0)
    wave[:, 6_000:7_000] *= 1e-3
    places = quiet_places(wave, RATE, Room(low=4_000, high=9_000))
    assert 6_000 <= places[0] < places[-1] <= 7_000
    assert quiet_places(wave, RATE, Room(low=5, high=5)).tolist() == [5]
    assert len(quiet_places(wave[:, :0], RATE, Room(low=0, high=0))) == 1


@pytest.mark.parametrize("second", [9_000, 9_031, 9_057, 9_090])
def test_a_steady_voice_continues_over_a_cut(second: int) -> None:
    """The second half moves to where the waves agree: no step, no dip."""
    wave = hum(1.0)
    made = closed(wave, 6_000, second, RATE)
    whole = torch.cat((wave[:, : made.start], made.samples, wave[:, made.stop :]), dim=1)[0]
    own = wave[0].diff().abs().max()
    assert whole[made.start - 50 : made.end + 50].diff().abs().max() <= 1.02 * own
    level = whole.unfold(0, 400, 100).square().mean(1).sqrt()
    assert float(level.min() / level.max()) > 0.9


def test_edges_that_sound_alike_are_chosen_and_of_these_the_quiet_ones() -> None:
    low, high = hum(0.5, 110.0), 4.0 * hum(0.5, 430.0)
    wave = torch.cat((low, high, low), dim=1)
    heads, tails = np.array([7_000, 9_000]), np.array([15_000, 17_000])
    assert alike_pair(wave, RATE, heads, tails) == (7_000, 17_000)
    assert alike_pair(wave, RATE, heads[1:], tails) == (9_000, 15_000)


def test_at_either_end_nothing_is_faded_over() -> None:
    wave = hum(0.5)
    first = closed(wave, 0, 2_000, RATE)
    assert (first.start, first.stop) == (0, 2_160)
    assert float(first.samples[0, 0].abs()) < 1e-3
    last = closed(wave, 6_000, 8_000, RATE)
    assert (last.start, last.stop) == (5_840, 8_000)
    assert float(last.samples[0, -1].abs()) < 1e-3


def test_room_tone_has_the_length_of_the_hole_and_fades() -> None:
    wave = hum(1.0).float()
    tone = 1e-3 * torch.randn(1, 1_600, generator=torch.Generator().manual_seed(0))
    made = filled(wave, 6_000, 9_000, RATE, tone)
    assert made.samples.shape[1] == made.stop - made.start
    middle = slice(400, 1_400)
    assert torch.equal(made.samples[:, middle], lasting(tone, 3_160)[:, middle])
    assert abs(float(made.samples[0, 0] - wave[0, made.start])) < 1e-3
    steps = lasting(hum(0.1), 9_000).diff().abs().max()
    assert float(steps) <= float(hum(0.1).diff().abs().max()) + 1e-9
