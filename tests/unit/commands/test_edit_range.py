"""`stepedit edit-range`: words or seconds are edited, the rest of the file stays."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stepedit_core.cli import main
from stepedit_core.measure import holding, recognisers
from stepedit_core.measure.timeline import Word
from stepedit_core.pipelines import range_edit
from stepedit_core.types import Clip
from tests.unit.conftest import voiced

SAID = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]


class Ears:
    """Hears a word a second."""

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        return tuple(Word(text, n + 0.1, n + 0.9, 1.0) for n, text in enumerate(SAID))

    align = transcribe


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.wav"
    soundfile.write(path, voiced(12.0, 16_000).numpy(), 16_000, subtype="PCM_24")
    return path


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever hears, hears a word a second."""
    monkeypatch.setattr(recognisers, "recogniser_for", lambda bundle, folder: Ears())


def assert_as_recorded(out: Path, source: Path) -> None:
    assert np.array_equal(soundfile.read(out)[0], soundfile.read(source)[0])


def command(source: Path, bundles: Path, out: str, *more: str) -> list[str]:
    bundle = ["--bundle", str(bundles / "tiny"), "--emotion", "happy", "--strength", "0"]
    return ["edit-range", str(source), *bundle, "--out", str(source.parent / out), *more]


@pytest.mark.usefixtures("every_round_holds", "heard")
def test_words_are_looked_for_and_the_file_keeps_its_kind(
    source: Path,
    bundles: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(command(source, bundles, "out.flac", "--words", "Six seven")) == 0
    assert "out.flac: the recording as it was; strength 0 leaves" in capsys.readouterr().out
    out = source.parent / "out.flac"
    assert soundfile.info(out).subtype == "PCM_24"
    assert_as_recorded(out, source)


@pytest.mark.usefixtures("every_round_holds")
def test_the_part_is_said_with_how_much_stays(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--speed", "faster", "--range", "5:7", "--out", str(source.with_name("out.wav"))]
    assert main(["edit-range", str(source), *more]) == 0
    said = capsys.readouterr().out
    first, end, kept = re.search(r"1 of 1, (\S+) to (\S+) s edited; (\d+) samples", said).groups()
    before, after = (soundfile.read(source.with_name(n))[0] for n in ("in.wav", "out.wav"))
    first, longer = round(float(first) * 16_000) - 80, len(after) - len(before)
    assert np.array_equal(after[:first], before[:first])
    end = round(float(end) * 16_000) + 80
    assert np.array_equal(after[end:], before[end - longer :])
    assert not np.array_equal(after, before)
    assert int(kept) == pytest.approx(len(before) - (end - first - longer), abs=320)


@pytest.mark.usefixtures("every_round_holds", "heard")
def test_an_answer_that_changes_nothing_is_said(
    source: Path,
    bundles: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(range_edit, "same_codes", lambda *_: True)
    arguments = command(source, bundles, "out.wav", "--words", "Six seven")
    assert main([*arguments, "--strength", "1"]) == 0
    said = capsys.readouterr().out
    assert "out.wav: the recording as it was; the edit changes nothing in the part" in said
    assert "Try another seed, or more rounds." in said
    assert "edited" not in said
    assert_as_recorded(source.with_name("out.wav"), source)


@pytest.mark.usefixtures("heard")
def test_a_part_of_which_no_round_holds_stays_and_that_is_said(
    source: Path,
    bundles: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(holding, "VOICE_HOLDS", 1.1)  # no voice is so much like another
    assert main(command(source, bundles, "out.wav", "--words", "Six seven")) == 0
    said = capsys.readouterr()
    assert "out.wav: the recording as it was; no round of the part holds" in said.out
    out = source.parent / "out.wav"
    assert_as_recorded(out, source)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize(
    ("out", "more", "code", "found"),
    [
        ("out.wav", ["--words", "thirteen"], 1, "is not said in the clip"),
        ("out.wav", ["--range", "1:40"], 1, "ends at 40 s"),
        ("out.wav", ["--range", "1-4"], 2, "two numbers of seconds"),
        ("out.mp3", ["--range", "1:4"], 1, "does not end in"),
        ("in.wav", ["--range", "1:4"], 1, "is the input"),
        ("no/out.wav", ["--range", "1:4"], 1, "no folder at"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(
    source: Path,
    bundles: Path,
    out: str,
    more: list[str],
    code: int,
    found: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = source.read_bytes()
    assert main(command(source, bundles, out, *more)) == code
    assert found in capsys.readouterr().err
    assert sorted(p.name for p in source.parent.glob("*.wav")) == ["in.wav"]
    assert source.read_bytes() == before


def test_a_long_recording_without_a_recogniser_says_what_to_add(
    source: Path, bundles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(source, bundles, "out.wav", "--range", "1:4", "--text", "one two")) == 2
    assert "has no recogniser" in capsys.readouterr().err


@pytest.mark.usefixtures("every_round_holds", "heard")
def test_a_long_recording_is_edited_piece_by_piece(
    tmp_path: Path,
    bundles: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = tmp_path / "in.wav"
    soundfile.write(source, voiced(35.0, 16_000).numpy(), 16_000)
    arguments = command(source, bundles, "out.wav")
    assert main(["edit-long", *arguments[1:]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["from", "to", "round", "what", "was", "done"]
    assert lines[1].split()[-1] == "edited"
    assert lines[-1].endswith("No word was heard in it.")
    out = tmp_path / "out.wav"
    assert np.array_equal(soundfile.read(out)[0], soundfile.read(source)[0])  # strength 0
    assert sorted(path.name for path in tmp_path.glob("*out*")) == ["out.wav"]


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("name", ["edit-range", "edit-long"])
def test_a_part_is_not_fitted_to_seconds(
    name: str,
    source: Path,
    bundles: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = ("--range", "2:4") if name == "edit-range" else ()
    out = source.with_name("out.wav")
    fit = ("--bundle", str(bundles / "tiny"), "--speed", "fit to seconds", "--out", str(out))
    assert main([name, str(source), *fit, *where]) != 0
    said = capsys.readouterr().err
    assert "speed 'fit to seconds' is for a whole clip" in said
    assert len(said.splitlines()) == 1
    assert not out.exists()


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("name", ["edit-range", "edit-long"])
def test_a_file_of_somebody_else_is_not_replaced(
    name: str,
    source: Path,
    bundles: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = source.with_name("out.wav")
    out.write_bytes(source.read_bytes())
    more = ["--range", "1:4"] if name == "edit-range" else []
    arguments = [name, *command(source, bundles, "out.wav", *more)[1:]]
    assert main(arguments) == 1
    assert "Name another file, or add --overwrite." in capsys.readouterr().err
    assert out.read_bytes() == source.read_bytes()
    assert main([*arguments, "--overwrite"]) == 0
    assert out.read_bytes() != source.read_bytes()
    assert main(arguments) == 0  # an older result of our own
    out.unlink()
    out.mkdir()
    assert main([*arguments, "--overwrite"]) == 1
    assert "is a folder" in capsys.readouterr().err
