"""Weights that are written tensor by tensor: a full disk is one sentence, and the run resumes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stepedit_core.bundle import saving
from stepedit_core.bundle.saving import Entry, stream_module
from stepedit_core.files.whole import DiskFullError


def test_a_full_disk_is_one_sentence_and_the_next_run_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def entry(name: str) -> Entry:
        def make() -> torch.Tensor:
            made.append(name)
            return torch.ones(3)

        return Entry(name=name, shape=(3,), dtype=torch.float32, make=make)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path, rows = tmp_path / "a.safetensors", [entry("one"), entry("two")]
    monkeypatch.setattr(saving.os, "fsync", full)
    with pytest.raises(DiskFullError, match=r"^disk full: .* MB free in '.*'. Free space"):
        stream_module(path, rows)
    assert not path.exists()
    monkeypatch.undo()
    stream_module(path, rows)
    assert made == ["one", "two"]
    assert set(load_file(path)) == {"one", "two"}
