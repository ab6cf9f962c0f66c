"""Writing a bundle: whole or not at all."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from stepedit_core.bundle import write
from stepedit_core.bundle.manifest import file_of, read_manifest, verify
from stepedit_core.bundle.parts import build_part
from stepedit_core.bundle.write import write_bundle
from stepedit_core.registry.registry import Registry
from tests.kills import events


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


@pytest.mark.parametrize("older", [True, False], ids=["over an older one", "new"])
def test_an_export_that_is_killed_at_any_event_leaves_a_whole_bundle_and_no_hidden_one(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older: bool
):
    """A bundle of small files: what is written, in which order, is that of a large one."""
    monkeypatch.setattr(write, "load_part", lambda *_, **__: None)
    monkeypatch.setattr(write, "check_files", lambda _: None)
    start, place = read_manifest(copy), tmp_path / "models" / "out"
    small = tmp_path / "small"
    small.write_bytes(b"weights")
    parts = dict.fromkeys(start.parts, small)

    def export(version: str) -> None:
        write_bundle(place, replace(start, description=version), parts, small)

    def version() -> str:
        found = [entry for entry in Registry([place.parent], {}).list() if entry.folder == place]
        return read_manifest(place).description if found else ""

    if older:
        export("older")
    total = events(lambda: export("newer"))
    assert total > 20
    for number in range(total):
        shutil.rmtree(place.parent)
        if older:
            export("older")
        assert events(lambda: export("newer"), kill_at=number) == -1
        if older and not place.exists():
            assert Registry([], {}).locate(str(place)).folder == place
        assert version() in ("older" if older else "", "newer")
        export("last")
        assert [path.name for path in place.parent.iterdir()] == ["out"]
        assert read_manifest(place).description == "last"
