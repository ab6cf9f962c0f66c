"""Tokens on the disk: what is saved comes back, other files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stepedit_core.files.tokens import KIND, load_tokens, save_tokens
from stepedit_core.types import DualCodes

CODES = DualCodes(
    linguistic=torch.tensor([0, 1023]),
    semantic=torch.tensor([0, 5, 4095]),
    codebook="nano-1",
)


def test_saved_codes_come_back_with_their_codebook(tmp_path: Path):
    save_tokens(CODES, tmp_path / "t.safetensors")
    again = load_tokens(tmp_path / "t.safetensors")
    assert again.linguistic.tolist() == [0, 1023]
    assert again.semantic.tolist() == [0, 5, 4095]
    assert again.codebook == "nano-1"
    assert [path.name for path in tmp_path.iterdir()] == ["t.safetensors"]


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="no file none"):
        load_tokens(tmp_path / "none")


@pytest.mark.parametrize("raw", [b"", b"RIFF....WAVE", b"\x80\x04pickle"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, raw: bytes):
    (tmp_path / "t").write_bytes(raw)
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load_tokens(tmp_path / "t")


def test_a_weight_file_is_refused(tmp_path: Path):
    save_file({"a": torch.zeros(2)}, tmp_path / "t")
    with pytest.raises(ValueError, match="contains no speech tokens"):
        load_tokens(tmp_path / "t")


@pytest.mark.parametrize(
    ("linguistic", "semantic", "match"),
    [
        ([0, 1024], [0, 0, 0], "linguistic codes outside 0 to 1023"),
        ([0, 1], [0, -1, 0], "semantic codes outside 0 to 4095"),
        ([[0, 1]], [0, 1, 0], r"linguistic codes as int16 of shape \(1, 2\)"),
        ([0, 1], [0, 1], "a group is 2 linguistic and 3 semantic"),
    ],
)
def test_codes_that_no_codebook_has_are_refused(
    tmp_path: Path, linguistic: list, semantic: list, match: str
):
    save_file(
        {
            "linguistic": torch.tensor(linguistic, dtype=torch.int16),
            "semantic": torch.tensor(semantic, dtype=torch.int16),
        },
        tmp_path / "t",
        metadata={"kind": KIND, "codebook": "x"},
    )
    with pytest.raises(ValueError, match=match):
        load_tokens(tmp_path / "t")
