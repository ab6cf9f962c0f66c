"""The layers that learn in the vocoder's recipe are the layers that ship, written differently."""

import pytest

pytest.importorskip("scipy", reason="the recipe needs scipy")

import torch

from recipes.nano.train_hift import fold, folded, unfold
from stepedit_core.models.hift import HiFT, HiFTConfig

SIZES = {
    "base_channels": 32,
    "f0_channels": 16,
    "resblock_kernels": [3],
    "source_kernels": [3, 3, 3],
    "dilations": [1],
}


@pytest.fixture
def vocoder() -> HiFT:
    generator = torch.Generator().manual_seed(0)
    model = HiFT(
        HiFTConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in SIZES.items()})
    )
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1, generator=generator)
    return model


@torch.no_grad()
def test_unfolding_and_folding_keep_the_wave(vocoder: HiFT) -> None:
    generator = torch.Generator().manual_seed(1)
    mel = torch.randn(1, 80, 12, generator=generator) * 2 - 6
    noise = torch.randn(1, 9, 12 * 480, generator=generator)
    source = vocoder.source(torch.full((1, 12), 120.0), noise)
    plain = vocoder.decode(mel, source)
    assert plain.std() > 0.01
    mean = torch.randn(80, generator=generator) - 6
    std = torch.rand(80, generator=generator) + 2
    unfold(vocoder, mean, std)
    learning = {name: weight.clone() for name, weight in vocoder.state_dict().items()}
    # float32 sums in another order: a few units of the last place of a wave below 1
    torch.testing.assert_close(vocoder.decode(mel, source), plain, atol=2e-5, rtol=0)
    fold(vocoder)
    torch.testing.assert_close(vocoder.decode(mel, source), plain, atol=2e-5, rtol=0)
    for name, weight in folded(SIZES, learning).items():
        assert torch.equal(weight, vocoder.state_dict()[name]), name


def test_the_mix_of_channels_learns_apart_from_the_taps(vocoder: HiFT) -> None:
    unfold(vocoder, torch.zeros(80), torch.ones(80))
    up = vocoder.ups[0]
    up.taps.data.zero_()
    up.bias.data.zero_()
    constant = up(torch.ones(1, 32, 9))[..., 16:-16]
    # linear interpolation of a constant is that constant at every place: no buzz of the frame rate
    torch.testing.assert_close(constant, constant[..., :1].expand_as(constant), atol=1e-5, rtol=0)
