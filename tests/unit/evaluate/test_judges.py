"""Judges and figures: found by name, and a sentence where they are not there."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from stepedit_core.evaluate.judges import (
    figures_of,
    load_judge_function,
    quality,
)
from stepedit_core.types import Clip

from .material import tone


def test_an_external_judge_is_named_by_module_and_function(monkeypatch: pytest.MonkeyPatch):
    module = ModuleType("plugged")
    module.hear = lambda source, result, label: 0.25  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "plugged", module)
    assert load_judge_function("plugged:hear")(tone(100), tone(100), "x") == 0.25
    for name in ("plugged", "plugged:absent", "no_such_module:hear"):
        with pytest.raises(ValueError, match=r"PACKAGE\.MODULE:FUNCTION is expected"):
            load_judge_function(name)


@pytest.mark.parametrize(
    ("name", "package", "words"),
    [
        ("similarity", "resemblyzer", '-m pip install "resemblyzer"`'),
        ("mos", "distillmos", '-m pip install "distillmos"`'),
        ("wer", "", r"\$WHISPER_BASE names none"),
        ("beauty", "", "'beauty' is unknown; allowed are wer, similarity and mos"),
    ],
)
def test_figures_that_cannot_be_had_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str, words: str
):
    monkeypatch.delenv("WHISPER_BASE", raising=False)
    if package:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=words):
        figures_of((name,))


def test_quality_is_had_without_torchaudio(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "torchaudio.py").write_text("raise OSError('made for another torch')")
    (tmp_path / "distillmos.py").write_text(
        "import torch, torchaudio\n"
        "class ConvTransformerSQAModel(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return x.amax(dim=1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("torchaudio", "distillmos"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert quality()(Clip(wave=torch.full((8000,), 0.5), sample_rate=16_000)) == 0.5
    assert "torchaudio" not in sys.modules
    sys.modules.pop("distillmos")
