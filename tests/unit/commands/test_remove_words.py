"""`stepedit remove-words`: what is gone, what is written, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

import stepedit_core as stepedit
from stepedit_core import api
from stepedit_core.audio.recordings import read_recording, write_recording
from stepedit_core.cli import main
from stepedit_core.measure import recognisers
from stepedit_core.measure.timeline import Word
from stepedit_core.types import Clip
from tests.unit.pipelines.test_remove_words import spoken

TEXT = "well um I I know it you know"


class Ears:
    """Hears the words of `spoken`."""

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        return spoken(TEXT)[1]

    def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
        return spoken(transcript)[1]


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (recognisers, api):
        monkeypatch.setattr(module, "recogniser_for", lambda bundle, folder: Ears())
    write_recording(tmp_path / "in.wav", spoken(TEXT)[0])
    return tmp_path / "in.wav"


def test_fillers_repeats_and_words_go(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = source.with_name("out.wav")
    more = ["--fillers", "--repeats", "--words", "you know"]
    assert main(["remove-words", str(source), str(out), *more]) == 0
    lines = [line.split(maxsplit=3) for line in capsys.readouterr().out.splitlines()]
    assert [line[2:] for line in lines[1:3]] == [["repeat", "um I"], ["words", "you know"]]
    assert lines[3][:2] == ["3.30", "s"]
    assert soundfile.info(out).subtype == "PCM_16"
    made = stepedit.remove_words(
        stepedit.load("nano"), source, fillers=True, repeats=True, phrases=("you know",)
    )
    assert np.array_equal(soundfile.read(out, dtype="int16")[0], made.recording.samples.T)


def test_a_transcript_is_used(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = source.with_name("out.flac")
    given = ["--text", "one two uh four five six seven eight", "--fillers"]
    assert main(["remove-words", str(source), str(out), *given]) == 0
    assert "uh" in capsys.readouterr().out
    assert read_recording(out).seconds < read_recording(source).seconds - 0.3


def test_nothing_found_is_said(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = source.with_name("out.wav")
    assert main(["remove-words", str(source), str(out), "--pauses-over", "2"]) == 0
    assert "nothing of that was found" in capsys.readouterr().out
    assert np.array_equal(soundfile.read(out)[0], soundfile.read(source)[0])


@pytest.mark.parametrize(
    ("out", "more", "code", "found"),
    [
        ("out.wav", [], 2, "nothing is named"),
        ("out.wav", ["--words", "never"], 1, "its words are: well um I I know"),
        ("out.wav", ["--words", "know"], 1, "is said 2 times"),
        ("out.wav", ["--words", TEXT], 1, "all 8 words"),
        ("out.wav", ["--pauses-over", "0.1"], 2, "from 0.2 to 10"),
        ("in.wav", ["--fillers"], 1, "is the input"),
        ("other.wav", ["--fillers"], 1, "add --overwrite"),
        ("out.mp3", ["--fillers"], 1, "does not end in"),
    ],
)
def test_refused_before_anything_is_written(
    source: Path,
    capsys: pytest.CaptureFixture[str],
    out: str,
    more: list[str],
    code: int,
    found: str,
) -> None:
    soundfile.write(source.with_name("other.wav"), np.ones(9), 8_000)
    before = {path: path.read_bytes() for path in source.parent.iterdir()}
    assert main(["remove-words", str(source), str(source.with_name(out)), *more]) == code
    assert found in capsys.readouterr().err
    assert {path: path.read_bytes() for path in source.parent.iterdir()} == before


def test_a_setting_that_is_unknown(source: Path) -> None:
    with pytest.raises(ValueError, match="Did you mean fillers"):
        stepedit.remove_words(stepedit.load("nano"), source, filler=True)


def test_without_a_recogniser(
    tmp_path: Path, bundles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recording(tmp_path / "in.wav", spoken(TEXT)[0])
    out = tmp_path / "out.wav"
    model = ["--bundle", str(bundles / "tiny")]
    assert main(["remove-words", str(tmp_path / "in.wav"), str(out), "--fillers", *model]) == 2
    assert "has no recogniser" in capsys.readouterr().err
    assert not out.exists()
