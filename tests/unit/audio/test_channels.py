"""Channels to one wave: the average where it has the speech, the best channel where it has not."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from stepedit_core.audio.channels import mix, without_offset
from stepedit_core.audio.clips import mono_clip
from stepedit_core.audio.recordings import recording_of
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate_rounds
from stepedit_core.printable import said_once
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import EditRequest
from tests.unit.conftest import voiced

RATE = 24_000


@pytest.fixture(scope="module")
def speech() -> Tensor:
    wave = voiced(2.0, RATE)
    return wave + 0.02 * wave.abs().max() * noise(len(wave))


def noise(samples: int, seed: int = 0) -> Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def hum(samples: int) -> Tensor:
    return 0.9 * torch.sin(torch.arange(samples) * (2 * torch.pi * 50 / RATE))


@pytest.mark.parametrize("late", [1, 3, 5])
@pytest.mark.parametrize("share", [1.0, 0.8])
def test_channels_that_cancel_in_part_give_the_best(
    speech: Tensor, late: int, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    made = mono_clip(torch.stack([speech, -share * speech.roll(late)]), RATE)
    assert torch.equal(made.wave, speech)
    assert "cancel each other" in made.notes[0]
    assert "number 1 is taken" in caplog.text


@pytest.mark.parametrize("first", [True, False])
def test_channels_that_cancel_for_a_part_of_the_time_give_the_best(first: bool) -> None:
    wave = voiced(6.0, RATE)
    place = slice(0, 2 * RATE) if first else slice(4 * RATE, 5 * RATE)
    other = 0.8 * wave
    other[place] = -wave[place]
    made = mix(torch.stack([wave, other]), RATE)
    assert torch.equal(made.wave, wave)
    seconds = "2.0" if first else "1.0"
    assert made.notes == (f"the 2 channels cancel each other for {seconds} s; number 1 is taken.",)
    quiet = wave.clone()
    quiet[place] *= 0.001  # nothing is said there
    other = 0.8 * quiet
    other[place] *= -1
    assert not mix(torch.stack([quiet, other]), RATE).notes
    turns = torch.stack([wave, other])
    turns[0, 2 * RATE : 4 * RATE] = 0
    turns[1, :RATE] = 0
    turns[1, 5 * RATE :] = -turns[0, 5 * RATE :]  # either channel alone would lose speech
    assert not mix(turns, RATE).notes


@pytest.mark.parametrize("kind", ["offset", "hum", "both"])
def test_a_dead_channel_is_not_averaged_in(speech: Tensor, kind: str) -> None:
    dead = {"offset": torch.full_like(speech, 0.9), "hum": hum(len(speech))}
    dead["both"] = 0.5 * (dead["offset"] + dead["hum"])
    made = mix(torch.stack([dead[kind], 0.1 * speech]), RATE)
    assert torch.equal(made.wave, 0.1 * speech)
    assert made.notes == (
        "the 2 channels differ, one has an offset or hum louder than the speech; number 2 is "
        "taken.",
    )


def test_healthy_channels_are_averaged_to_the_bit(
    speech: Tensor, caplog: pytest.LogCaptureFixture
) -> None:
    other = voiced(2.0, RATE, 90.0)
    zero = torch.zeros_like(speech)
    half = len(speech) // 2
    pairs = {
        "same": (speech, speech),
        "one silent": (speech, zero),
        "panned": (speech, 0.3 * speech),
        "weak and turned": (speech, -0.5 * speech),
        "independent": (speech, 0.3 * other),
        "apart": (speech, 0.9 * speech.roll(24)),
        "turned and far": (speech, -speech.roll(240)),
        "in turns": (
            torch.cat([speech[:half], zero[half:]]),
            torch.cat([zero[:half], -speech[half:]]),
        ),
        "rumble": (speech + 0.2 * hum(len(speech)), speech),
        "a little offset": (speech + 0.01, speech),
        "six": (speech, zero, zero, zero, zero, zero),
        "low tone": (hum(len(speech)), 0.5 * hum(len(speech))),
    }
    for name, channels in pairs.items():
        both = torch.stack(channels)
        made = mix(both, RATE)
        assert torch.equal(made.wave, both.mean(0)), name
        assert made.notes == (), name
    assert not caplog.records


def test_an_offset_that_is_louder_than_the_sound_is_taken_away(speech: Tensor) -> None:
    for offset in (0.6, -0.95):
        made = mono_clip(0.05 * speech + offset, RATE)
        expected = 0.05 * (speech - speech.mean())
        torch.testing.assert_close(made.wave, expected, atol=1e-6, rtol=0)
        assert f"{offset:+.2f} of full scale off zero" in made.notes[0]


def test_a_small_offset_is_left_to_the_bit(speech: Tensor) -> None:
    for wave in (speech, speech + 0.02, 0.01 * speech + 0.05, speech + 0.09):
        assert torch.equal(without_offset(wave).wave, wave)
        assert without_offset(wave).notes == ()
        assert mono_clip(wave, RATE).notes == ()


def test_an_offset_alone_is_silence() -> None:
    with pytest.raises(ValueError, match="clip is silent"):
        mono_clip(torch.full((RATE,), 0.7), RATE)


@pytest.mark.parametrize("clicks", [[12_000], [12_000, 12_001, 40_000]])
def test_clicks_in_silence_are_not_speech(clicks: list[int]) -> None:
    wave = torch.zeros(2 * RATE)
    wave[clicks] = 1.0
    with pytest.raises(ValueError, match=r"silent but for 0\.0\d s of its 2\.00 s; speech lasts"):
        mono_clip(wave, RATE)


def test_a_short_word_in_silence_is_speech(speech: Tensor) -> None:
    wave = torch.zeros(2 * RATE)
    wave[10_000 : 10_000 + 3_600] = speech[6_000:9_600]
    assert torch.equal(mono_clip(wave, RATE).wave, wave)


def test_what_was_wrong_with_the_channels_stands_at_round_0(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    wave = voiced(2.4, RATE)
    clip = mono_clip(torch.stack([wave, -wave.roll(3)]), RATE)
    happy = EditRequest(kind="emotion", option="happy", text="hello world")
    first = next(iter(iterate_rounds(bundle, clip, make_plan(bundle, clip, [happy]))))
    assert first.notes[0].startswith("the 2 channels cancel each other")
    assert caplog.text.count("the 2 channels cancel") == 1


def test_a_run_says_once_what_is_wrong_with_many_parts_of_a_recording(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wave = voiced(2.4, RATE)
    recording = recording_of(torch.stack([wave, -wave]), RATE)
    for _ in range(2):  # a second run says it again
        with said_once():
            for first in (0, RATE // 2, RATE):
                recording.clip(first)
    assert caplog.text.count("the 2 channels cancel") == 2
