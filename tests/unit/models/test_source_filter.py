"""Source-filter vocoder of nano, against formulas written out here; no other code computes it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stepedit_core.models.source_filter import (
    SourceFilter,
    SourceFilterConfig,
    fill_pitch,
    minimum_phase,
    pulse_train,
)

SMALL = SourceFilterConfig(channels=16, hidden=24, blocks=1, fine_blocks=1, f0_channels=8)


def small_model() -> SourceFilter:
    model = SourceFilter(SMALL).eval()
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1, generator=generator)
    return model


def test_pulses_are_the_sum_of_all_harmonics_below_half_the_rate() -> None:
    f0 = torch.tensor([[110.0, 131.0, 160.0, 300.0]])
    pulses = pulse_train(f0, sample_rate=24000, frame_samples=480)[0].double()
    middles = np.arange(4) * 480 + 239.5
    pitch = np.interp(np.arange(4 * 480), middles, f0[0].numpy())
    turns = np.cumsum(pitch / 24000)
    expected = np.empty(4 * 480)
    for n in range(4 * 480):
        count = math.floor(12000 / pitch[n])
        waves = np.cos(2 * np.pi * turns[n] * np.arange(1, count + 1))
        expected[n] = waves.sum() * math.sqrt(2 / count)
    # both run in float64; one rounding to float32 of a peak of 14
    torch.testing.assert_close(pulses, torch.from_numpy(expected), atol=3e-6, rtol=0)


def test_a_row_without_pitch_is_silent_and_has_no_neighbours_effect() -> None:
    f0 = torch.tensor([[0.0, 0.0, 0.0], [200.0, 200.0, 200.0]])
    pulses = pulse_train(f0, sample_rate=24000, frame_samples=480)
    assert pulses[0].abs().max() == 0
    assert pulses[1].square().mean() == pytest.approx(1.0, abs=0.1)


@given(st.lists(st.sampled_from([0.0, 90.0, 120.0, 250.0]), min_size=1, max_size=12))
def test_filled_pitch_is_linear_between_voiced_frames(values: list[float]) -> None:
    filled = fill_pitch(torch.tensor([values]), 45.0)[0].numpy()
    places = [i for i, v in enumerate(values) if v > 45]
    expected = (
        np.interp(np.arange(len(values)), places, [values[i] for i in places])
        if places
        else np.zeros(len(values))
    )
    np.testing.assert_allclose(filled, expected, rtol=1e-5)


def test_minimum_phase_of_a_one_pole_filter() -> None:
    """|1 / (1 - a z^-1)| has the phase of that filter, whose pole is inside the circle."""
    w = torch.arange(241) * math.pi / 240
    response = 1 / (1 - 0.8 * torch.exp(-1j * w))
    # the cepstrum of 480 places wraps: 0.8^480 is nothing; float32 transforms
    torch.testing.assert_close(
        minimum_phase(response.abs().log()), response.angle(), atol=3e-6, rtol=0
    )


def gains_by_hand(model: SourceFilter, mel: torch.Tensor) -> torch.Tensor:
    """The network with the interpolation written as a sum over mel frames."""
    c = model.config
    x = model.conv_in((mel - model.mel_mean[:, None]) / model.mel_std[:, None]).transpose(1, 2)
    for block in model.blocks:
        x = block(x)
    frames, ratio = mel.shape[-1], c.frame_samples // c.hop_samples
    rows = []
    for t in range(ratio * frames + 1):
        place = min(max(t / ratio - 0.5, 0.0), frames - 1.0)
        low = min(int(place), frames - 2)
        rows.append(x[:, low] + (x[:, low + 1] - x[:, low]) * (place - low))
    x = torch.stack(rows, 1)
    for block in model.fine_blocks:
        x = block(x)
    return model.out(model.norm(x))


@torch.no_grad()
def test_gains_lie_under_the_stft_frames() -> None:
    model = small_model()
    model.mel_mean.fill_(-6.0)
    model.mel_std.fill_(2.0)
    mel = torch.randn(2, 80, 7, generator=torch.Generator().manual_seed(1)) * 2 - 6
    gains, turn = model.gains(mel)
    torch.testing.assert_close(gains, gains_by_hand(model, mel), atol=1e-6, rtol=0)
    assert turn is None


@torch.no_grad()
def test_unit_gain_of_the_noise_gives_the_noise_back() -> None:
    model = small_model()
    model.out.weight.zero_()
    model.out.bias[:241] = -60.0  # no pulses
    model.out.bias[241:] = math.log(0.1)
    noise = torch.randn(1, 9 * 480, generator=torch.Generator().manual_seed(2))
    wave = model.decode(torch.zeros(1, 80, 9), torch.full((1, 9), 150.0), noise)
    torch.testing.assert_close(wave, noise * 0.1, atol=1e-5, rtol=0)


@torch.no_grad()
def test_gains_of_the_pulses_shape_them_alone() -> None:
    model = small_model()
    model.out.weight.zero_()
    model.out.bias[:241] = math.log(0.05)
    model.out.bias[241:] = -60.0
    f0 = torch.full((1, 9), 150.0)
    noise = torch.randn(1, 9 * 480, generator=torch.Generator().manual_seed(2))
    wave = model.decode(torch.zeros(1, 80, 9), f0, noise)
    pulses = pulse_train(f0, sample_rate=24000, frame_samples=480) * 0.05
    # a constant gain has minimum phase zero
    torch.testing.assert_close(wave, pulses.clamp(-0.99, 0.99), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_turn_of_half_a_circle_negates_the_pulses_and_leaves_the_noise() -> None:
    model = SourceFilter(replace(SMALL, phase=True)).eval()
    model.out.weight.zero_()
    model.out.bias.fill_(math.log(0.02))
    f0 = torch.full((1, 9), 150.0)
    noise = torch.randn(1, 9 * 480, generator=torch.Generator().manual_seed(2))
    pulses = pulse_train(f0, sample_rate=24000, frame_samples=480)
    for bias, sign in ((0.0, 1), (20.0, -1)):  # pi * tanh(20) is pi in float32
        model.turn.bias.fill_(bias)
        wave = model.decode(torch.zeros(1, 80, 9), f0, noise)
        torch.testing.assert_close(wave, 0.02 * (sign * pulses + noise), atol=1e-5, rtol=0)


@torch.no_grad()
def test_detail_puts_each_quarter_of_a_frame_where_it_belongs() -> None:
    model = SourceFilter(replace(SMALL, detail=True, fine_blocks=0)).eval()
    mel = torch.zeros(1, 80, 5)
    model.blocks = torch.nn.ModuleList()
    flat = model.gains(mel)[0]
    width = SMALL.channels
    # every frame speaks up in the third of its four STFT frames, in one channel
    model.detail.bias[2 * width] = 5.0
    changed = (model.gains(mel)[0] - flat).abs().amax(-1)[0] > 1e-6
    assert changed.nonzero()[:, 0].tolist() == [2, 6, 10, 14, 18]


@torch.no_grad()
def test_same_seed_same_wave_and_length() -> None:
    model = small_model()
    mel = torch.randn(1, 80, 11, generator=torch.Generator().manual_seed(3)) - 6
    first, second = (model(mel, generator=torch.Generator().manual_seed(4)) for _ in range(2))
    assert first.shape == (1, 11 * 480)
    assert torch.equal(first, second)
    other = model(mel, generator=torch.Generator().manual_seed(5))
    assert not torch.equal(first, other)
