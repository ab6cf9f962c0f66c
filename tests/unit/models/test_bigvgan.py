"""The BigVGAN vocoder against the official class and NVIDIA's package."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stepedit_core.models.bigvgan import AliasFree, BigVGAN, BigVGANConfig, sinc_taps
from tests.golden import capture_decoder as capture

# float32 sums in another order; the wave is of size 0.2 to 0.6
WAVE = {"atol": 2e-6, "rtol": 0.0}


def seeded(config: BigVGANConfig) -> BigVGAN:
    model = BigVGAN(config).eval()
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    weights = capture.seeded_state(shapes, capture.SEED)
    state = model.state_dict() | {k: torch.from_numpy(v) for k, v in weights.items()}
    model.load_state_dict(state)
    return model.requires_grad_(False)


def golden(name: str) -> Tensor:
    return torch.from_numpy(np.load(capture.HERE / f"decoder_{name}.npz")["wave"])


def mel_input(channels: int) -> Tensor:
    return torch.from_numpy(capture.normal(capture.SEED + 1, 1, channels, capture.FRAMES))


def test_the_wave_equals_the_official_class_on_a_mel_reflected_by_three_frames() -> None:
    model = seeded(BigVGANConfig(**capture.BIGVGAN))
    torch.testing.assert_close(model(mel_input(80)), golden("bigvgan"), **WAVE)


def test_the_wave_with_zero_edges_equals_the_class_of_nvidia() -> None:
    model = seeded(BigVGANConfig(**capture.NVIDIA, edge="constant"))
    got = model(mel_input(capture.NVIDIA["mel"]))
    torch.testing.assert_close(got, golden("nvidia"), **WAVE)
    edged = seeded(BigVGANConfig(**capture.NVIDIA))(mel_input(capture.NVIDIA["mel"]))
    assert (edged - got).abs().max() > 1e-3


def test_the_783_raw_tensors_fall_by_one_for_each_folded_weight() -> None:
    model = BigVGAN(BigVGANConfig(**capture.BIGVGAN))  # the count does not depend on the width
    convolutions = [n for n, p in model.named_parameters() if p.dim() == 3]
    assert len(convolutions) == 1 + 6 + 18 * 6 + 1
    assert len(model.state_dict()) == 783 - len(convolutions)


def test_the_taps_sum_to_one_and_are_symmetric() -> None:
    taps = sinc_taps()
    assert taps.sum() == pytest.approx(1.0, abs=1e-6)
    torch.testing.assert_close(taps, taps.flip(0), atol=1e-7, rtol=0)


def test_a_constant_passes_the_anti_aliasing_up_to_the_edges() -> None:
    layer = AliasFree(2).requires_grad_(False)
    layer.act.alpha.copy_(torch.tensor([0.2, -0.3]))
    layer.act.beta.copy_(torch.tensor([-0.1, 0.4]))
    x = torch.tensor([0.7, -1.3])[None, :, None].expand(1, 2, 9)
    want = x + (torch.sin(layer.act.alpha.exp()[:, None] * x) ** 2 / layer.act.beta.exp()[:, None])
    # each phase of the filter sums to 0.5 up to 1e-4 of stop-band leakage
    torch.testing.assert_close(layer(x), want, atol=2e-3, rtol=0)


def test_every_parameter_is_trained_and_training_gives_the_same_wave() -> None:
    model = seeded(BigVGANConfig(**capture.BIGVGAN)).requires_grad_(True)
    with torch.no_grad():
        quiet = model(mel_input(80))
    wave = model(mel_input(80))
    torch.testing.assert_close(wave.detach(), quiet, **WAVE)
    wave.square().sum().backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_a_frame_is_480_samples() -> None:
    model = seeded(BigVGANConfig(base_channels=64))
    assert model(torch.zeros(2, 80, 5)).shape == (2, 2400)
