"""faster-whisper behind the protocol, with the package replaced by one that says fixed words."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from stepedit_core.measure.timeline import Recogniser
from stepedit_core.measure.whisper import FILES, WhisperRecogniser, open_whisper
from stepedit_core.types import Clip

CLIP = Clip(wave=torch.full((24_000,), 0.1), sample_rate=24_000)


def word(text: str, start: float, end: float, probability: float = 0.9) -> SimpleNamespace:
    return SimpleNamespace(word=text, start=start, end=end, probability=probability)


class Model:
    """What the package returns: pieces of words, and about the language."""

    def __init__(self, *pieces: list[SimpleNamespace]) -> None:
        self.pieces = pieces
        self.asked: dict[str, Any] = {}

    def transcribe(self, wave: np.ndarray, **how: Any) -> tuple[Any, None]:
        self.asked = {"samples": len(wave), "type": wave.dtype.name, **how}
        return (SimpleNamespace(words=piece) for piece in self.pieces), None


def test_words_come_without_spaces_in_order_and_inside_the_clip():
    model = Model(
        [word(" So", 0.0, 0.2), word(" happy,", 0.1, 0.4, 1.2), word(" -", 0.4, 0.5)],
        [word(" now", 0.7, 1.4, 0.5), word(" late", 1.5, 1.6)],
    )
    recogniser: Recogniser = WhisperRecogniser(model, language="en")
    words = recogniser.transcribe(CLIP)
    assert [w.text for w in words] == ["So", "happy,", "now"]
    assert [w.confidence for w in words] == [0.9, 1.0, 0.5]
    times = [time for w in words for time in (w.start, w.end)]
    assert times == sorted(times)
    assert times[-1] <= 1.0
    assert all(w.end > w.start for w in words)
    assert model.asked["samples"] == 16_000
    assert model.asked["type"] == "float32"
    assert model.asked["language"] == "en"
    assert model.asked["word_timestamps"] is True


def test_a_model_that_was_not_copied_to_its_end_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in FILES:
        (tmp_path / name).write_text("{}")

    def damaged(*_: Any, **__: Any) -> None:
        raise RuntimeError("Variable 'decoder/weight' has an invalid payload size")

    package = ModuleType("faster_whisper")
    package.WhisperModel = damaged  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faster_whisper", package)
    with pytest.raises(ValueError, match=r"cannot be read: it is damaged.* Copy the folder again"):
        open_whisper(tmp_path)


def test_characters_that_come_together_are_divided():
    words = WhisperRecogniser(Model([word("你好", 0.2, 0.6)])).transcribe(CLIP)
    assert [(w.text, w.confidence) for w in words] == [("你", 0.9), ("好", 0.9)]
    assert words[0].end == pytest.approx(0.4)


def test_without_a_language_the_model_hears_which():
    model = Model([])
    assert WhisperRecogniser(model).transcribe(CLIP) == ()
    assert model.asked["language"] is None


def test_a_transcript_takes_the_times():
    model = Model([word(" so", 0.1, 0.3), word(" happy", 0.3, 0.6)])
    made = WhisperRecogniser(model).align(CLIP, "So HAPPY!")
    assert [w.text for w in made] == ["So", "HAPPY!"]
    assert made == tuple(
        type(w)(text, w.start, w.end, w.confidence)
        for text, w in zip(["So", "HAPPY!"], WhisperRecogniser(model).transcribe(CLIP), strict=True)
    )


def test_a_run_that_is_cancelled_stops_between_pieces():
    class Stop(Exception):
        pass

    class Hooks:
        def progress(self, stage: str, done: int, total: int) -> None: ...

        def check(self) -> None:
            raise Stop

    with pytest.raises(Stop):
        WhisperRecogniser(Model([word(" so", 0.1, 0.3)]), hooks=Hooks()).transcribe(CLIP)


class TestOpen:
    """A model folder."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name in FILES:
            (tmp_path / name).write_bytes(b"")
        return tmp_path

    def test_the_weights_are_the_users_and_nothing_is_downloaded(self, folder, monkeypatch):
        package, asked = ModuleType("faster_whisper"), {}
        package.WhisperModel = lambda path, **how: asked.update(path=path, **how)
        monkeypatch.setitem(sys.modules, "faster_whisper", package)
        open_whisper(folder, device="cpu")
        assert asked == {"path": str(folder), "device": "cpu", "local_files_only": True}

    def test_a_folder_that_is_not_a_model_is_refused(self, folder):
        (folder / "tokenizer.json").unlink()
        with pytest.raises(ValueError, match=r"lacks tokenizer.json; a .* Name such a folder"):
            open_whisper(folder)

    def test_without_the_package_the_command_to_install_it_is_said(self, folder, monkeypatch):
        monkeypatch.setitem(sys.modules, "faster_whisper", None)
        with pytest.raises(ValueError, match=r"not installed. Run: .* install .*faster-whisper"):
            open_whisper(folder)

    @pytest.mark.parametrize("damaged", [False, True])
    def test_its_warnings_at_loading_are_not_printed(self, folder, monkeypatch, damaged):
        engine = ModuleType("ctranslate2")
        levels = [30]
        engine.get_log_level = lambda: levels[-1]
        engine.set_log_level = levels.append

        def load(path, **how):
            assert levels[-1] == 40
            if damaged:
                raise RuntimeError("no")

        package = ModuleType("faster_whisper")
        package.WhisperModel = load
        monkeypatch.setitem(sys.modules, "faster_whisper", package)
        monkeypatch.setitem(sys.modules, "ctranslate2", engine)
        with pytest.raises(ValueError, match="cannot be read") if damaged else nullcontext():
            open_whisper(folder)
        assert levels == [30, 40, 30]
