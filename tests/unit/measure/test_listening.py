"""How loud a round is, and where it says what the input says."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from stepedit_core.measure.listening import loudness_db, places
from stepedit_core.types import Clip, DualCodes, Round
from tests.rounds import finished

RATE = 24_000


def tone(seconds: float, level: float) -> torch.Tensor:
    return level * torch.sin(2 * torch.pi * 200 * torch.arange(int(seconds * RATE)) / RATE)


def clip(*waves: torch.Tensor) -> Clip:
    return Clip(wave=torch.cat(waves), sample_rate=RATE)


@pytest.fixture(scope="module")
def bundle() -> Any:
    """Codebooks alone."""
    draw = torch.Generator().manual_seed(1)
    books = [torch.randn(size, 16, generator=draw) for size in (1024, 4096)]
    return SimpleNamespace(
        linguistic=SimpleNamespace(codebook=books[0]),
        semantic=SimpleNamespace(codebook=books[1]),
        once=lambda _, make: make(),
    )


def spoken(groups: torch.Tensor) -> Round:
    """A round whose 120 ms groups say these things, one number each."""
    two, three = groups.repeat_interleave(2), groups.repeat_interleave(3)
    codes = DualCodes(linguistic=two, semantic=three, codebook="a")
    return replace(finished("happy", 1.0, seconds=codes.seconds), codes=codes)


def test_half_the_amplitude_is_6_db_less() -> None:
    loud, soft = loudness_db(clip(tone(2, 0.5))), loudness_db(clip(tone(2, 0.25)))
    assert loud is not None
    assert soft is not None
    assert loud - soft == pytest.approx(6.02, abs=0.01)
    assert loud == pytest.approx(-9.03, abs=0.05)  # the mean square of a sine is half its peak's


def test_a_pause_makes_nobody_quieter() -> None:
    alone, spaced = (
        loudness_db(clip(tone(2, 0.5))),
        loudness_db(clip(tone(2, 0.5), torch.zeros(4 * RATE))),
    )
    assert alone == pytest.approx(spaced, abs=0.01)


@pytest.mark.parametrize("wave", [torch.zeros(RATE), torch.zeros(0)])
def test_silence_has_no_loudness(wave: torch.Tensor) -> None:
    assert loudness_db(clip(wave)) is None


def test_a_round_at_half_speed_says_everything_at_twice_the_time(bundle: Any) -> None:
    words = torch.randperm(1024, generator=torch.Generator().manual_seed(2))[:40]
    first, slow = spoken(words), spoken(words.repeat_interleave(2))
    first = replace(
        first, clip=clip(tone(first.codes.seconds, 0.5))
    )  # speech from its first sample
    found = places(bundle, first, slow)
    assert len(found) > 20
    for there, here in found:
        assert here == pytest.approx(2 * (there + 0.05), abs=0.13)  # 50 ms are put before a clip
    assert found == sorted(found)


def test_other_words_have_no_places(bundle: Any) -> None:
    words = torch.randperm(1024, generator=torch.Generator().manual_seed(3))
    assert places(bundle, spoken(words[:40]), spoken(words[40:90])) == []
