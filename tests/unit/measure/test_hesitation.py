"""Sounds without a word: which words must still be heard without them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from stepedit_core.measure.hesitation import Sound, _stands_alone, hesitations, words_stay
from stepedit_core.measure.timeline import Word
from stepedit_core.types import Clip

RATE = 16_000


def said(text: str) -> list[Word]:
    """A word every half second."""
    return [Word(word, n / 2, n / 2 + 0.4, 0.9) for n, word in enumerate(text.split())]


@pytest.mark.parametrize(
    ("heard", "again", "copied", "stays"),
    [
        ("go in that barn now", "go in that barn now", False, True),
        ("go in that barn now", "go in the barn now", False, False),
        ("go in that barn now", "go in the barn now", True, True),
        ("tear from the fence down", "tear the fence down", True, True),
        ("go in that barn now", "go barn now", True, False),
    ],
)
def test_of_a_word_said_twice_another_may_have_been_made(
    heard: str, again: str, copied: bool, stays: bool
) -> None:
    sound = Sound(start=0.95, end=1.15, before=0.9, after=1.2, kind="repeat", copied=copied)
    assert words_stay(sound, said(heard), said(again)) is stays


def glide(begin: float, end: float, seconds: float) -> np.ndarray:
    """A voice whose one formant glides from begin to end, in Hz."""
    time = np.arange(round(seconds * RATE)) / RATE
    formant = begin + (end - begin) * time / time[-1]
    wave = np.zeros(len(time))
    for number in range(1, 26):
        weight = 0.05 + np.exp(-(((130 * number - formant) / 250) ** 2))
        wave += weight * np.sin(2 * math.pi * 130 * number * time)
    shaped: np.ndarray = 0.05 * wave * np.sin(math.pi * time / seconds)
    return shaped


@pytest.mark.parametrize(("pause", "found"), [(0.12, True), (0.5, False)])
def test_a_start_with_a_pause_in_it_is_a_repeat(pause: float, found: bool) -> None:
    first, second = glide(400, 1800, 0.14), glide(2500, 700, 0.2)
    other = glide(900, 2800, 0.5)
    quiet = [np.zeros(round(s * RATE)) for s in (0.3, pause, 0.2, 0.09, 0.4)]
    # the second time without the pause, or with a shorter one
    parts = [quiet[0], other, quiet[2], first, quiet[1], second, quiet[2], first, quiet[3], second]
    wave = np.concatenate([*parts, quiet[2], other, quiet[4]])
    wave += np.random.default_rng(0).normal(0, 3e-4, len(wave))
    start = 0.3 + 0.5 + 0.2
    end = start + 0.14 + pause + 0.2
    words = [Word("and", start, end, 0.9), Word("so", end + 0.2, end + 0.63, 0.9)]
    clip = Clip(wave=torch.from_numpy(wave).float(), sample_rate=RATE)
    sounds = [sound for sound in hesitations(clip, words) if sound.kind == "repeat"]
    whole = [s for s in sounds if abs(s.start - start) < 0.05 and abs(s.end - end) < 0.05]
    assert bool(whole) is found


@pytest.mark.parametrize("copied", [True, False])
def test_a_copy_needs_no_more_quiet_beside_it_than_it_was_found_by(copied: bool) -> None:
    sound = Sound(start=1.05, end=1.2, before=1.0, after=1.3, kind="repeat", copied=copied)
    assert _stands_alone(sound) is copied
