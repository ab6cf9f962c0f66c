"""One rule for pieces, and hearing a recording piece by piece."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from stepedit_core.audio.recordings import Recording
from stepedit_core.measure import hearing
from stepedit_core.measure.hearing import hear
from stepedit_core.measure.letters import Fit
from stepedit_core.measure.pieces import Mixed, quiet_pieces
from stepedit_core.measure.timeline import Word
from stepedit_core.types import Clip, WordLimits

RATE = 8_000


def noise(seconds: float) -> torch.Tensor:
    draws = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(int(seconds * RATE), generator=draws)


def test_a_border_is_in_the_quietest_place_that_is_not_in_a_word() -> None:
    wave = noise(15)
    wave[int(7.9 * RATE) : int(8.2 * RATE)] *= 0.001  # quiet, and inside a word
    wave[int(6.4 * RATE) : int(6.7 * RATE)] *= 0.1
    assert abs(next(iter(quiet_pieces(wave, RATE, 10)))[1] / RATE - 8.05) < 0.06
    words = [Word("a", 1.0, 6.5, 1.0), Word("b", 6.6, 9.0, 1.0), Word("c", 9.0, 14.0, 1.0)]
    first, second = quiet_pieces(wave, RATE, 10, words)
    assert first[1] == second[0]
    assert 6.5 <= first[1] / RATE <= 6.6


def test_words_that_touch_are_parted_where_they_touch() -> None:
    words = [Word("a", 0.0, 7.0, 1.0), Word("b", 7.0, 20.0, 1.0)]
    first, *_ = quiet_pieces(noise(15), RATE, 10, words)
    assert first[1] == 7 * RATE


def test_one_word_without_an_end_is_cut_all_the_same() -> None:
    pieces = list(quiet_pieces(noise(25), RATE, 10, [Word("a", 0.0, 25.0, 1.0)]))
    assert all(b - a <= 10 * RATE for a, b in pieces)
    assert pieces[-1][1] == 25 * RATE


class Ears:
    """Hears one word in each clip, at its beginning, and keeps how long the clips were."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        self.seconds.append(clip.seconds)
        return (Word(f"w{len(self.seconds)}", 0.5, 1.0, 0.9),)

    def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
        return (Word(transcript, 0.0, clip.seconds, 1.0),)


def test_a_long_recording_is_heard_piece_by_piece_and_silence_is_not() -> None:
    wave = noise(70)
    wave[: 15 * RATE] = 0
    source = Recording(samples=torch.stack([wave, wave]), sample_rate=RATE)
    ears = Ears()
    words = hear(ears, source)
    assert max(ears.seconds) <= 20
    borders = [first / RATE for first, _ in quiet_pieces(Mixed(source), RATE)]
    loud = [time for time in borders if time + 0.5 > 15 or time == borders[1]]
    assert [w.start for w in words] == [time + 0.5 for time in loud][-len(words) :]
    assert len(words) == len(ears.seconds)
    fitted = hear(Ears(), source, "w1 other w3")
    assert [w.text for w in fitted] == ["w1", "other", "w3"]
    assert fitted[0].start == words[0].start


def test_a_short_one_is_aligned_whole() -> None:
    source = Recording(samples=noise(5)[None], sample_rate=RATE)
    assert hear(Ears(), source, "so it is") == (Word("so it is", 0.0, 5.0, 1.0),)


def test_a_draft_only_says_which_words_belong_to_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    class Letters(Ears):
        asked: ClassVar[list[str]] = []
        limits = WordLimits()

        def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
            self.asked.append(transcript)
            return tuple(Word(t, n, n + 0.9, 0.9) for n, t in enumerate(transcript.split()))

        def fit(self, clip: Clip, transcript: str) -> Fit:
            words = self.align(clip, transcript)
            return Fit(0.0, words, (0.0,) * len(words))

    monkeypatch.setattr(hearing, "LettersRecogniser", Letters)
    source = Recording(samples=noise(70)[None], sample_rate=RATE)
    count = len(list(quiet_pieces(Mixed(source), RATE)))
    text = " ".join(f"w{n + 1}" for n in range(count))
    words = hear(Letters(), source, text)
    assert Letters.asked == text.split()
    assert [w.text for w in words] == text.split()
    borders = [first / RATE for first, _ in quiet_pieces(Mixed(source), RATE)]
    assert [w.start for w in words] == borders
