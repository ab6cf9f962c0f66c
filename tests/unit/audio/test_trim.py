"""Levels and silence against the official pre-processing, captured with librosa's trim."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stepedit_core.audio.trim import cap_peak, normalise_energy, speech_bounds, trim_silence
from tests.golden.tokenizers_capture import golden


@pytest.mark.parametrize("case", ["late", "early"])
def test_trimmed_wave_equals_the_official_one(case):
    stored = golden("trim")
    got, _ = trim_silence(normalise_energy(stored[f"{case}_wave"]))
    # one rounding of the peak
    torch.testing.assert_close(got, stored[f"{case}_trimmed"], atol=1e-6, rtol=0)


def test_a_loud_wave_is_scaled_to_the_cap_and_a_quiet_one_is_left_alone():
    assert float(cap_peak(torch.tensor([0.1, -0.9])).abs().max()) == pytest.approx(0.6)
    quiet = torch.tensor([0.1, -0.6])
    assert cap_peak(quiet) is quiet


@pytest.mark.parametrize(("peak", "scaled"), [(0.5, 0.999), (2.0, 0.999), (0.001, 0.0999)])
def test_energy_is_normalised_to_the_peak_or_to_a_hundredth(peak, scaled):
    out = normalise_energy(torch.tensor([0.0, -peak]))
    assert float(out.abs().max()) == pytest.approx(scaled)


def test_speech_bounds_lie_within_one_frame_of_the_speech():
    wave = torch.zeros(16_000)
    wave[4_000:9_000] = torch.sin(torch.arange(5_000) * 0.3)
    first, last = speech_bounds(wave)
    assert 4_000 - 512 <= first <= 4_000
    assert 9_000 <= last <= 9_000 + 512


@settings(deadline=None, max_examples=40)  # a busy machine is no failure
@given(st.integers(600, 6_000), st.integers(0, 3_000), st.integers(0, 3_000))
def test_a_trimmed_wave_is_whole_units_long_and_keeps_every_loud_sample(length, before, after):
    speech = torch.sin(torch.arange(length) * 0.3)
    wave = torch.nn.functional.pad(speech, (before, after))
    first, last = speech_bounds(wave)
    out, start = trim_silence(wave)
    assert start == first - 800
    assert out.shape[0] % 240 == 0
    assert out.shape[0] - 4_320 == -(-(last - first) // 240) * 240
    # lead-in of 50 ms, then the speech from its first loud frame on
    assert torch.equal(out[800 : 800 + last - first], wave[first:last])
