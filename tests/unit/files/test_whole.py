"""Whole files and folders: errors at every step, full disks, links, rights, leftovers."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stepedit_core.files import whole
from stepedit_core.files.whole import DiskFullError, whole_file, whole_folder, write_whole

STEPS = ("chmod", "fsync", "replace")


def fail_with(number: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_text_is_written_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.txt", "grüße")
    assert (tmp_path / "a.txt").read_bytes() == "grüße".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("step", STEPS)
def test_an_error_at_any_step_leaves_the_older_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    write_whole(tmp_path / "a.txt", "old")
    monkeypatch.setattr(whole.os, step, fail_with(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write_whole(tmp_path / "a.txt", "new")
    monkeypatch.undo()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_one_sentence_with_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole.os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(
        DiskFullError, match=r"disk full: 3\.0 MB needed, .* MB free where 'a\.bin'"
    ):
        write_whole(tmp_path / "a.bin", bytes(3_000_000))
    assert list(tmp_path.iterdir()) == []


def test_rights_follow_the_umask_whatever_the_writer_did(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with whole_file(tmp_path / "a") as part:
            part.unlink()
            part.write_text("made anew")
            part.chmod(0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_a_link_at_the_temporary_name_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    (tmp_path / ".a.trap.part").symlink_to(other)
    monkeypatch.setattr(whole, "_hidden_name", lambda name, suffix: f".{name}.trap{suffix}")
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "a", "new")
    assert other.read_text() == "mine"


def killed_at(tmp_path: Path, step: str, code: str, call: int = 1) -> None:
    """Run code in a process that dies where it would make this call for the n-th time."""
    program = (
        "import os, signal\nfrom stepedit_core.files import whole\n"
        f"real, calls = os.{step}, []\n"
        "def die(*a, **k):\n"
        "    calls.append(1)\n"
        f"    if len(calls) == {call}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(*a, **k)\n"
        f"os.{step} = die\n{code}"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], check=False
    )
    assert run.returncode == -9


@pytest.mark.parametrize("step", STEPS)
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path, step: str) -> None:
    write_whole(tmp_path / "a", "old")
    killed_at(tmp_path, step, f"whole.write_whole({str(tmp_path / 'a')!r}, 'new')")
    assert (tmp_path / "a").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    write_whole(tmp_path / "a", "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def fill(folder: Path, text: object) -> None:
    with whole_folder(folder) as part:
        write_whole(part / "one", text)


def test_a_folder_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    fill(tmp_path / "out", "old")
    fill(tmp_path / "out", "new")
    assert (tmp_path / "out" / "one").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("call", [1, 2], ids=["before the older one steps aside", "after it"])
def test_a_swap_that_is_killed_leaves_the_older_folder_or_its_way_back(
    tmp_path: Path, call: int
) -> None:
    fill(tmp_path / "out", "old")
    killed_at(
        tmp_path,
        "rename",
        f"with whole.whole_folder({str(tmp_path / 'out')!r}) as part:\n"
        "    whole.write_whole(part / 'one', 'new')",
        call,
    )
    whole.restore(tmp_path)
    assert (tmp_path / "out" / "one").read_text() == "old"
    fill(tmp_path / "out", "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_folder_leaves_the_older_one(tmp_path: Path) -> None:
    fill(tmp_path / "out", "old")
    with pytest.raises(TypeError):
        fill(tmp_path / "out", ["not a text"])
    assert (tmp_path / "out" / "one").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_swap_that_fails_half_way_puts_the_older_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "out", "old")
    rename, calls = os.rename, []

    def second_fails(source: str, goal: str) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise OSError(errno.EIO, "trouble")
        rename(source, goal)

    monkeypatch.setattr(whole.os, "rename", second_fails)
    with pytest.raises(OSError, match="trouble"):
        fill(tmp_path / "out", "new")
    assert (tmp_path / "out" / "one").read_text() == "old"


def test_a_living_process_keeps_its_temporary_files(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a") as part:
        part.write_text("first")
        write_whole(tmp_path / "a", "second")
        assert part.exists()
    assert (tmp_path / "a").read_text() == "first"
