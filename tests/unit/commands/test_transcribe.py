"""`stepedit transcribe`: a table and a file of words, and what is said where nothing can hear."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from stepedit_core.cli import main
from stepedit_core.measure import recognisers
from stepedit_core.measure.timeline import Word
from stepedit_core.types import Clip
from tests.conftest import REPOSITORY
from tests.unit.conftest import voiced


class Ears:
    """Hears one word a second, or the words that are given."""

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        return tuple(Word(f"w{s}", s, s + 0.5, 0.5) for s in range(int(clip.seconds)))

    def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
        return tuple(Word(text, n, n + 0.25, 1.0) for n, text in enumerate(transcript.split()))


@pytest.fixture
def clip_path(tmp_path: Path) -> Path:
    path = tmp_path / "long.wav"
    soundfile.write(path, voiced(33.0, 8_000).numpy(), 8_000)  # longer than an edit may be
    return path


def test_words_are_printed_and_written(
    clip_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(recognisers, "recogniser_for", lambda bundle, folder: Ears())
    out = tmp_path / "words.json"
    assert main(["transcribe", str(clip_path), "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["start", "end", "word", "sure"]
    assert lines[-1].split() == ["32.00", "32.50", "w32", "0.50"]
    words = json.loads(out.read_text("utf-8"))
    assert words[1] == {"text": "w1", "start": 1, "end": 1.5, "confidence": 0.5}
    assert main(["transcribe", str(clip_path), "--text", "so it is"]) == 0
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()[1:]] == [
        "so",
        "it",
        "is",
    ]


def test_a_bundle_without_ears_says_what_it_needs(
    clip_path: Path, bundles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", str(clip_path), "--bundle", str(bundles / "tiny")]) == 2
    assert "bundle 'tiny' has no recogniser" in capsys.readouterr().err


def test_nano_spells_a_draft_by_ear(capsys: pytest.CaptureFixture[str]) -> None:
    sample = REPOSITORY / "stepedit_core/assets/samples/walking_home.wav"
    assert main(["transcribe", str(sample)]) == 0
    said = capsys.readouterr()
    words = [line.split()[2] for line in said.out.splitlines()[1:]]
    assert 10 <= len(words) <= 25  # 16 are said
    assert "draft" in said.out + said.err


def test_a_folder_that_is_not_a_model(clip_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", str(clip_path), "--recogniser", str(clip_path.parent)]) == 1
    assert "lacks model.bin" in capsys.readouterr().err
