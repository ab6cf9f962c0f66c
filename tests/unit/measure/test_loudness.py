"""Loudness by ITU-R BS.1770-4: the test signals of EBU Tech 3341, at several rates and in parts."""

from __future__ import annotations

import numpy as np
import pytest

from stepedit_core.measure.loudness import LoudnessMeter


def sine(decibels: float, seconds: float, rate: int, hz: float = 1000.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return 10 ** (decibels / 20) * np.sin(2 * np.pi * hz * time)


def loudness(channels: np.ndarray, rate: int, part: int = 50_000) -> float | None:
    meter = LoudnessMeter(rate)
    for at in range(0, channels.shape[1], part):
        meter.add(channels[:, at : at + part])
    return meter.integrated()


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100, 48_000, 96_000])
def test_a_full_sine_in_one_channel_is_3_01_below(rate: int) -> None:
    # within the 0.1 LU of EBU Tech 3341; "a 997 Hz sine at 0 dB FS in one channel gives -3.01 LKFS"
    assert loudness(sine(0, 3, rate, 997)[None], rate) == pytest.approx(-3.01, abs=0.1)


def test_signals_1_and_3_of_tech_3341() -> None:
    rate = 48_000
    one = sine(-23, 20, rate)
    assert loudness(np.stack([one, one]), rate) == pytest.approx(-23.0, abs=0.1)
    three = np.concatenate([sine(-36, 10, rate), sine(-23, 30, rate), sine(-36, 10, rate)])
    assert loudness(np.stack([three, three]), rate) == pytest.approx(-23.0, abs=0.1)
    five = np.concatenate([sine(-72, 10, rate), sine(-36, 10, rate), sine(-23, 30, rate)])
    assert loudness(np.stack([five, five]), rate) == pytest.approx(-23.0, abs=0.1)


def test_parts_change_nothing_and_silence_has_no_loudness() -> None:
    wave = np.random.default_rng(0).normal(0, 0.1, (2, 100_000))
    assert loudness(wave, 24_000, 999) == pytest.approx(loudness(wave, 24_000, 100_000), abs=1e-6)
    assert loudness(np.zeros((1, 48_000)), 24_000) is None
    assert loudness(np.ones((1, 100)), 24_000) is None


def test_low_tones_count_less() -> None:
    low, high = (loudness(sine(-20, 3, 48_000, hz)[None], 48_000) for hz in (30, 3000))
    assert low is not None
    assert high is not None
    assert high - low > 8
