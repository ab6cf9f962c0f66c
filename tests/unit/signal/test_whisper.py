"""A whisper: no pitch, the same length and loudness, one seed the same samples."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stepedit_core.audio.files import read_clip
from stepedit_core.measure.loudness import LoudnessMeter
from stepedit_core.measure.pitch import median_pitch_hz
from stepedit_core.registry.registry import ASSETS
from stepedit_core.signal.whisper import whisper
from stepedit_core.types import Clip


def drawn(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def friday() -> Clip:
    """12 s of a person, 24 kHz."""
    return read_clip(ASSETS / "samples/friday.flac")


def voiced_pieces(wave: Tensor, rate: int) -> int:
    """How many pieces of 0.25 s have a pitch."""
    pieces = [Clip(wave=piece, sample_rate=rate) for piece in wave.split(rate // 4)]
    return sum(median_pitch_hz(piece) is not None for piece in pieces)


def loudness(rows: Tensor, rate: int) -> float:
    meter = LoudnessMeter(rate)
    meter.add(rows.numpy())
    found = meter.integrated()
    assert found is not None
    return found


def test_a_person_has_no_pitch_left_and_the_same_loudness(friday: Clip) -> None:
    rate = friday.sample_rate
    made = whisper(friday.wave, rate, generator=drawn())
    before = voiced_pieces(friday.wave, rate)
    assert before >= 25
    assert voiced_pieces(made, rate) <= 0.1 * before
    assert loudness(made[None], rate) == pytest.approx(loudness(friday.wave[None], rate), abs=1.0)


def test_what_has_no_voice_keeps_its_samples(friday: Clip) -> None:
    rate, pause = friday.sample_rate, torch.zeros(friday.sample_rate)
    wave = torch.cat([friday.wave, pause + 1e-4, friday.wave])
    made = whisper(wave, rate, generator=drawn())
    between = slice(len(friday.wave) + rate // 10, len(friday.wave) + 9 * rate // 10)
    assert torch.equal(made[between], wave[between])
    assert (made == wave).float().mean() > 0.3


def test_the_same_seed_gives_the_same_samples(friday: Clip) -> None:
    wave, rate = friday.wave[: 2 * friday.sample_rate], friday.sample_rate
    made = whisper(wave, rate, generator=drawn())
    assert torch.equal(made, whisper(wave, rate, generator=drawn()))
    assert not torch.equal(made, whisper(wave, rate, generator=drawn(2)))


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("count", [1, 7, 500, 12_345])
def test_length_shape_and_type_stay_at_every_rate(rate: int, count: int) -> None:
    wave = 0.1 * torch.randn(2, count, generator=drawn())
    made = whisper(wave, rate, generator=drawn())
    assert (made.shape, made.dtype) == (wave.shape, wave.dtype)
    assert torch.isfinite(made).all()


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100])
def test_a_voice_stays_where_it_is_between_the_channels(rate: int) -> None:
    t = torch.arange(rate) / rate
    voice = 0.1 * torch.stack([torch.sin(2 * torch.pi * 150 * k * t) / k for k in range(1, 9)])
    rows = torch.stack([voice.sum(dim=0), -0.4 * voice.sum(dim=0), torch.zeros(rate)])
    made = whisper(rows, rate, generator=drawn())
    assert torch.allclose(made[1], -0.4 * made[0], atol=1e-5)
    assert not made[2].any()
    # at a harmonic is no more than between two of them
    spectrum = torch.fft.rfft(made[0]).abs().square()
    for k in range(2, 8):
        at, between = spectrum[150 * k - 15 : 150 * k + 16], spectrum[150 * k + 60 : 150 * k + 91]
        assert at.mean() < 4 * between.mean()


def test_silence_stays_silence() -> None:
    silent = torch.zeros(24_000)
    assert torch.equal(whisper(silent, 24_000, generator=drawn()), silent)


def test_a_bad_wave_is_said(friday: Clip) -> None:
    with pytest.raises(ValueError, match="clip has 4000 Hz; allowed are 8000 to 192000"):
        whisper(friday.wave, 4_000, generator=drawn())
    with pytest.raises(ValueError, match="NaN or infinite"):
        whisper(torch.full((3000,), float("nan")), 24_000, generator=drawn())


@pytest.mark.parametrize("peak", [0.95, 1.0, 1.5])
def test_no_peak_is_above_full_scale_nor_the_loud_recordings(friday: Clip, peak: float) -> None:
    rate = friday.sample_rate
    wave = torch.tanh(2 * friday.wave / friday.wave.abs().max())  # as a compressor makes it
    wave = wave / wave.abs().max() * peak
    rows = torch.stack([wave, -0.5 * wave])
    made = whisper(rows, rate, generator=drawn())
    assert made.abs().max() <= max(0.99, peak)
    assert torch.allclose(made[1], -0.5 * made[0], atol=1e-5)
    quiet = whisper(0.1 * rows, rate, generator=drawn())
    # only the surroundings of the highest peaks are turned down
    same = (made[0] - 10 * quiet[0]).abs() < 1e-4
    assert 0.9 < same.float().mean() < 1
    assert loudness(made[:1], rate) == pytest.approx(loudness(rows[:1], rate), abs=1.0)
