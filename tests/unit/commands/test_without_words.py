"""Edits by signal processing and pauses need no words; nothing is heard for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

import stepedit_core as stepedit
from stepedit_core import api
from stepedit_core.cli import main
from stepedit_core.measure import recognisers
from tests.unit.conftest import voiced

RATE = 16_000


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """24 s with a voice, where a recogniser would fail the test."""

    def listens(*_: object, **__: object) -> object:
        raise AssertionError("words are heard")

    for module in (recognisers, api):
        monkeypatch.setattr(module, "recogniser_for", listens)
    path = tmp_path / "in.wav"
    wave = voiced(24.0, RATE).numpy()
    soundfile.write(path, wave, RATE)
    return path


@pytest.mark.usefixtures("every_round_holds")
@pytest.mark.parametrize("edit", [("style", "whisper"), ("speed", "faster")])
def test_seconds_are_edited(source: Path, edit: tuple[str, str]) -> None:
    out = source.with_name("out.wav")
    more = ["--range", "8:10", f"--{edit[0]}", edit[1], "--out", str(out)]
    assert main(["edit-range", str(source), *more]) == 0
    before, after = (soundfile.read(path, dtype="int16")[0] for path in (source, out))
    assert np.array_equal(after[: 8 * RATE], before[: 8 * RATE])
    assert np.array_equal(after[-14 * RATE :], before[-14 * RATE :])
    assert not np.array_equal(after[8 * RATE : 9 * RATE], before[8 * RATE : 9 * RATE])
    made = stepedit.edit_range(stepedit.load("nano"), source, 8.0, 10.0, **{edit[0]: edit[1]})
    assert np.array_equal(after, made.recording.samples[0])


@pytest.mark.usefixtures("every_round_holds")
def test_every_piece_is_edited(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = source.with_name("out.wav")
    assert main(["edit-long", str(source), "--style", "whisper", "--out", str(out)]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert len(rows) >= 3
    assert all(row.split()[2:] == ["1", "edited"] for row in rows)
    made = stepedit.edit_long(stepedit.load("nano"), source, style="whisper")
    assert np.array_equal(soundfile.read(out, dtype="int16")[0], made.recording.samples[0])


def test_pauses_are_shortened(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wave, rate = soundfile.read(source)
    wave[5 * rate : 7 * rate] = 0
    soundfile.write(source, wave, rate)
    out = source.with_name("out.wav")
    assert main(["remove-words", str(source), str(out), "--pauses-over", "0.5"]) == 0
    assert "pause" in capsys.readouterr().out
    made = stepedit.remove_words(stepedit.load("nano"), source, pauses_over=0.5)
    assert np.array_equal(soundfile.read(out, dtype="int16")[0], made.recording.samples[0])
    assert made.recording.seconds == pytest.approx(22.5, abs=0.6)
