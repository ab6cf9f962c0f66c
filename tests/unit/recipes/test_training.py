"""What the stages of a recipe share: the rate by the clock and weights of an older model."""

import pytest
import torch
from torch import nn

from recipes.nano.spectral import (
    heard_bins,
    loudness,
    resolutions,
    spectra,
    spectral_distance,
)
from recipes.nano.training import load_grown, timed_rate


@pytest.mark.parametrize(
    ("spent", "share"),
    [(0.01, 0.5), (0.02, 1.0), (0.66, 1.0), (5 / 6, 0.51), (1.0, 0.02), (1.2, 0.02)],
)
def test_timed_rate_falls_to_two_hundredths_in_the_last_third(spent: float, share: float) -> None:
    assert timed_rate(spent, peak=3e-4, warmup=0.02) == pytest.approx(3e-4 * share)


def test_layers_that_older_weights_lack_must_change_nothing() -> None:
    old = nn.ModuleDict({"a": nn.Linear(2, 2)})
    grown = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    with pytest.raises(ValueError, match=r"do not fit: b\.weight, b\.bias"):
        load_grown(grown, old.state_dict())
    for weight in grown["b"].parameters():
        nn.init.zeros_(weight)
    load_grown(grown, old.state_dict())
    assert torch.equal(grown["a"].weight, old["a"].weight)
    with pytest.raises(ValueError, match=r"do not fit: b\.weight"):
        load_grown(old, grown.state_dict())


def test_what_lies_above_a_narrow_recording_is_not_compared() -> None:
    stfts = resolutions()
    time = torch.arange(9600) / 24_000
    low = 0.01 * torch.randn(9600, generator=torch.Generator().manual_seed(0))
    fade = torch.hann_window(9600)  # an abrupt end would be heard at all frequencies
    high = low + 0.1 * fade * torch.sin(2 * torch.pi * 10_000 * time)
    one, other = spectra(low[None], stfts), spectra(high[None], stfts)
    narrow, wide = torch.tensor([False]), torch.tensor([True])
    assert heard_bins(narrow, 480).sum() == 150  # 7.5 kHz in steps of 50 Hz
    everything, below = (loudness(one, clips, stfts, 0.0) for clips in (wide, narrow))
    assert spectral_distance(one, one, everything, stfts) == 0
    near = spectral_distance(one, other, below, stfts)
    assert near < 0.02 * spectral_distance(one, other, everything, stfts)


def test_loudness_weighs_words_above_the_noise_between_them() -> None:
    stfts = resolutions()
    wave = 0.001 * torch.randn(1, 9600, generator=torch.Generator().manual_seed(0))
    wave[:, 4800:] *= 300
    natural = spectra(wave, stfts)
    for even, loud in zip(
        *(loudness(natural, torch.tensor([True]), stfts, power) for power in (0.0, 0.3)),
        strict=True,
    ):
        half = even.shape[-1] // 2
        assert torch.equal(even, torch.ones_like(even))
        assert loud.mean() == pytest.approx(1.0, abs=1e-5)
        assert loud[..., half + 5 :].mean() > 3 * loud[..., : half - 5].mean()
