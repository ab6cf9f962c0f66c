"""Kaldi filter banks against torchaudio and kaldi-native-fbank; stacking against the release."""

from __future__ import annotations

import pytest
import torch

from stepedit_core.audio.fbank import (
    kaldi_fbank,
    linguistic_features,
    linguistic_length,
    speaker_features,
    stack_frames,
)
from tests.golden.tokenizers_capture import golden


def test_speaker_features_equal_torchaudios_kaldi():
    stored = golden("frontend")
    # the logarithm of a bin near the floor multiplies the rounding of its FFT
    torch.testing.assert_close(
        speaker_features(stored["wave_16k"]), stored["speaker_fbank"], atol=5e-4, rtol=0
    )


def test_filter_bank_equals_kaldi_native_fbank():
    stored = golden("frontend")
    torch.testing.assert_close(
        kaldi_fbank(stored["wave_16k"]), stored["kaldi_native_fbank"], atol=5e-4, rtol=0
    )


def test_linguistic_features_equal_the_official_streaming_front_end():
    stored = golden("linguistic")
    shift, rescale = stored["cmvn"]
    got = (linguistic_features(stored["wave"]) + shift) * rescale
    torch.testing.assert_close(got, stored["features"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("rest", range(16))
def test_the_count_of_linguistic_frames_equals_the_official_loops(rest):
    stored = golden("linguistic")
    samples = 6 * 3_840 + 240 * rest
    assert linguistic_length(samples) == int(stored["counts"][rest])
    assert linguistic_features(stored["wave"][:samples]).shape == (int(stored["counts"][rest]), 560)


@pytest.mark.parametrize(
    ("rest", "extra"),
    # spec 3: j <= 3 gives none, else ceil((T - 3) / 6) with T = 2 + floor((240 j - 80) / 160)
    [(j, 0 if j <= 3 else -(-(2 + (240 * j - 80) // 160 - 3) // 6)) for j in range(16)],
)
def test_the_count_follows_the_written_rule(rest, extra):
    assert linguistic_length(10 * 3_840 + 240 * rest) == 40 + extra


def test_stacking_repeats_the_first_and_the_last_frame():
    frames = torch.arange(8.0)[:, None]
    want = torch.tensor([[0, 0, 0, 0, 1, 2, 3], [3, 4, 5, 6, 7, 7, 7]], dtype=torch.float32)
    assert torch.equal(stack_frames(frames), want)


def test_speaker_features_have_mean_zero_per_bin():
    features = speaker_features(golden("frontend")["wave_16k"])
    assert float(features.mean(dim=0).abs().max()) < 1e-5  # float32 sums of about 70 frames


def test_batches_equal_single_waves():
    wave = golden("frontend")["wave_16k"]
    batch = kaldi_fbank(torch.stack([wave, wave.flip(0)]))
    # the same sums, but a batched product may take them in another order
    torch.testing.assert_close(batch[1], kaldi_fbank(wave.flip(0)), atol=5e-4, rtol=0)


def test_less_than_one_frame_gives_none():
    assert kaldi_fbank(torch.zeros(399)).shape == (0, 80)
    assert linguistic_features(torch.zeros(399)).shape == (0, 560)
