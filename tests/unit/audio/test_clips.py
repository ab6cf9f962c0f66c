"""Samples from anywhere to a mono clip: what is right, and the sentence for what is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from stepedit_core.audio.clips import check_clip, float_samples, mono_clip
from stepedit_core.types import Clip


def tone(seconds: float = 1.0, rate: int = 24_000) -> np.ndarray:
    return 0.5 * np.sin(2 * math.pi * 300 * np.arange(round(seconds * rate)) / rate)


def clip(wave: np.ndarray | torch.Tensor, rate: int = 24_000) -> Clip:
    return Clip(wave=torch.as_tensor(wave, dtype=torch.float32), sample_rate=rate)


@pytest.mark.parametrize(
    ("wave", "rate", "message"),
    [
        (tone(0.4), 24_000, r"0\.40 s long; 0\.5 to 30 s can be edited\. Use a longer"),
        (np.zeros(0), 24_000, r"0\.00 s long"),
        (tone(30.5, 8_000), 8_000, r"30\.50 s long; 0\.5 to 30 s can be edited\. Cut it"),
        (np.zeros(24_000), 24_000, r"silent \(its peak is 0\.00000 of full scale\).* Check the"),
        (np.append(tone(), np.nan), 24_000, r"NaN or infinite samples \(1 of \d+\); all"),
        (np.append(tone(), [np.inf, -np.inf]), 24_000, r"NaN or infinite samples \(2 of \d+\)"),
        (tone(2.0, 4_000), 4_000, r"4000 Hz; 8000 to 192000 Hz are read\. Resample"),
        (tone(0.5, 384_000), 384_000, r"384000 Hz; 8000 to 192000 Hz"),
    ],
)
def test_a_clip_that_cannot_be_edited_is_refused(wave, rate, message):
    with pytest.raises(ValueError, match=message):
        check_clip(clip(wave, rate))


@pytest.mark.parametrize("seconds", [0.5, 30.0])
def test_the_shortest_and_the_longest_clip_pass(seconds):
    check_clip(clip(tone(seconds)))


def test_a_tensor_of_channels_becomes_a_mono_clip():
    stereo = torch.from_numpy(np.stack([tone(), -0.5 * tone()])).double().requires_grad_()
    got = mono_clip(stereo, 24_000)
    assert got.wave.dtype == torch.float32
    assert not got.wave.requires_grad
    want = 0.25 * torch.from_numpy(tone()).float()
    torch.testing.assert_close(got.wave, want, atol=1e-7, rtol=0)


def test_a_batch_of_recordings_is_refused():
    with pytest.raises(ValueError, match=r"audio has 3 dimensions; .* one recording of the batch"):
        mono_clip(torch.zeros(2, 1, 24_000), 24_000)


@pytest.mark.parametrize(
    ("wave", "off"),
    [
        ((tone() * 2**15).astype(np.int16), 2**-15),
        ((tone() * 2**31).astype(np.int32), 1e-6),
        ((tone() * 2**7 + 128).round().astype(np.uint8), 2**-8),
        ((tone() * 2**7).round().astype(np.int8), 2**-8),
        (tone().astype(">f4"), 1e-7),
        (tone()[::-1][::-1], 1e-7),
        (tone().astype(np.float16), 1e-3),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_samples_of_every_kind_are_minus_1_to_1(wave: np.ndarray, off: float) -> None:
    want = torch.from_numpy(tone()).float()
    for samples in (wave, wave[None], np.stack([wave, wave])):
        torch.testing.assert_close(mono_clip(samples, 24_000).wave, want, atol=off, rtol=0)
    if wave.dtype.isnative:
        tensor = torch.from_numpy(wave.copy())
        torch.testing.assert_close(mono_clip(tensor, 24_000).wave, want, atol=off, rtol=0)


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        (None, "the wave is None; a torch tensor or a numpy array"),
        ([0.1, 0.2], "the wave is of the type list"),
        (np.array(["a"]), "the wave is an array of <U1"),
        (torch.zeros(24_000, dtype=torch.int64), "samples of int64; floats from -1 to 1, or int8"),
        (torch.zeros(24_000, dtype=torch.complex64), "samples of complex64"),
        (torch.zeros(24_000, dtype=torch.bool), "samples of bool"),
        (torch.zeros(24_000, 2), r"24000 channels of 2 samples; .* pass wave\.T"),
        (torch.zeros(0, 24_000), "audio has 0 channels"),
        (torch.zeros(()), "audio has 0 dimensions"),
        (torch.from_numpy(tone()) * 20_443, r"a peak of 10222 times full scale .* Divide integer"),
        (torch.cat([torch.from_numpy(tone()), torch.tensor([1e30])]), r"\(1 of 24001 samples"),
        (torch.full((24_000,), 3e38), r"a peak of 3e\+38 times"),
    ],
)
def test_what_is_not_a_recording_is_said_in_one_sentence(wave: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mono_clip(wave, 24_000)


@pytest.mark.parametrize(
    "rate", ["24000", None, 24_000.5, True, torch.tensor(24_000), float("nan")]
)
def test_a_rate_that_is_not_a_whole_number_is_named(rate: object) -> None:
    with pytest.raises(ValueError, match=r"the sample rate is .*; a whole number of Hz is needed"):
        mono_clip(torch.from_numpy(tone()), rate)


def test_a_rate_from_numpy_or_a_whole_float_is_an_int() -> None:
    for rate in (np.int64(24_000), 24_000.0, np.float32(24_000)):
        assert type(mono_clip(torch.from_numpy(tone()), rate).sample_rate) is int


@pytest.mark.parametrize(
    ("wave", "found"),
    [
        (torch.zeros(2, 24_000), r"float32 of shape \(2, 24000\)"),
        (torch.zeros(24_000, dtype=torch.int16), r"int16 of shape \(24000,\)"),
        (np.zeros(24_000), "of the type ndarray"),
        (None, "None"),
    ],
)
def test_a_clip_made_by_hand_with_another_wave_is_refused(wave: object, found: str) -> None:
    with pytest.raises(ValueError, match=f"the wave of the clip is {found}; float32 of shape"):
        check_clip(Clip(wave=wave, sample_rate=24_000))


@pytest.mark.parametrize("share", [-1.0, -0.95])
def test_channels_that_cancel_give_the_loudest(
    share: float, caplog: pytest.LogCaptureFixture
) -> None:
    left = torch.from_numpy(tone()).float()
    got = mono_clip(torch.stack([0.1 * left, left, share * left, -0.1 * left]), 24_000)
    assert torch.equal(got.wave, left)
    assert "the 4 channels cancel each other; number 2 is taken" in caplog.text


def test_channels_that_do_not_cancel_are_averaged_as_ever() -> None:
    left = torch.from_numpy(tone()).float()
    for right in (torch.zeros_like(left), 0.3 * left, -0.5 * left):
        both = torch.stack([left, right])
        assert torch.equal(mono_clip(both, 24_000).wave, both.mean(0))


def test_float_samples_keeps_the_shape() -> None:
    assert float_samples(np.zeros((2, 1, 5), np.int16)).shape == (2, 1, 5)
