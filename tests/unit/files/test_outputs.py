"""May this path be written? Inputs, files of others, folders, pipes, long names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stepedit_core.files.outputs import OWN, check_output, check_own, write_own


def link(path: Path) -> None:
    path.symlink_to(path.parent / "in.json")


def second_name(path: Path) -> None:
    os.link(path.parent / "in.json", path)


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("in.json", None, "is the input"),
        ("out.json", link, "is the input"),
        ("out.json", second_name, "is the input"),
        ("out.json", Path.mkdir, "is a folder; the result is one file"),
        ("out.json", os.mkfifo, "is a pipe; the result is a plain file"),
        ("out.json", lambda path: path.symlink_to("nowhere"), "is a dead link"),
        ("out.json", lambda path: path.write_text("mine"), "not as StepEdit wrote it"),
        ("out.txt", None, r"'out.txt' does not end in \.json"),
        ("n" * 240 + ".json", None, "has 245 bytes; 200 are allowed. Shorten it"),
        ("in.json/deeper/out.json", None, "is a file; expected is a folder"),
    ],
)
def test_what_a_result_never_replaces(
    tmp_path: Path, name: str, make: Callable[[Path], object] | None, words: str
) -> None:
    source = tmp_path / "in.json"
    source.write_text("input")
    out = tmp_path / name
    if make:
        make(out)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=words):
        check_output(out, [source], endings=(".json",))
    assert sorted(tmp_path.rglob("*")) == before
    assert source.read_text() == "input"


def test_an_older_result_and_with_overwrite_any_file_may_go(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    out.write_text("ours")
    check_output(out, ours=lambda path: path.read_text() == "ours")
    check_output(out, overwrite=True)
    check_output(tmp_path / "new" / "out.json")
    assert (tmp_path / "new").is_dir()
    out.unlink()
    out.mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        check_output(out, overwrite=True)


def test_a_folder_of_results_knows_what_was_written_there(tmp_path: Path) -> None:
    write_own(tmp_path, {"table.txt": "one"})
    check_own(tmp_path, ["table.txt", "absent"])
    write_own(tmp_path, {"table.txt": "two", "b.txt": b"\0"})
    check_own(tmp_path, ["table.txt", "b.txt"])
    (tmp_path / "table.txt").write_text("one")  # as a kill between the two writes leaves it
    check_own(tmp_path, ["table.txt"])
    (tmp_path / "table.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"'table.txt' in .* is not as StepEdit wrote it"):
        check_own(tmp_path, ["table.txt"])
    (tmp_path / OWN).write_text("{")
    with pytest.raises(ValueError, match=r"'b\.txt' in"):
        check_own(tmp_path, ["b.txt"])


def test_a_folder_of_results_keeps_what_is_read(tmp_path: Path) -> None:
    write_own(tmp_path, {"table.txt": "one"})
    with pytest.raises(ValueError, match="is the input"):
        check_own(tmp_path, ["table.txt"], [tmp_path / "table.txt"])
