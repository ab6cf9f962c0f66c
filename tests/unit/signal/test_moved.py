"""A wave that is moved: what changes, and what must not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from stepedit_core.audio.mel import mel_centres, mel_filters, prompt_mel
from stepedit_core.signal import moved as module
from stepedit_core.signal.moved import Move
from stepedit_core.signal.periodicity import periodicity
from stepedit_core.signal.pitch_marks import pitch_track

RATE = 24_000
FRAMES = 100
FORMANTS = np.array([600.0, 1200.0, 2500.0])


def vowel(hertz: float = 130.0, seconds: float = 2.0, formants: float = 1.0) -> Tensor:
    """Harmonics under resonances at 600, 1,200 and 2,500 Hz, times a factor."""
    place = np.arange(round(seconds * RATE)) / RATE
    wave = np.zeros_like(place)
    for k in range(1, int(4000 / hertz)):
        loud = sum(1 / (1 + ((k * hertz - f) / 80) ** 2) for f in FORMANTS * formants)
        wave += loud * np.cos(2 * np.pi * k * hertz * place)
    return torch.from_numpy(0.1 * wave).float()


def noise(count: int) -> Tensor:
    return 0.05 * torch.randn(count, generator=torch.Generator().manual_seed(3))


def move(
    places: np.ndarray | None = None, pitch: float = 1.0, change: Tensor | None = None
) -> Move:
    places = np.arange(float(FRAMES)) if places is None else places
    count = len(places)
    change = torch.zeros(80, count) if change is None else change
    return Move(places=places, pitch=np.full(count, pitch), change=change)


def moved(wave: Tensor, rate: int, move: Move) -> Tensor:
    """One channel."""
    return module.moved(wave[None], rate, move)[0]


def pitch_of(wave: Tensor) -> float:
    heard = pitch_track(wave, RATE)
    return float(np.median(heard[heard > 0]))


def test_what_is_not_moved_keeps_its_samples() -> None:
    wave = vowel()
    assert torch.equal(moved(wave, RATE, move()), wave[: 480 * FRAMES])
    later = moved(wave, RATE, move(np.arange(40.0) + 7))
    assert torch.equal(later, wave[480 * 7 : 480 * 47])


def test_before_and_after_the_wave_there_is_silence() -> None:
    wave = vowel()
    made = moved(wave, RATE, move(np.arange(FRAMES + 10.0) - 5))
    assert torch.equal(made, torch.nn.functional.pad(wave, (2400, 2400)))
    made = moved(wave, RATE, move(np.arange(FRAMES + 10.0) - 5, pitch=1.1))
    assert not made[:2000].any()
    assert not made[-2000:].any()
    assert not moved(wave, RATE, move(np.arange(10.0) + 500)).any()


def test_taken_apart_and_laid_again_it_is_the_same() -> None:
    wave = torch.cat([noise(9600), vowel(seconds=1.2), noise(9600)])
    still = np.arange(480.0 * FRAMES)
    marks = module.pitch_marks(wave, RATE)
    laid = module._laid(wave[None], RATE, marks, still, np.ones_like(still))
    # a mark lies between samples: within a quarter of one, of waves below 0.5
    assert float((laid - wave).abs().max()) < 2e-3


@pytest.mark.parametrize("factor", [0.75, 0.9, 1.15, 1.4])
def test_the_pitch_moves_and_the_formants_do_not(factor: float) -> None:
    wave = vowel()
    made = moved(wave, RATE, move(pitch=factor))
    assert pitch_of(made) == pytest.approx(130 * factor, rel=0.01)
    power = 10 * torch.log10(made.square().mean() / wave.square().mean())
    assert abs(float(power)) < 1
    # beside the same formants at that pitch, and at the formants that would move with it
    kept, shifted = vowel(130 * factor), vowel(130 * factor, formants=factor)
    one, two, three = (prompt_mel(w)[:, 20:80].mean(1) for w in (made, kept, shifted))
    near = (mel_centres() > 300) & (mel_centres() < 3000)
    apart = [float((one - w)[near].abs().mean()) for w in (two, three)]
    assert apart[0] < 0.5 * apart[1]


@pytest.mark.parametrize("pace", [0.7, 1.5])
def test_the_time_moves_and_the_pitch_does_not(pace: float) -> None:
    wave = torch.cat([vowel(110, 1.0), vowel(165, 1.0)])
    places = np.arange(0, FRAMES - 1, pace)
    made = moved(wave, RATE, move(places))
    assert len(made) == 480 * len(places)
    heard = pitch_track(made, RATE)
    border = round(50 / pace * 480 / 120)
    assert np.median(heard[: border - 20]) == pytest.approx(110, rel=0.01)
    assert np.median(heard[border + 20 : -20]) == pytest.approx(165, rel=0.01)


def test_a_held_pause_does_not_hum() -> None:
    wave = noise(480 * FRAMES)
    places = np.concatenate([np.arange(50.0), np.full(100, 50.0), np.arange(50.0, FRAMES)])
    made = moved(wave, RATE, move(places))[480 * 60 : 480 * 140]
    alike = periodicity(made, RATE, 120, 300).alike.amax(1)
    own = periodicity(wave, RATE, 120, 300).alike.amax(1)
    assert float(alike[20:280].mean()) < float(own[20:280].mean()) + 0.1
    assert float(made.square().mean()) == pytest.approx(float(wave.square().mean()), rel=0.2)


def test_a_band_is_raised_by_the_change() -> None:
    wave = noise(480 * FRAMES)
    change = torch.zeros(80, FRAMES)
    change[40:, 50:] = 0.8
    made = moved(wave, RATE, move(change=change))
    moved_by = prompt_mel(made) - prompt_mel(wave)
    # the mel's frame of 80 ms, the spectra's of 40 ms and the curve of 3 bands blur its edges
    assert float(moved_by[55:, 55:95].mean()) == pytest.approx(0.8, abs=0.02)
    assert float(moved_by[:25, 55:95].abs().mean()) < 0.02
    assert float(moved_by[:, 5:45].abs().mean()) < 0.02


def test_a_change_of_single_bands_is_the_pitchs_and_not_the_colours() -> None:
    change = torch.zeros(80, FRAMES)
    change[::2] = 1.0
    change[1::2] = -1.0
    made = moved(noise(480 * FRAMES), RATE, move(change=change))
    assert float((prompt_mel(made) - prompt_mel(noise(480 * FRAMES))).abs().mean()) < 0.1


def test_a_change_of_single_sounds_is_none_of_colour() -> None:
    change = torch.zeros(80, FRAMES)
    for frame in range(0, FRAMES, 8):  # 80 ms up, 80 ms down
        change[:, frame : frame + 4] = 1.0
        change[:, frame + 4 : frame + 8] = -1.0
    made = moved(noise(480 * FRAMES), RATE, move(change=change))
    assert float((prompt_mel(made) - prompt_mel(noise(480 * FRAMES)))[:, 20:80].abs().mean()) < 0.1


def test_no_band_is_raised_without_limit_and_no_peak_is_cut() -> None:
    wave = vowel() / float(vowel().abs().max())
    made = moved(wave, RATE, move(change=torch.full((80, FRAMES), 5.0)))
    assert float(made.abs().max()) <= 1.0
    quiet = moved(0.01 * wave, RATE, move(change=torch.full((80, FRAMES), 5.0)))
    assert float(quiet.abs().max()) == pytest.approx(0.01 * np.exp(module.MOST), rel=0.1)


def test_after_a_part_that_was_moved_the_samples_are_its_own_again() -> None:
    wave = torch.cat([vowel(seconds=0.8), noise(9600), vowel(200, 0.8)])
    places = np.concatenate([np.arange(0, 30, 1.25), np.arange(30.0, FRAMES)])
    made = moved(wave, RATE, move(places))
    later = 480 * (len(places) - 45)
    np.testing.assert_allclose(made[later:].numpy(), wave[480 * 55 : 480 * 100].numpy(), atol=2e-3)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 11_025, 96_000])
def test_every_rate_has_frames_of_20_ms(rate: int) -> None:
    wave = torch.nn.functional.interpolate(vowel()[None, None], rate * 2, mode="linear")[0]
    places = np.arange(80.0) * 1.2
    change = torch.full((80, 80), 0.3)
    pitch = np.full(80, 1.2)
    made = module.moved(wave, rate, Move(places, pitch, change, frame=rate / 50))
    assert made.shape == (1, round(80 * rate / 50))
    heard = pitch_track(made[0], rate)
    assert np.median(heard[heard > 0]) == pytest.approx(130 * 1.2, rel=0.01)
    power = made.square().mean() / wave.square().mean()
    assert float(power) == pytest.approx(np.exp(0.6), rel=0.15)


def test_channels_are_moved_alike() -> None:
    rows = torch.stack([vowel(), 0.5 * vowel(), -vowel(), torch.zeros(48_000)])
    made = module.moved(rows, RATE, move(np.arange(0, 90, 0.9), pitch=1.2))
    assert made.shape == (4, 480 * 100)
    torch.testing.assert_close(made[1], 0.5 * made[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(made[2], -made[0], atol=1e-6, rtol=0)
    assert not made[3].any()


def test_an_offset_is_no_tone() -> None:
    made = moved(0.1 * vowel(), RATE, move(pitch=0.7))
    lifted = moved(0.1 * vowel() + 0.05, RATE, move(pitch=0.7))
    np.testing.assert_allclose((lifted - 0.05).numpy(), made.numpy(), atol=1e-3)


def test_silence_stays_silence() -> None:
    change = torch.ones(80, FRAMES)
    assert not moved(torch.zeros(48_000), RATE, move(pitch=1.2, change=change)).any()


def test_the_middles_of_the_bands_are_those_of_their_filters() -> None:
    filters = mel_filters(RATE, 1920, 80, 0.0, 8000.0)
    hz = torch.linspace(0, RATE / 2, 961, dtype=torch.float64)
    top = hz[filters.argmax(1)]
    assert float((top - mel_centres()).abs().max()) < 2 * float(hz[1])
    assert all(a < b for a, b in pairwise(mel_centres().tolist()))
