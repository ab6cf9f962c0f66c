"""A transcript is heard where none is given, and checked by listening where something can hear."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest
import soundfile

import stepedit_core as stepedit
from stepedit_core.cli import main
from stepedit_core.measure import recognisers, whisper
from stepedit_core.measure.recognisers import recogniser_for
from stepedit_core.measure.timeline import Word
from stepedit_core.pipelines import generate, listened
from stepedit_core.pipelines.listened import Listened, listen
from stepedit_core.pipelines.plan import listened as plan_listened
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.run import Run
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import ASSETS, Registry
from stepedit_core.types import Clip, EditRequest

HAPPY = EditRequest(kind="emotion", option="happy")


class Ears:
    """Hears two words, or none, and counts how often."""

    def __init__(self, *words: str) -> None:
        self.words, self.calls = words, 0

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        self.calls += 1
        return tuple(Word(w, n / 4, n / 4 + 0.2, 0.9) for n, w in enumerate(self.words))


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(recognisers.VARIABLE, raising=False)
    monkeypatch.setattr(generate, "longest_answer", lambda request, source: 15)


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Ears:
    made = Ears("hello", "world")
    monkeypatch.setattr(whisper, "open_whisper", lambda folder, **how: made)
    monkeypatch.setenv(recognisers.VARIABLE, "somewhere")
    return made


def test_a_missing_transcript_is_what_is_heard_and_gives_its_samples(
    bundle: Bundle, clip: Clip, ears: Ears
) -> None:
    made = stepedit.edit(bundle, clip, emotion="happy")
    assert made.rounds[0].text == "hello world"
    assert "these words were heard: hello world" in made.rounds[0].notes[0]
    assert ears.calls == 1
    given = stepedit.edit(bundle, clip, text="hello world", emotion="happy")
    assert made.final.clip.wave.equal(given.final.clip.wave)
    assert given.rounds[0].notes == made.rounds[0].notes[1:]


def test_a_plan_fills_it_too_and_only_where_the_model_needs_it(
    bundle: Bundle, clip: Clip, ears: Ears
) -> None:
    assert make_plan(bundle, clip, [HAPPY]).requests[0].text == "hello world"
    quiet = EditRequest(kind="denoise")
    make_plan(bundle, clip, [quiet])
    make_plan(bundle, clip, [EditRequest(kind="emotion", option="happy", text="hello")])
    assert ears.calls == 1


def test_a_wrong_option_is_said_before_anything_is_heard(
    bundle: Bundle, clip: Clip, ears: Ears
) -> None:
    with pytest.raises(ValueError, match="hapy"):
        stepedit.edit(bundle, clip, emotion="hapy")
    assert ears.calls == 0


def test_where_nothing_can_hear_the_remedy_is_named(bundle: Bundle, clip: Clip) -> None:
    with pytest.raises(ValueError, match=r"no words; .*Type the words .*STEPEDIT_RECOGNISER"):
        stepedit.edit(bundle, clip, emotion="happy")


def test_where_no_word_is_heard_it_is_said(bundle: Bundle, clip: Clip, ears: Ears) -> None:
    ears.words = ()
    with pytest.raises(ValueError, match="no word is heard in the clip"):
        stepedit.edit(bundle, clip, emotion="happy")


def test_words_that_do_not_fit_are_named_before_the_run(
    bundle: Bundle, clip: Clip, ears: Ears, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, listened.__name__):
        made = stepedit.edit(bundle, clip, text="hello morning", emotion="happy")
    assert "does not fit the sound at 'morning'" in caplog.messages[0]
    assert "'morning'" in made.rounds[0].notes[0]
    assert made.rounds[0].text == "hello morning"


def test_the_command_shows_and_reports_what_was_heard(
    bundles: Path, clip: Clip, ears: Ears, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.wav"
    soundfile.write(source, clip.wave.numpy(), clip.sample_rate)
    bundle = ["--bundle", str(bundles / "tiny"), "--emotion", "happy"]
    assert main(["edit", str(source), *bundle, "--out", str(tmp_path / "heard")]) == 0
    assert "these words were heard: hello world" in capsys.readouterr().err
    report = json.loads((tmp_path / "heard/report.json").read_text("utf-8"))
    assert report["transcript_heard"] == "hello world"
    assert report["plan"]["requests"][0]["text"] == "hello world"
    more = ["--text", "hello morning", "--recogniser", "there"]
    assert main(["edit", str(source), *bundle, *more, "--out", str(tmp_path / "given")]) == 0
    report = json.loads((tmp_path / "given/report.json").read_text("utf-8"))
    assert (report["plan"]["requests"][0]["text"], report["transcript_heard"]) == (
        "hello morning",
        "hello world",
    )
    assert "'morning'" in report["rounds"][0]["notes"][0]


def test_without_the_package_a_given_transcript_does_and_the_bundles_own_recogniser_hears(
    bundle: Bundle, clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in whisper.FILES:
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setitem(sys.modules, "faster_whisper", None)  # importing it fails
    monkeypatch.setenv(recognisers.VARIABLE, str(tmp_path))
    assert listen(bundle, clip, "hello world") == Listened(text="hello world")
    with pytest.raises(ValueError, match="faster-whisper, which is not installed"):
        listen(bundle, clip, "")
    with pytest.raises(ValueError, match="which is not installed"):
        listen(bundle, clip, "hello world", tmp_path)  # named for this run
    own = Ears("hello")
    monkeypatch.setattr(recognisers, "recogniser_of", lambda bundle, hooks: own)
    components = {**bundle.manifest.components, "recogniser": object()}
    monkeypatch.setattr(bundle, "manifest", replace(bundle.manifest, components=components))
    assert recognisers.recogniser_for(bundle) is own


@pytest.mark.parametrize(
    ("recogniser", "parts", "language"),
    [("letters", True, "en"), ("letters", False, ""), ("paraformer", True, "")],
)
def test_ears_listen_for_the_one_language_of_a_bundle(
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    recogniser: Literal["letters", "paraformer"],
    parts: bool,
    language: str,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        whisper, "open_whisper", lambda folder, *, language, hooks: asked.append(language)
    )
    components = {"recogniser": None} if parts else {}
    manifest = replace(bundle.manifest, recogniser=recogniser, components=components)
    of = SimpleNamespace(manifest=manifest)
    recogniser_for(of, "folder")  # type: ignore[arg-type]
    assert Run(bundle=of, recogniser="folder").ears is None  # type: ignore[arg-type]
    assert asked == [language, language]


def test_heard_words_in_strange_letters_are_said_to_be_heard(
    clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    nano = Registry([ASSETS], {}).load("nano", device="cpu")
    ears = SimpleNamespace(transcribe=lambda clip: (Word("\u0645\u0631", 0.1, 0.5, 0.9),))
    monkeypatch.setattr(whisper, "open_whisper", lambda folder, **how: ears)
    with pytest.raises(ValueError, match=r"' was heard, and 2 of the 2 letters .*\(--text\)"):
        plan_listened(nano, clip, [EditRequest(kind="emotion", option="happy")], "folder")
