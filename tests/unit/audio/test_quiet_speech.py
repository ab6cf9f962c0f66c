"""The trim keeps speech far under the loudest frame, and cuts silence as the release does."""

from __future__ import annotations

import pytest
import torch

from stepedit_core.audio.files import read_clip
from stepedit_core.audio.quiet_speech import quiet_speech, wide_bounds
from stepedit_core.audio.resample import resample
from stepedit_core.audio.trim import normalise_energy, speech_bounds, trim_silence
from stepedit_core.registry.registry import ASSETS
from tests.unit.conftest import voiced

RATE = 16_000


def noise(seconds: float, db: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 10 ** (db / 20) * torch.randn(int(seconds * RATE), generator=generator)


def spoken(fade_db: float, lead: float = 0.5, tail: float = 0.8) -> torch.Tensor:
    """Two seconds of buzz, the last 0.6 s of it quieter, in a room at -75 dB."""
    wave = voiced(2.0, RATE)
    wave[-int(0.6 * RATE) :] *= 10 ** (fade_db / 20)
    around = torch.nn.functional.pad(wave, (int(lead * RATE), int(tail * RATE)))
    return normalise_energy(around + noise(len(around) / RATE, -75))


def test_a_last_word_that_fades_out_is_kept() -> None:
    wave = spoken(-30)
    end = int(2.5 * RATE)
    assert speech_bounds(wave)[1] < end - int(0.5 * RATE)
    first, last, saved = wide_bounds(wave)
    assert first == speech_bounds(wave)[0]
    assert abs(last - end) < 0.06 * RATE
    assert saved == pytest.approx(0.6 - 0.22, abs=0.08)
    kept, start = trim_silence(wave, (first, last))
    assert start + len(kept) >= end


def test_a_first_word_that_fades_in_is_kept() -> None:
    wave = spoken(-30).flip(0)
    first, last, saved = wide_bounds(wave)
    assert abs(first - int(0.8 * RATE)) < 0.06 * RATE
    assert last == speech_bounds(wave)[1]
    assert saved > 0.4


@pytest.mark.parametrize("at", [0.1, 1.0, 3.2])
def test_one_loud_click_does_not_decide_what_is_speech(at: float) -> None:
    wave = 0.004 * spoken(0)
    wave[int(at * RATE)] = 1.0
    wave = normalise_energy(wave)
    first, last, saved = wide_bounds(wave)
    assert first < 0.56 * RATE
    assert last > 2.35 * RATE
    assert saved > 1.0


def test_a_whisper_that_fades_out_is_kept() -> None:
    wave = torch.cat([noise(0.5, -80), noise(1.2, -20, 1), noise(0.6, -48, 2), noise(0.8, -80, 3)])
    wave = normalise_energy(wave)
    assert wide_bounds(wave)[1] > 2.25 * RATE > speech_bounds(wave)[1]


@pytest.mark.parametrize(
    "wave",
    [
        spoken(0),
        torch.cat([noise(1.0, -60, 4), voiced(1.5, RATE), noise(1.0, -60, 5)]),
        torch.cat([torch.zeros(RATE), voiced(1.5, RATE), torch.zeros(RATE)]),
        voiced(1.0, RATE),
    ],
    ids=["room", "noise", "digital silence", "no silence"],
)
def test_silence_and_noise_are_cut_as_ever(wave: torch.Tensor) -> None:
    wave = normalise_energy(wave)
    assert wide_bounds(wave) == (*speech_bounds(wave), 0.0)


def test_mains_hum_is_not_speech() -> None:
    time = torch.arange(4 * RATE) / RATE
    hum = sum(10 ** (-k) * torch.sin(2 * torch.pi * 50 * k * time) for k in (1, 2, 3))
    wave = 0.01 * hum
    wave[RATE : int(2.5 * RATE)] += voiced(1.5, RATE)
    wave = normalise_energy(wave)
    assert wide_bounds(wave)[:2] == speech_bounds(wave)


def test_the_shipped_sample_is_trimmed_as_ever() -> None:
    clip = read_clip(ASSETS / "samples" / "walking_home.wav")
    wave = normalise_energy(resample(clip.wave, clip.sample_rate, RATE))
    assert wide_bounds(wave) == (*speech_bounds(wave), 0.0)


def test_a_wave_without_speech_has_none() -> None:
    assert quiet_speech(torch.zeros(RATE)) is None
    assert quiet_speech(torch.zeros(100)) is None
