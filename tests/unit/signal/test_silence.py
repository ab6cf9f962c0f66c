"""Pauses: found in noise, left where there are none, cut without a click or a lost word end."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor

from stepedit_core.signal.silence import shorten_silence, speech_spans

RATES = [8_000, 24_000, 96_000]


def buzz(seconds: float, rate: int) -> Tensor:
    t = torch.arange(round(seconds * rate)) / rate
    return 0.3 * sum(torch.sin(2 * torch.pi * 140 * k * t) / k for k in range(1, 9))


def noise(seconds: float, rate: int, level: float, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return level * torch.randn(round(seconds * rate), generator=generator)


def spoken(rate: int, level: float = 0.001, pause: float = 1.5) -> Tensor:
    """0.8 s quiet, 1 s speech, a pause, 1 s speech, 0.7 s quiet; noise of this level throughout."""
    gap, end = torch.zeros(round(pause * rate)), torch.zeros(round(0.7 * rate))
    start = torch.zeros(round(0.8 * rate))
    clean = torch.cat([start, buzz(1, rate), gap, buzz(1, rate), end])
    return clean + noise(len(clean) / rate, rate, level)[: len(clean)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("level", [0.0, 0.001, 0.03])
def test_speech_is_found_in_silence_and_in_noise(rate: int, level: float) -> None:
    found = [(a / rate, b / rate) for a, b in speech_spans(spoken(rate, level), rate)]
    assert len(found) == 2
    for (a, b), (first, last) in zip(found, [(0.8, 1.8), (3.3, 4.3)], strict=True):
        # margins of 60 and 120 ms, frames of 20 ms
        assert a == pytest.approx(first - 0.06, abs=0.03)
        assert b == pytest.approx(last + 0.12, abs=0.03)


@pytest.mark.parametrize("rate", RATES)
def test_a_pause_gets_the_length_asked_for(rate: int) -> None:
    wave = spoken(rate)
    for keep in (0.0, 0.2, 0.5):
        made = shorten_silence(wave, rate, keep_seconds=keep)
        # two spans of 1.18 s, a pause, and half of one at both ends
        assert len(made) / rate == pytest.approx(2 * 1.18 + 2 * keep, abs=0.08)


def test_speech_itself_is_kept_sample_by_sample() -> None:
    rate = 24_000
    wave = spoken(rate)
    made = shorten_silence(wave, rate)
    for first in (0.8, 3.3):
        word = wave[round(first * rate) : round((first + 1) * rate)]
        at = [i for i in range(len(made) - len(word) + 1) if made[i] == word[0]]
        assert any(torch.equal(made[i : i + len(word)], word) for i in at)


def test_a_quiet_word_end_is_not_cut() -> None:
    rate = 24_000
    fading = noise(0.25, rate, 0.02, seed=1) * torch.linspace(1, 0.15, round(0.25 * rate))
    wave = spoken(rate)
    end = round(1.8 * rate)
    wave[end : end + len(fading)] += fading
    made = shorten_silence(wave, rate, keep_seconds=0.0)
    word = wave[round(0.8 * rate) : end + len(fading)]
    at = [i for i in range(len(made) - len(word) + 1) if made[i] == word[0]]
    assert any(torch.equal(made[i : i + len(word)], word) for i in at)


def test_a_cut_makes_no_click() -> None:
    rate = 24_000
    # a hum under everything: a hard cut would jump by up to twice its height
    t = torch.arange(round(5.0 * rate)) / rate
    hum = 0.01 * torch.sin(2 * torch.pi * 51.7 * t)
    wave = spoken(rate, 0.0)
    wave = wave + hum[: len(wave)]
    made = shorten_silence(wave, rate, keep_seconds=0.1)
    assert len(made) < len(wave)
    # speech ends at 1.11 s and begins again at 1.39 s: the cut lies in between
    pause = made[round(1.16 * rate) : round(1.36 * rate)]
    assert float(pause.diff().abs().max()) < 3 * float(hum.diff().abs().max())
    assert float(made[0].abs()) < 1e-4
    assert float(made[-1].abs()) < 1e-4


@pytest.mark.parametrize("pause", [0.1, 0.3])
def test_a_short_pause_is_part_of_speech(pause: float) -> None:
    wave = spoken(24_000, pause=pause)[round(0.75 * 24_000) : -round(0.65 * 24_000)]
    assert torch.equal(shorten_silence(wave, 24_000), wave)


@pytest.mark.parametrize(
    "wave",
    [
        torch.zeros(24_000),
        buzz(2.0, 24_000),
        noise(2.0, 24_000, 0.1),
        torch.ones(5),
    ],
    ids=["silence", "no pause", "noise alone", "five samples"],
)
def test_without_speech_or_without_pauses_nothing_changes(wave: Tensor) -> None:
    assert torch.equal(shorten_silence(wave, 24_000), wave)


def test_channels_are_cut_alike_where_neither_speaks() -> None:
    rate = 16_000
    left, right = spoken(rate), 0.001 * torch.ones(0)
    right = noise(len(left) / rate, rate, 0.001, seed=2)[: len(left)].clone()
    right[round(2.2 * rate) : round(2.6 * rate)] += buzz(0.4, rate)  # inside the left one's pause
    assert len(speech_spans(torch.stack([left, right]), rate)) == 3
    made = shorten_silence(torch.stack([left, right]), rate)
    assert made.shape[0] == 2
    assert made.shape[1] > shorten_silence(left, rate).shape[0]


def test_what_cannot_be_done_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    wave = torch.zeros(24_000)
    with pytest.raises(ValueError, match="keep_seconds is -1; allowed are 0 to 10 s"):
        shorten_silence(wave, 24_000, keep_seconds=-1)
    with pytest.raises(ValueError, match="backend is 'ears'; allowed are level, silero"):
        shorten_silence(wave, 24_000, backend="ears")
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    with pytest.raises(ValueError, match='-m pip install "silero-vad"'):
        shorten_silence(wave, 24_000, backend="silero")
