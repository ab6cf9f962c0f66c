"""The one recogniser and the one word error rate."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from stepedit_core.measure.recogniser import plain_words, word_error_rate
from stepedit_core.measure.whisper import FILES, FasterWhisper
from stepedit_core.types import Clip


@pytest.mark.parametrize(
    ("reference", "found", "rate"),
    [
        ("Hello, world!", "hello world", 0.0),
        ("a b c d", "a x c", 0.5),
        ("a", "b c d", 3.0),
        ("a b", "", 1.0),
        ("你好吗", "你 好", 1 / 3),
    ],
)
def test_word_errors_of_known_sentences(reference: str, found: str, rate: float):
    assert word_error_rate(reference, found) == pytest.approx(rate)


def test_words_are_compared_without_case_and_signs():
    assert plain_words("Don\u2019t STOP-now, 3 times") == ["dont", "stop", "now", "3", "times"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Twenty-five of 25", ["25", "of", "25"]),
        ("two hundred and five, and two", ["205", "and", "2"]),
        ("1,000 or one thousand", ["1000", "or", "1000"]),
        ("one thousand two hundred thirty-four", ["1234"]),
        ("twenty three hundred", ["2300"]),
        ("one, two and three", ["1", "2", "and", "3"]),
        ("thirty ten fifty zero", ["30", "10", "50", "0"]),
        ("in nineteen eighty-six or twenty ten", ["in", "1986", "or", "2010"]),
        ("a hundred and ten", ["a", "hundred", "and", "10"]),
        ("no hundred", ["no", "hundred"]),
        ("\uff21 b", ["a", "b"]),  # a full-width letter
    ],
)
def test_numbers_are_compared_as_digits(text: str, words: list[str]):
    assert plain_words(text) == words


def test_a_text_without_words_is_wrong_or_right_as_a_whole():
    assert word_error_rate("...", "!") == 0.0
    assert word_error_rate("...", "word") == 1.0


def test_without_jiwer_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(ValueError, match=r'-m pip install "jiwer"`'):
        word_error_rate("a", "b")


class Whisper:
    """As much of faster-whisper's model as is called."""

    made: dict[str, Any]

    def __init__(self, folder: str, **options: Any) -> None:
        type(self).made = {"folder": folder, **options}

    def transcribe(self, wave: np.ndarray, **options: Any) -> tuple[Any, None]:
        assert (wave.dtype, len(wave)) == (np.float32, 16_000)
        self.made["language"] = options["language"]
        heard = [(" Good", -0.25), (" morning. ", -0.75)] if wave.any() else []
        return (SimpleNamespace(text=t, avg_logprob=p) for t, p in heard), None


def test_a_clip_at_any_rate_is_heard_by_the_local_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    module = ModuleType("faster_whisper")
    module.WhisperModel = Whisper  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    for name in FILES:
        (tmp_path / name).touch()
    recogniser = FasterWhisper(tmp_path, threads=2)
    assert Whisper.made["local_files_only"] is True  # nothing is ever downloaded
    assert (Whisper.made["folder"], Whisper.made["cpu_threads"]) == (str(tmp_path), 2)
    clip = Clip(wave=torch.full((24_000,), 0.1), sample_rate=24_000)
    assert recogniser.transcribe(clip, "de") == "Good morning."
    assert Whisper.made["language"] == "de"
    assert recogniser.transcript(clip, "").log_prob == -0.5
    assert Whisper.made["language"] is None
    silence = recogniser.transcript(Clip(wave=torch.zeros(24_000), sample_rate=24_000))
    assert (silence.text, silence.log_prob) == ("", -9.0)


def test_a_model_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("WHISPER_BASE", raising=False)
    with pytest.raises(ValueError, match=r"\$WHISPER_BASE names none"):
        FasterWhisper()
    with pytest.raises(ValueError, match=r"lacks model\.bin, config.* Name such a folder"):
        FasterWhisper(tmp_path)
    for name in FILES:
        (tmp_path / name).touch()
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    monkeypatch.setenv("WHISPER_BASE", str(tmp_path))
    with pytest.raises(ValueError, match=r'-m pip install "faster-whisper>=1\.1"'):
        FasterWhisper()
