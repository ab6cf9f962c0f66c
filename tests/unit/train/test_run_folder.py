"""A run folder on a full disk: a sentence, and what was there stays."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from stepedit_core.files.whole import DiskFullError
from stepedit_core.train import run_folder
from stepedit_core.train.run_folder import append_curve, write_state


@pytest.mark.parametrize("what", ["state", "curve"])
def test_a_full_disk_is_a_sentence_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    write_state(tmp_path / "state.pt", {"step": 1, "w": torch.zeros(1000)})
    append_curve(tmp_path, 0, {"loss": 1.0}, 0.1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    def write() -> None:
        if what == "state":
            write_state(tmp_path / "state.pt", {"step": 2, "w": torch.ones(1000)})
        else:
            append_curve(tmp_path, 1, {"loss": 0.5}, 0.2)

    with pytest.raises(DiskFullError, match=r"^disk full: .* needed in"):
        write()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_of_data_is_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(ValueError, match="is a folder of data; a run needs a folder of its own"):
        run_folder.agree(tmp_path, {"recipe": "sft"})
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]
