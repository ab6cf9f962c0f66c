"""Writing a bundle: whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from stepedit_core.bundle.manifest import file_of, read_manifest, verify
from stepedit_core.bundle.parts import build_part
from stepedit_core.bundle.write import write_bundle


def test_a_failed_write_leaves_nothing_and_keeps_the_old_bundle(copy: Path, tmp_path: Path):
    about = read_manifest(copy)
    parts: dict[str, Any] = {part: copy / file_of(part) for part in about.parts}
    parts["flow"] = nn.Linear(2, 2)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ValueError, match="does not fit"):
        write_bundle(copy, about, parts, copy / "tokenizer.model")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    verify(copy)


def test_writing_again_replaces_the_whole_bundle(copy: Path, tmp_path: Path):
    about = read_manifest(copy)
    (copy / "stray.txt").write_text("old")
    parts = {part: build_part(about, part, empty=False) for part in about.parts}
    model = tmp_path / "t.model"
    shutil.copyfile(copy / "tokenizer.model", model)
    write_bundle(copy, about, parts, model)
    assert not (copy / "stray.txt").exists()
    assert verify(copy).files["flow.safetensors"] != about.files["flow.safetensors"]
