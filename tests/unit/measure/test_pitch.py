"""Median pitch against tones whose frequency is known."""

from __future__ import annotations

import math

import pytest
import torch

from stepedit_core.measure.pitch import median_pitch_hz
from stepedit_core.types import Clip

RATE = 24_000


def buzz(hz: float, seconds: float = 1.0, rate: int = RATE) -> torch.Tensor:
    t = torch.arange(int(seconds * rate)) / rate
    return 0.2 * sum(torch.sin(2 * math.pi * hz * k * t) / k for k in range(1, 9))


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100])
@pytest.mark.parametrize("hz", [75, 110, 220, 440])
def test_the_median_pitch_of_a_buzz_is_its_frequency(hz: float, rate: int) -> None:
    found = median_pitch_hz(Clip(wave=buzz(hz, rate=rate), sample_rate=rate))
    # lags are whole samples: half a sample of the period at this rate is the error
    assert found == pytest.approx(hz, rel=0.6 * hz / rate + 0.002)


@pytest.mark.parametrize("kind", ["noise", "silence", "very short"])
def test_what_has_no_pitch_gets_none(kind: str) -> None:
    wave = {
        "noise": 0.1 * torch.randn(RATE, generator=torch.Generator().manual_seed(1)),
        "silence": torch.zeros(RATE),
        "very short": buzz(100, 0.03),
    }[kind]
    assert median_pitch_hz(Clip(wave=wave, sample_rate=RATE)) is None
