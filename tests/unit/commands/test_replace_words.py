"""`stepedit replace-words`: what is put in, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

import stepedit_core as stepedit
from stepedit_core.audio.recordings import read_recording, write_recording
from stepedit_core.cli import main
from stepedit_core.measure import recognisers
from stepedit_core.measure.timeline import Word
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Clip
from tests.unit.pipelines.test_range_edit import stereo
from tests.unit.pipelines.test_replace_words import SAID, said


class Ears:
    """Hears eight words."""

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        return tuple(SAID)

    def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
        return tuple(SAID)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(recognisers, "recogniser_for", lambda bundle, folder: Ears())
    write_recording(tmp_path / "in.wav", stereo(4.0))
    return tmp_path / "in.wav"


def command(source: Path, bundles: Path, *replacements: str, out: str = "out.wav") -> list[str]:
    more = [word for which in replacements for word in ("--replace", which)]
    bundle = ["--bundle", str(bundles / "tiny")]
    return ["replace-words", str(source), str(source.with_name(out)), *bundle, *more]


def test_new_words_are_put_in(
    source: Path,
    bundles: Path,
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = said(monkeypatch)
    words = command(source, bundles, "three four=fourteen or fifteen")
    assert main(words) == 0
    assert "heard around it: one two three" in capsys.readouterr().out
    assert asked == ["one two fourteen or fifteen five six seven eight"]
    assert soundfile.info(source.with_name("out.wav")).subtype == "PCM_16"
    old, new = read_recording(source), read_recording(source.with_name("out.wav"))
    assert new.seconds > old.seconds + 0.1
    made = stepedit.replace_words(bundle, source, "three four", "fourteen or fifteen", words=SAID)
    assert bool((made.recording.samples == new.samples).all())


@pytest.mark.parametrize(
    ("replacement", "out", "code", "found"),
    [
        ("nine=ten", "out.wav", 1, "is not said in the clip"),
        ("three four", "out.wav", 2, "OLD=NEW does"),
        ("=four", "out.wav", 2, "OLD=NEW does"),
        ("three=four", "in.wav", 1, "is the input"),
        ("three four=five six", "out.wav", 1, "Try another seed"),
    ],
)
def test_refused_before_anything_is_written(
    source: Path,
    bundles: Path,
    replacement: str,
    out: str,
    code: int,
    found: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = source.read_bytes()
    assert main(command(source, bundles, replacement, out=out)) == code
    assert found in capsys.readouterr().err
    assert [path.name for path in source.parent.glob("*.wav")] == ["in.wav"]
    assert source.read_bytes() == before


def test_nano_says_that_it_cannot(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(source.with_name("out.wav"))
    assert main(["replace-words", str(source), out, "--replace", "three=four"]) == 2
    assert "needs a model that can clone a voice" in capsys.readouterr().err
