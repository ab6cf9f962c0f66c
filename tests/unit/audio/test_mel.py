"""Mel spectra against the official front end's and Whisper's captured output."""

from __future__ import annotations

import math

import pytest
import torch

from stepedit_core.audio.mel import mel_filters, prompt_mel, semantic_log_mel, semantic_pieces
from tests.golden.tokenizers_capture import golden


def test_prompt_mel_equals_the_official_front_end():
    stored = golden("frontend")
    # logarithm of float32 sums in another order
    torch.testing.assert_close(
        prompt_mel(stored["wave_24k"]), stored["prompt_mel"], atol=2e-5, rtol=0
    )


def test_semantic_log_mel_equals_whisper():
    stored = golden("frontend")
    got = semantic_log_mel(stored["wave_16k"])
    torch.testing.assert_close(got, stored["whisper_log_mel"], atol=2e-5, rtol=0)


@pytest.mark.parametrize("samples", [24_000, 24_001, 24_479, 24_480, 721])
def test_prompt_mel_has_one_frame_per_480_samples(samples):
    assert prompt_mel(torch.zeros(samples)).shape == (80, samples // 480)


@pytest.mark.parametrize("samples", [16_000, 16_001, 480])
def test_semantic_log_mel_has_one_frame_per_160_samples(samples):
    assert semantic_log_mel(torch.zeros(samples)).shape == (128, samples // 160)


def test_silence_lies_on_the_floors():
    assert float(prompt_mel(torch.zeros(2_400)).max()) == pytest.approx(math.log(1e-5), abs=2.0)
    assert float(semantic_log_mel(torch.zeros(1_600)).max()) == pytest.approx((-10 + 4) / 4)


def test_filters_have_unit_area_and_their_peak_at_slaneys_centre():
    filters = mel_filters(24_000, 1_920, 80, 0.0, 8_000.0)
    hz = torch.arange(961) * 12.5
    # Slaney: 3 mel per 200 Hz up to 1 kHz = 15 mel, then 27 steps per factor 6.4
    top = 15 + 27 * math.log(8.0) / math.log(6.4)
    centres = [
        m * 200 / 3 if m < 15 else 1_000 * 6.4 ** ((m - 15) / 27)
        for m in (top * k / 81 for k in range(1, 81))
    ]
    peaks = hz[filters.argmax(dim=1)]
    assert float((peaks - torch.tensor(centres)).abs().max()) <= 12.5  # one FFT bin
    area = filters[20:].sum(dim=1) * 12.5
    # wide triangles only: narrow ones are sampled by too few FFT bins
    torch.testing.assert_close(area, torch.ones(60), atol=0.03, rtol=0)


def test_changing_the_returned_filters_changes_no_later_mel():
    wave = torch.randn(4_800, generator=torch.Generator().manual_seed(1))
    before = prompt_mel(wave)
    mel_filters(24_000, 1_920, 80, 0.0, 8_000.0).zero_()
    torch.testing.assert_close(prompt_mel(wave), before, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("samples", "pieces"),
    [
        (480_000, [480_000]),
        (480_479, [480_000]),
        (480_480, [480_000, 480]),
        (1_000_000, [480_000, 480_000, 40_000]),
        (479, []),
    ],
)
def test_long_waves_are_cut_at_30_s_and_a_rest_below_30_ms_is_dropped(samples, pieces):
    wave = torch.arange(samples, dtype=torch.float32)
    cut = semantic_pieces(wave)
    assert [piece.shape[0] for piece in cut] == pieces
    if pieces:
        assert torch.equal(torch.cat(cut), wave[: sum(pieces)])


def test_too_short_waves_are_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"wave has 720 samples; .* more than 720\. Use a longer"):
        prompt_mel(torch.zeros(720))
    with pytest.raises(ValueError, match=r"wave has 200 samples; .* more than 200\. Use a longer"):
        semantic_log_mel(torch.zeros(200))
