"""A mel becomes a wave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stepedit_core.models.bigvgan import BigVGANConfig
from stepedit_core.models.source_filter import SourceFilterConfig
from stepedit_core.pipelines.vocode import vocode
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import (
    Draws,
)
from tests import tiny_bundle
from tests.edits import written


def test_a_mel_frame_becomes_480_samples_at_24_khz(bundle: Bundle):
    clip = vocode(bundle, torch.zeros(80, 12), draws=Draws(seed=1))
    assert clip.wave.shape == (12 * 480,)
    assert clip.sample_rate == 24_000
    assert clip.wave.dtype == torch.float32


def test_the_vocoder_draws_from_seed_and_round(bundle: Bundle):
    mel = torch.zeros(80, 6)
    first = vocode(bundle, mel, draws=Draws(seed=1)).wave
    assert torch.equal(first, vocode(bundle, mel, draws=Draws(seed=1)).wave)
    assert not torch.equal(first, vocode(bundle, mel, draws=Draws(seed=2)).wave)
    assert not torch.equal(first, vocode(bundle, mel, draws=Draws(seed=1, round=2)).wave)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("bigvgan", BigVGANConfig(base_channels=64, resblock_kernels=(3,), dilations=(1,))),
        (
            "source_filter",
            SourceFilterConfig(channels=16, hidden=16, blocks=1, fine_blocks=1, f0_channels=8),
        ),
    ],
)
def test_a_bundle_may_hold_another_vocoder_than_hift(tmp_path: Path, kind: str, config: object):
    about = tiny_bundle.manifest("big", scorer=False)
    about = replace(about, vocoder=kind, components={**about.components, "vocoder": config})
    handle = written(tmp_path, about)
    mel = torch.randn(80, 6, generator=torch.Generator().manual_seed(0))
    made = vocode(handle, mel, draws=Draws(seed=1))
    assert made.wave.shape == (6 * 480,)
    assert float(made.wave.abs().max()) > 0
