"""Words that are given for a recording that says others: refused where they are chosen."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import stepedit_core as stepedit
from stepedit_core.audio.recordings import Recording, recording_of
from stepedit_core.measure.given_words import check_sure
from stepedit_core.measure.hearing import hear_surely
from stepedit_core.measure.timeline import Word, fit_transcript
from stepedit_core.types import Clip
from tests.unit.conftest import voiced

WALK = Path(stepedit.__file__).parent / "assets" / "samples" / "walking_home.wav"
TEXT = "I was walking home last night when I heard a song that I used to know."
OTHER = "the quick brown fox jumps over a song and lazy dogs"
RATE = 16_000


class Ears:
    """Hears one sentence, as a recogniser of words does."""

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        return tuple(Word(t, n / 4, n / 4 + 0.2, 0.9) for n, t in enumerate(TEXT.split()))

    def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
        return fit_transcript(self.transcribe(clip), transcript, clip.seconds)


@pytest.fixture
def recording() -> Recording:
    return recording_of(voiced(5.0, RATE)[None], RATE)


@pytest.mark.parametrize(
    ("text", "phrase", "said"),
    [
        ("the quick brown fox", "brown fox", "the transcript does not fit the recording: its"),
        (OTHER, "a song", "the transcript does not fit the recording: its misfit"),
        ("\u4f60\u597d", "\u597d", "no letter that this recogniser knows"),
        (" ".join([TEXT] * 12), "a song", r"648 letters; the recording lasts 5\.03 s"),
    ],
)
def test_chosen_words_of_another_transcript_are_not_cut(text: str, phrase: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stepedit.remove_words(stepedit.load("nano"), WALK, text=text, phrases=(phrase,))


def test_those_of_its_own_are(caplog: pytest.LogCaptureFixture) -> None:
    made = stepedit.remove_words(stepedit.load("nano"), WALK, text=TEXT, phrases=("a song",))
    assert [cut.text for cut in made.cuts] == ["a song"]
    assert not caplog.records


def test_one_wrong_phrase_is_doubted(caplog: pytest.LogCaptureFixture) -> None:
    wrong = TEXT.replace("heard a song", "ate some cheese")
    phrases = ("ate some cheese",)
    stepedit.remove_words(stepedit.load("nano"), WALK, text=wrong, phrases=phrases)
    assert "other words are heard where the transcript has 'ate some cheese'" in caplog.text


def test_where_nothing_is_chosen_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = stepedit.load("nano")
    assert len(stepedit.transcribe(model, WALK, text="the quick brown fox")) == 4
    assert "the transcript does not fit the recording" in caplog.text
    caplog.clear()
    noise = np.random.default_rng(0).normal(size=6 * RATE) * 0.1
    soundfile.write(tmp_path / "noise.wav", noise, RATE)
    assert len(stepedit.transcribe(model, tmp_path / "noise.wav", text=TEXT)) == 16
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize(("seconds", "said"), [(3.0, "is silent"), (1 / RATE, "fastest speaker")])
def test_silence_and_a_moment_have_no_words(tmp_path: Path, seconds: float, said: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(round(seconds * RATE)), RATE)
    with pytest.raises(ValueError, match=said):
        stepedit.transcribe(stepedit.load("nano"), tmp_path / "a.wav", text=TEXT)


def test_a_recogniser_of_words_hears_that_they_are_others(
    recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match=r"4 of the 4 words of the transcript are not heard"):
        hear_surely(Ears(), recording, "the quick brown fox", chosen=["brown fox"])
    half = "I was walking home last night when the quick brown fox that I used to know."
    with pytest.raises(ValueError, match=r"other words are heard where .* 'quick brown fox'"):
        hear_surely(Ears(), recording, half, chosen=["quick brown fox"])
    assert len(hear_surely(Ears(), recording, half, chosen=["last night"])) == 16
    assert not caplog.records
    assert hear_surely(Ears(), recording, "the quick brown fox")
    assert "are not heard in the recording" in caplog.text


def test_a_filler_that_is_not_heard_may_be_there(recording: Recording) -> None:
    text = TEXT.replace("last", "um last")
    assert len(hear_surely(Ears(), recording, text, chosen=["um"])) == 17


def test_words_of_another_node_are_checked_by_how_sure_they_are() -> None:
    check_sure([Word("a", 0, 1, 0.5), Word("b", 1, 2, 0.0)])
    with pytest.raises(ValueError, match="hardly heard"):
        check_sure([Word("a", 0, 1, 0.2), Word("b", 1, 2, 0.0)])


def test_silence_is_not_looked_for_where_no_words_are_given() -> None:
    silent = Recording(samples=torch.zeros(1, RATE), sample_rate=RATE)
    assert len(hear_surely(Ears(), silent)) == 16


def test_a_silent_recording_without_words_is_said_to_be_silent(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(2 * RATE), RATE)
    model = stepedit.load("nano")
    for what in ({"pauses_over": 0.3}, {"fillers": True}):
        with pytest.raises(ValueError, match=r"^the recording is silent .* so no speech is found"):
            stepedit.remove_words(model, tmp_path / "a.wav", **what)
