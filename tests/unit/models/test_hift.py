"""The HiFT vocoder against the official module and against written-out formulas."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from stepedit_core.models.hift import HiFT, HiFTConfig, harmonic_sines, snake
from tests.golden import capture_decoder as capture

# float32 sums in another order; the wave is of size 0.2
WAVE = {"atol": 1e-6, "rtol": 0.0}


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    data = np.load(capture.HERE / "decoder_hift.npz")
    return {name: torch.from_numpy(data[name]) for name in data.files}


def seeded(seed: int) -> HiFT:
    hift = HiFT(HiFTConfig(**capture.HIFT)).eval()
    shapes = {name: tuple(value.shape) for name, value in hift.state_dict().items()}
    weights = capture.seeded_state(shapes, seed)
    hift.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return hift


@pytest.fixture(scope="module")
def model() -> HiFT:
    return seeded(capture.SEED).requires_grad_(False)


@pytest.fixture(scope="module")
def mel() -> Tensor:
    return torch.from_numpy(capture.normal(capture.SEED + 1, 1, 80, capture.FRAMES))


@pytest.fixture(scope="module")
def noise() -> Tensor:
    return torch.from_numpy(capture.normal(capture.SEED + 2, 1, 9, 480 * capture.FRAMES))


def track(frames: int) -> Tensor:
    return torch.from_numpy(capture.pitch_track(frames))


def released_shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    """The 246 tensors of hift.pt after folding, as spec 9.1 and 11.3 list them."""

    def conv(name: str, *shape: int, out: int | None = None) -> Iterator[tuple[str, tuple]]:
        yield f"{name}.weight", shape
        yield f"{name}.bias", (out or shape[0],)

    def block(name: str, channels: int, kernel: int) -> Iterator[tuple[str, tuple]]:
        for group in (1, 2):
            for index in range(3):
                yield from conv(f"{name}.convs{group}.{index}", channels, channels, kernel)
                yield f"{name}.activations{group}.{index}.alpha", (channels,)

    for index in (0, 2, 4, 6, 8):
        yield from conv(f"f0_predictor.condnet.{index}", 512, 512 if index else 80, 3)
    yield from conv("f0_predictor.classifier", 1, 512)
    yield from conv("m_source.l_linear", 1, 9)
    yield from conv("conv_pre", 512, 80, 7)
    sizes = ((256, 16, 30, 7), (128, 11, 6, 7), (64, 7, 1, 11))
    for stage, (channels, kernel, down, source) in enumerate(sizes):
        yield from conv(f"ups.{stage}", 2 * channels, channels, kernel, out=channels)
        yield from conv(f"source_downs.{stage}", channels, 18, down)
        yield from block(f"source_resblocks.{stage}", channels, source)
        for index, width in enumerate((3, 7, 11)):
            yield from block(f"resblocks.{3 * stage + index}", channels, width)
    yield from conv("conv_post", 18, 64, 7)


def test_the_release_config_has_the_246_folded_tensors_of_hift_pt() -> None:
    with torch.device("meta"):
        own = HiFT().state_dict()
    listed = dict(released_shapes())
    assert len(listed) == 246
    assert {name: tuple(value.shape) for name, value in own.items()} == listed


def test_the_pitch_equals_the_official_one(
    model: HiFT, golden: dict[str, Tensor], mel: Tensor
) -> None:
    # sums of float32 products of size 100 Hz, rounded in another order: 1e-6 of the value
    torch.testing.assert_close(model.f0_predictor(mel), golden["f0"], atol=1e-4, rtol=0)


def test_the_source_equals_the_official_one(
    model: HiFT, golden: dict[str, Tensor], noise: Tensor
) -> None:
    # the official phase is a float32 sum of up to 600 rad, whose last digit is 6e-5 rad
    torch.testing.assert_close(
        model.source(track(capture.FRAMES), noise), golden["source"], atol=3e-5, rtol=0
    )


def test_five_seconds_of_source_equal_the_official_module_run_in_float64(
    model: HiFT, golden: dict[str, Tensor]
) -> None:
    frames = capture.LONG_FRAMES
    got = model.source(track(frames), torch.zeros(1, 9, 480 * frames))[..., ::16]
    # one float32 rounding of a phase below 55 turns: 4e-6 turns, times 2 pi 0.1 and mixing
    torch.testing.assert_close(got, golden["long_source_every_16th"], atol=3e-6, rtol=0)
    # the official float32 sum is off by far more, which is why ours runs in float64
    assert golden["official_float32_drift"] > 1e-4


def test_the_wave_of_a_given_source_equals_the_official_one(
    model: HiFT, golden: dict[str, Tensor], mel: Tensor
) -> None:
    got = model.decode(mel, golden["source"])
    torch.testing.assert_close(got, golden["wave_of_source"], **WAVE)


def test_the_whole_wave_equals_the_official_one(
    model: HiFT, golden: dict[str, Tensor], mel: Tensor, noise: Tensor
) -> None:
    got = model.decode(mel, model.source(model.f0_predictor(mel), noise))
    # the float32 phase of the official source, passed through the filter
    torch.testing.assert_close(got, golden["wave"], atol=3e-5, rtol=0)


def test_the_sines_follow_the_formula_sample_by_sample() -> None:
    f0 = track(9).double()
    got = harmonic_sines(f0, harmonics=3, sample_rate=24000, frame_samples=480)
    for h in (1, 2, 3):
        turns = np.cumsum(h * f0[0].numpy() / 24000 % 1) * 480
        middle = np.arange(9) * 480 + 239.5
        phase = np.interp(np.arange(9 * 480), middle, turns)
        np.testing.assert_allclose(got[0, h - 1], np.sin(2 * np.pi * phase), atol=3e-5)


def test_unvoiced_frames_hold_louder_noise_and_no_sines(model: HiFT) -> None:
    f0 = torch.tensor([[0.0, 10.0, 10.5]])
    noise = torch.from_numpy(capture.normal(1, 1, 9, 1440))
    quiet = torch.zeros_like(noise)
    base = torch.tanh(model.m_source.l_linear.bias)
    silent = model.source(f0, quiet)
    assert torch.equal(silent[..., :960], base.expand(1, 1, 960))  # 10 Hz is not above 10 Hz
    assert (silent[..., 960:] - base).abs().max() > 1e-3
    weight = model.m_source.l_linear.weight
    want = torch.tanh(weight @ (noise[..., :960] * (0.1 / 3)) + model.m_source.l_linear.bias)
    torch.testing.assert_close(model.source(f0, noise)[..., :960], want, **WAVE)


def test_equal_seeds_give_equal_waves_and_other_seeds_do_not(model: HiFT, mel: Tensor) -> None:
    first, again, other = (
        model(mel, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (1, 480 * capture.FRAMES)


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_a_frame_is_480_samples_within_the_limit(model: HiFT, frames: int) -> None:
    mel = 9 * torch.from_numpy(capture.normal(frames, 2, 80, frames))
    wave = model(mel, generator=torch.Generator().manual_seed(1))
    assert wave.shape == (2, 480 * frames)
    assert wave.abs().max() <= 0.99
    assert torch.isfinite(wave).all()


def test_rows_of_a_batch_do_not_meet(model: HiFT, mel: Tensor, noise: Tensor) -> None:
    both = model.decode(
        torch.cat((mel, -mel)), model.source(track(capture.FRAMES).expand(2, -1), noise)
    )
    alone = model.decode(-mel, model.source(track(capture.FRAMES), noise))
    torch.testing.assert_close(both[1:], alone, **WAVE)


def test_snake_has_the_gradient_of_its_formula() -> None:
    x = torch.from_numpy(capture.normal(1, 2, 3, 5)).double()[:, :, None].requires_grad_()
    alpha = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    rate = alpha[:, None, None]
    want = x + torch.sin(rate * x) ** 2 / (rate + 1e-9)
    torch.testing.assert_close(snake(x, alpha), want)
    assert torch.autograd.gradcheck(snake, (x, alpha))


def test_the_wave_trains_all_but_the_pitch_and_the_pitch_trains_itself(
    mel: Tensor, noise: Tensor
) -> None:
    hift = seeded(7)
    f0 = hift.f0_predictor(mel)
    hift.decode(mel, hift.source(f0, noise)).square().sum().backward()
    idle = {name for name, p in hift.named_parameters() if p.grad is None or not p.grad.any()}
    assert idle == {n for n, _ in hift.named_parameters() if n.startswith("f0_predictor.")}
    f0.sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in hift.f0_predictor.parameters())


def test_the_result_has_the_dtype_of_the_weights(mel: Tensor) -> None:
    hift = seeded(7).bfloat16()
    with torch.no_grad():
        wave = hift(mel.bfloat16(), generator=torch.Generator().manual_seed(1))
    assert wave.dtype == torch.bfloat16
    assert torch.isfinite(wave).all()
