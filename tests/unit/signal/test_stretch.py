"""Another speed: the length to the sample, the pitch as it was, at every rate and channel count."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from stepedit_core.measure.pitch import median_pitch_hz
from stepedit_core.signal.stretch import TEMPO, Backend, fit_seconds, stretch
from stepedit_core.types import Clip

BACKENDS: list[Backend] = ["wsola"]
if find_spec("python_stretch"):  # the extra `signal`; its own test below says what is without it
    BACKENDS.append("signalsmith")


def buzz(seconds: float, rate: int, hz: float = 150.0) -> Tensor:
    """Harmonics with four syllables a second."""
    t = torch.arange(int(seconds * rate)) / rate
    tone = sum(torch.sin(2 * torch.pi * hz * k * t) / k for k in range(1, 9))
    return 0.2 * tone * (0.55 + 0.45 * torch.sin(2 * torch.pi * 4 * t))


def bursts(rate: int, seconds: float = 3.0) -> Tensor:
    """A click-like burst of 50 ms in the middle of every second."""
    t = torch.arange(int(seconds * rate)) / rate
    return torch.sin(2 * torch.pi * 300 * t) * ((t % 1 - 0.5).abs() < 0.025)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("option", TEMPO)
def test_length_is_exact_and_pitch_stays(backend: Backend, rate: int, option: str) -> None:
    wave = buzz(1.5, rate)
    made = stretch(wave, rate, TEMPO[option], backend=backend)
    assert made.shape == (round(len(wave) / TEMPO[option]),)
    # half a sample of the period at this rate, and 1 % for the seams
    assert median_pitch_hz(Clip(wave=made, sample_rate=rate)) == pytest.approx(
        150, rel=0.01 + 0.6 * 150 / rate
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_tempo_1_is_the_same_wave(backend: Backend) -> None:
    wave = torch.randn(2, 9_001, generator=torch.Generator().manual_seed(0))
    assert torch.equal(stretch(wave, 24_000, 1.0, backend=backend), wave)
    assert torch.equal(fit_seconds(wave, 24_000, 9_001 / 24_000, backend=backend), wave)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("tempo", [0.5, 0.8, 1.25, 2.0])
def test_sounds_stay_where_they_belong(backend: Backend, tempo: float) -> None:
    rate = 16_000
    made = stretch(bursts(rate), rate, tempo, backend=backend).abs()
    for second in range(3):
        centre = int((second + 0.5) / tempo * rate)
        near = made[centre - rate // 8 : centre + rate // 8]
        at = float((near * torch.arange(len(near))).sum() / near.sum()) - rate // 8
        assert abs(at) < 0.035 * rate  # half a window of 40 ms, and the search of 15 ms
        assert float(near.max()) > 0.5


@pytest.mark.parametrize("backend", BACKENDS)
def test_both_channels_are_moved_alike(backend: Backend) -> None:
    left = buzz(1.0, 24_000)
    made = stretch(torch.stack([left, -0.5 * left]), 24_000, 1.25, backend=backend)
    assert made.shape == (2, 19_200)
    # a spectral method sums in float32: 2e-4 of a peak of 0.7 was seen
    torch.testing.assert_close(made[1], -0.5 * made[0], atol=1e-3, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seconds", [0.7, 1.333, 2.0])
def test_a_length_in_seconds_is_met_to_the_sample(backend: Backend, seconds: float) -> None:
    made = fit_seconds(buzz(1.0, 44_100), 44_100, seconds, backend=backend)
    assert made.shape == (round(seconds * 44_100),)


@pytest.mark.parametrize("backend", BACKENDS)
def test_silence_stays_silence_and_one_sample_is_no_trouble(backend: Backend) -> None:
    silent = stretch(torch.zeros(24_000), 24_000, 0.8, backend=backend)
    assert silent.shape == (30_000,)
    assert not silent.any()
    assert stretch(torch.ones(1), 24_000, 1.5, backend=backend).shape == (1,)


def test_the_level_of_a_steady_sound_stays() -> None:
    made = stretch(buzz(2.0, 24_000), 24_000, 1.25)
    before, after = buzz(2.0, 24_000).square().mean(), made.square().mean()
    assert float(after / before) == pytest.approx(1, abs=0.05)


def test_the_callers_wave_is_left_alone_and_type_and_shape_return() -> None:
    wave = buzz(1.0, 24_000).double()
    kept = wave.clone()
    made = stretch(wave, 24_000, 1.3)
    assert torch.equal(wave, kept)
    assert made.dtype == torch.float64
    assert stretch(wave[None], 24_000, 1.3).shape == (1, len(made))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda w: stretch(w, 24_000, 0.1), "tempo is 0.1; allowed are 0.25 to 4"),
        (lambda w: stretch(w, 24_000, float("nan")), "tempo is nan"),
        (lambda w: stretch(w, 24_000, 2.0, backend="rubber"), "backend is 'rubber'; allowed are"),
        (lambda w: fit_seconds(w, 24_000, 9.0), "a clip of 1.00 s fits 0.25 to 4.00 s"),
        (lambda w: stretch(w, 4_000, 2.0), "clip has 4000 Hz; allowed are"),
        (lambda w: stretch(w[:0], 24_000, 2.0), "0 samples"),
        (lambda w: stretch(w[None, None], 24_000, 2.0), "3 dimensions"),
        (lambda w: stretch(w / 0, 24_000, 2.0), "NaN or infinite"),
    ],
)
def test_what_cannot_be_done_is_said(call, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call(torch.ones(24_000))


def test_an_absent_backend_names_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_stretch", None)
    with pytest.raises(ValueError, match='-m pip install "python-stretch"'):
        stretch(torch.ones(24_000), 24_000, 2.0, backend="signalsmith")
