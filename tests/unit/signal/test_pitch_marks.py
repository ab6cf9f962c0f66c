"""Pitch and pitch marks of sounds whose periods are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stepedit_core.signal.pitch_marks import HOP_SECONDS, pitch_marks, pitch_track

RATE = 24_000


def buzz(hertz: np.ndarray) -> Tensor:
    """Twelve harmonics that fall off by 6 dB an octave, at a pitch (N,) in Hz."""
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    wave = sum(np.cos(k * phase + k) / k for k in range(1, 13))
    return torch.from_numpy(0.1 * np.asarray(wave)).float()


def noise(count: int, seed: int = 1) -> Tensor:
    return 0.05 * torch.randn(count, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("hertz", [70.0, 140.0, 310.0])
def test_a_gliding_voice_is_followed(hertz: float) -> None:
    glide = hertz * 2 ** (np.linspace(0, 0.5, RATE))
    heard = pitch_track(buzz(glide), RATE)[8:-8]
    true = glide[:: round(HOP_SECONDS * RATE)][8 : 8 + len(heard)]
    # a frame of 50 ms hears its middle: half a semitone
    assert np.abs(np.log2(heard / true)).max() < 0.5 / 12


def test_noise_and_silence_have_no_voice() -> None:
    assert not pitch_track(noise(RATE), RATE).any()
    assert not pitch_track(torch.zeros(RATE), RATE).any()


def test_a_voice_has_one_mark_a_period_and_the_rest_one_in_5_ms() -> None:
    wave = torch.cat([noise(RATE // 2), buzz(np.full(RATE, 151.0)), noise(RATE // 2, 2)])
    marks = pitch_marks(wave, RATE)
    assert marks.at[0] == 0
    assert marks.at[-1] == len(wave) - 1
    assert np.all(np.diff(marks.at) > 0)
    voiced = np.diff(marks.at)[marks.voiced[:-1] & marks.voiced[1:]]
    assert len(voiced) > 0.9 * 151
    # beside the noise a mark may miss its place
    np.testing.assert_allclose(voiced[2:-2], RATE / 151, atol=0.2)
    without = np.diff(marks.at)[~marks.voiced[:-1] & ~marks.voiced[1:]]
    np.testing.assert_allclose(without, 120, atol=1)


def test_marks_are_at_the_same_place_of_every_period() -> None:
    wave = buzz(np.full(RATE, 200.0))  # 120 samples a period
    marks = pitch_marks(wave, RATE)
    places = marks.at[marks.voiced] % 120
    turned = np.angle(np.exp(2j * np.pi * places / 120).mean()) * 120 / (2 * np.pi)
    away = (places - turned + 60) % 120 - 60
    assert np.abs(away).max() < 1


def test_a_wave_of_a_few_samples_has_its_ends() -> None:
    marks = pitch_marks(torch.tensor([0.1, 0.2, 0.1]), RATE)
    assert marks.at.tolist() == [0.0, 2.0]
