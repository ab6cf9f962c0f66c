"""Resampling against torchaudio's captured output and against the physics of a tone."""

from __future__ import annotations

import math

import pytest
import torch

from stepedit_core.audio.resample import resample
from tests.golden.tokenizers_capture import golden


@pytest.mark.parametrize(
    "rates",
    [
        (24_000, 16_000),
        (44_100, 16_000),
        (44_100, 24_000),
        (48_000, 24_000),
        (22_050, 24_000),
        (8_000, 16_000),
        (192_000, 16_000),
        (16_001, 16_000),
    ],
)
def test_resampled_noise_equals_torchaudio(rates):
    stored = golden("resample")
    want = stored[f"{rates[0]}_{rates[1]}"]
    got = resample(stored["wave"], *rates)
    # float32 sums in another order, values up to 4
    torch.testing.assert_close(got, want, atol=2e-6, rtol=0)


def test_a_tone_keeps_its_pitch_and_level():
    seconds = torch.arange(24_000, dtype=torch.float64) / 24_000
    tone = torch.sin(2 * math.pi * 440 * seconds).float()
    got = resample(tone, 24_000, 16_000)
    want = torch.sin(2 * math.pi * 440 * torch.arange(16_000, dtype=torch.float64) / 16_000).float()
    # six zero crossings leave a ripple of 2e-3 in the pass band; the ends see silence outside
    assert float((got - want)[100:-100].abs().max()) < 3e-3


def test_a_tone_above_the_new_band_is_removed():
    seconds = torch.arange(48_000, dtype=torch.float64) / 48_000
    tone = torch.sin(2 * math.pi * 12_000 * seconds).float()
    assert float(resample(tone, 48_000, 16_000)[100:-100].abs().max()) < 1e-2


def test_leading_dimensions_are_kept_and_rows_do_not_mix():
    batch = torch.stack([torch.ones(300), torch.zeros(300)]).reshape(2, 1, 300)
    out = resample(batch, 24_000, 16_000)
    assert out.shape == (2, 1, 200)
    assert float(out[1].abs().max()) == 0.0
    assert float(out[0, 0, 50:150].mean()) == pytest.approx(1.0, abs=2e-3)


def test_equal_rates_return_the_wave_itself():
    wave = torch.ones(10)
    assert resample(wave, 24_000, 24_000) is wave


def test_a_long_wave_equals_its_parts():
    # more than one block of output samples; far from the cut both see the same inputs
    wave = torch.sin(torch.arange(120_000) * 0.05)
    whole = resample(wave, 24_000, 16_000)
    assert whole.shape == (80_000,)
    part = resample(wave[90_000:], 24_000, 16_000)
    torch.testing.assert_close(whole[60_100:], part[100:], atol=2e-6, rtol=0)


def test_a_rate_of_zero_is_refused():
    with pytest.raises(ValueError, match="rates are 24000 and 0 Hz; both must be at least 1"):
        resample(torch.ones(10), 24_000, 0)
