"""Pictures, against tones and against what a reader must find in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch

from stepedit_core.audio.mel import prompt_mel

Load = Callable[[str], ModuleType]
RATE = 24_000


def buzz(hz: float, seconds: float = 1.0, rate: int = RATE) -> torch.Tensor:
    t = torch.arange(int(seconds * rate)) / rate
    return 0.2 * sum(torch.sin(2 * math.pi * hz * k * t) / k for k in range(1, 9))


def test_the_colours_grow_lighter_all_the_way(pack_module: Load) -> None:
    colours = pack_module("picture").colour_map().astype(float) / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > -1e-3).all()  # bytes are rounded
    assert luminance[0] < 0.02
    assert luminance[-1] > 0.75


@pytest.mark.parametrize("hz", [500.0, 1000.0, 4000.0])
def test_a_tone_is_brightest_in_the_band_where_the_axis_says(pack_module: Load, hz: float) -> None:
    t = torch.arange(RATE) / RATE
    mel = prompt_mel(0.5 * torch.sin(2 * math.pi * hz * t))
    brightest = int(mel.mean(dim=1).argmax())
    assert brightest == pytest.approx(pack_module("picture").mel_place(hz), abs=0.8)


def test_a_mel_picture_is_an_image_with_every_frame_inside(pack_module: Load) -> None:
    image = pack_module("picture").mel_picture(prompt_mel(buzz(200, 6.0)))
    assert image.dtype == torch.float32
    assert image.shape[0] == 1
    assert image.shape[3] == 3
    assert image.shape[2] >= 600
    assert 0 <= float(image.min()) <= float(image.max()) <= 1


def test_a_chart_shows_one_dot_for_each_number(pack_module: Load) -> None:
    picture = pack_module("picture")

    def dots(image: torch.Tensor, ink: tuple[int, int, int]) -> int:
        plot = (image[0] * 255).round()[34:334, 65:623]
        return int((plot == torch.tensor(ink)).all(dim=-1).sum())

    one = picture.rounds_chart([None, 5.0], [None, None])
    two = picture.rounds_chart([None, 5.0, None, 7.0], [None, None, None, None])
    assert dots(one, picture.SCORE_INK) > 50
    assert dots(two, picture.SCORE_INK) == pytest.approx(2 * dots(one, picture.SCORE_INK), rel=0.1)
    assert dots(one, picture.PITCH_INK) == 0
    assert dots(picture.rounds_chart([None], [180.0]), picture.PITCH_INK) > 50
