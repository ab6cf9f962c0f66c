"""The gate for files of other people: what it refuses, in words of ours."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stepedit_core.files.reading import (
    UnreadableFileError,
    parse_json,
    read_bytes,
    read_lines,
    read_object,
)
from stepedit_core.files.states import read_state
from stepedit_core.files.tensors import read_header, read_tensors

SEPARATORS = "one\u2028two\x85three\x0bfour\x1cfive"


def test_a_line_ends_at_a_line_feed_and_nowhere_else(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    path.write_text(f"{SEPARATORS}\n\n last", encoding="utf-8")
    assert [tuple(line) for line in read_lines(path)] == [(1, SEPARATORS), (3, " last")]


def test_a_torn_last_line_is_said_where_all_must_be_whole(tmp_path: Path):
    (tmp_path / "x").write_text("{}\n{", "utf-8")
    with pytest.raises(ValueError, match="'x' is torn: its last line has no end"):
        read_lines(tmp_path / "x", whole=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "x is not JSON .wrong at line 1, column 2.. Do."),
        ('{"a": 1, "a": 2}', "x has the key 'a' twice. Do."),
        ("[NaN]", "x has NaN, which is not a number. Do."),
        ("[-Infinity]", "x has -Infinity, which is not a number"),
        ("[1e999]", "x has the number 1e999, which is too large"),
        ("1" * 10_000, "x has a number of 10000 digits; 40 are allowed"),
        ("[" * 100_000, "x is nested too deep; 40 is allowed"),
        ("[" * 41 + "]" * 41, "x is nested too deep; 40 is allowed"),
        ('["\\ud83d"]', "x has half of a letter in a text"),
        ('{"\\ud83d": 1}', "x has half of a letter in a text"),
    ],
)
def test_json_that_nobody_means_is_refused(text: str, said: str):
    with pytest.raises(ValueError, match=said):
        parse_json(text, "x", "Do.")


def test_json_within_the_limits_is_read():
    assert parse_json('{"a": [1, 2.5, "\\ud83d\\ude42", null]}', "x") == {"a": [1, 2.5, "🙂", None]}


def test_what_is_not_a_plain_file_is_said_and_never_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="'pipe' is not a plain file"):
        read_bytes(tmp_path / "pipe")
    with pytest.raises(ValueError, match="'folder' is a folder"):
        read_bytes(tmp_path / "folder")
    with pytest.raises(UnreadableFileError, match=r"^no file is at 'none'\. Check the path"):
        read_bytes(tmp_path / "none", remedy="Look.")


def test_a_file_beyond_its_limit_or_not_utf8_is_said(tmp_path: Path):
    (tmp_path / "x").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ValueError, match="'x' has 10 bytes; allowed are 9"):
        read_object(tmp_path / "x", 9)
    with pytest.raises(ValueError, match=r"'x' is not UTF-8 text .byte 8 is not."):
        read_object(tmp_path / "x")


def edited(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"[2,3]", b"[2,4]", "gives 'a' 24 bytes; its shape and dtype need 32"),
        (b"[2,3]", b"[2,-]", "is not JSON"),
        (b'"F32"', b'"F99"', "stores 'a' as F99; allowed are F16"),
        (b"[24,32]", b"[25,33]", "tensors that overlap or leave a gap"),
    ],
)
def test_a_header_that_does_not_fit_its_file_is_refused(
    tmp_path: Path, old: bytes, new: bytes, said: str
):
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.ones(2, 3), "b": torch.ones(2)}, path)
    edited(path, old, new)
    with pytest.raises(ValueError, match=said):
        read_header(path)


def test_tensors_are_those_expected_and_finite(tmp_path: Path):
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.tensor([1.0, float("nan")])}, path)
    with pytest.raises(ValueError, match="NaN or infinity in the tensor 'a'"):
        read_tensors(path)
    with pytest.raises(ValueError, match="lacks the tensor 'b'; expected are a, b"):
        read_tensors(path, ("a", "b"))


def test_a_member_that_inflates_is_refused_before_it_is_read(tmp_path: Path):
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x/data.pkl", bytes(10**6))
    with pytest.raises(ValueError, match=r"'x.pt' has compressed members"):
        read_state(path)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (5, "'x.pt' has int, not named tensors"),
        ({1: torch.ones(1)}, "not named tensors"),
        ({"a": torch.eye(2).to_sparse()}, "'a' as float32 without its numbers; plain tensors"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "'a' as complex64"),
        ({"a": torch.ones(1).expand(10**6, 10**6)}, "'a' as float32"),
        ({"a": [{"b": torch.ones(1, device="meta")}]}, "'a.0.b' as float32 without its numbers"),
    ],
)
def test_a_state_has_named_plain_tensors(tmp_path: Path, value: object, said: str):
    torch.save(value, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=said):
        read_state(tmp_path / "x.pt")
