"""Whole files and folders: errors at every step, full disks, links, rights, leftovers."""

from __future__ import annotations

import ast
import errno
import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import SafetensorError

from stepedit_core.files import whole
from stepedit_core.files.whole import (
    UNWRITABLE,
    DiskFullError,
    UnwritableError,
    ready_folder,
    whole_file,
    whole_folder,
    write_whole,
)

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


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
@pytest.mark.parametrize("step", ["open", "chmod", "replace"])
def test_a_place_that_cannot_be_written_to_is_said_without_the_systems_own_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    def fail(path: object, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(whole.os, step, fail)
    with pytest.raises(UnwritableError) as caught:
        write_whole(tmp_path / "a.txt", "new")
    assert str(caught.value) == UNWRITABLE.format(tmp_path)
    with pytest.raises(OSError, match="elsewhere"), whole.full_disk_said(tmp_path / "a.txt"):
        raise OSError(number, os.strerror(number), "/elsewhere/b.txt")  # what the block reads


def test_a_broken_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole.os, "fsync", fail_with(errno.EIO))
    with pytest.raises(
        UnwritableError, match=r"^'a\.txt' cannot be written \(Input/output error\)"
    ):
        write_whole(tmp_path / "a.txt", "new")


def test_a_file_past_the_limit_of_the_process_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole.os, "fsync", fail_with(errno.EFBIG))
    with pytest.raises(UnwritableError, match=r"^'a\.txt' would be larger than a file may be in"):
        write_whole(tmp_path / "a.txt", "new")
    with pytest.raises(UnwritableError, match=rf"^'one' would be larger .* in '{tmp_path}'"):
        fill(tmp_path / "out", "text")


def test_a_full_disk_is_one_sentence_with_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole.os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(
        DiskFullError,
        match=r"^disk full: 3\.0 MB needed in '.*', [\d.]+ MB free\. Free space",
    ) as caught:
        write_whole(tmp_path / "a.bin", bytes(3_000_000))
    assert f"'{tmp_path}'" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["open", "mkdir"])
def test_a_disk_that_is_full_before_the_first_byte_is_said_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    owner, write = (whole.os, write_whole) if step == "open" else (Path, fill)
    monkeypatch.setattr(owner, step, fail_with(errno.ENOSPC))
    with pytest.raises(DiskFullError, match=r"^disk full: .* MB free"):
        write(tmp_path / "a", "text")


@pytest.mark.parametrize(
    "error",
    [
        SafetensorError("Error: I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598"),
    ],
    ids=["safetensors", "torch.save"],
)
def test_a_full_disk_is_known_by_the_words_of_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(whole, "_free", lambda folder: 0)

    def write() -> None:
        with whole_file(tmp_path / "a", size=5_000_000) as part:
            part.write_bytes(bytes(2_000_000))  # what fitted goes away, so it counts as free
            raise error

    with pytest.raises(DiskFullError, match=r"^disk full: 5\.0 MB needed in '.*', 2\.0 MB free"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_libraries_stay_what_they_are(tmp_path: Path) -> None:
    error = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")
    with pytest.raises(RuntimeError, match="unexpected pos"), whole_file(tmp_path / "a"):
        raise error


def test_a_full_disk_names_the_folder_the_user_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole.os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(DiskFullError) as caught:
        fill(tmp_path / "out", "text")
    assert f"needed in '{tmp_path}'" in str(caught.value)


def test_a_file_is_synced_by_a_handle_that_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    monkeypatch.setattr(
        whole.os, "fsync", lambda handle: modes.append(fcntl.fcntl(handle, fcntl.F_GETFL))
    )
    write_whole(tmp_path / "a", "text")
    assert [mode & os.O_ACCMODE for mode in modes] == [os.O_RDWR]


def test_on_windows_the_age_of_a_leftover_decides_and_no_signal_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "_WINDOWS", True)
    monkeypatch.setattr(whole.os, "kill", lambda *_: pytest.fail("os.kill sends Ctrl+C there"))
    old, new = tmp_path / ".a.00000000.1.part", tmp_path / ".a.11111111.1.part"
    for part in (old, new):
        part.write_text("left")
    os.utime(old, (0, 0))
    (tmp_path / ".out.00000000.1.aside").mkdir()
    write_whole(tmp_path / "a", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == [new.name, "a", "out"]


def test_a_link_to_a_folder_is_replaced_and_what_it_led_to_stays(tmp_path: Path) -> None:
    fill(tmp_path / "big", "old")
    (tmp_path / "out").symlink_to(tmp_path / "big")
    fill(tmp_path / "out", "new")
    assert (tmp_path / "out" / "one").read_text() == "new"
    assert (tmp_path / "big" / "one").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big", "out"]


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


def test_lines_are_appended_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole.append(tmp_path / "a", "one\n")
    whole.append(tmp_path / "a", "two\n")
    monkeypatch.setattr(whole.os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(DiskFullError, match="disk full"):
        whole.append(tmp_path / "a", "three\n")
    assert (tmp_path / "a").read_text() == "one\ntwo\n"


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_lines_go_to_a_plain_file_alone(tmp_path: Path, kind: str) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    place = tmp_path / "a"
    {
        "link": lambda: place.symlink_to(other),
        "fifo": lambda: os.mkfifo(place),
        "folder": place.mkdir,
    }[kind]()
    with pytest.raises(ValueError, match="is not a plain file"):
        whole.append(place, "line\n")
    assert other.read_text() == "mine"


def test_a_folder_that_is_being_built_is_not_built_by_another(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out") as part:
        write_whole(part / "one", "first")
        with pytest.raises(ValueError, match="another run"):
            fill(tmp_path / "out", "second")
    assert (tmp_path / "out" / "one").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


ROOT = Path(__file__).parents[3]
WRITERS = {"stepedit_core/files/whole.py", "stepedit_core/bundle/saving.py"}
"""The files that may open something for writing, and the one that writes tensor by tensor."""


def opened_for_writing(code: str) -> list[int]:
    """Lines that write to a path without files/whole.py."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
        modes += [k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)]
        writes = any(isinstance(m, str) and re.fullmatch(r"[wax]b?\+?|r\+b?", m) for m in modes)
        copies = name in ("copy", "copyfile", "copy2", "copytree") and "shutil" in ast.dump(node)
        if (
            name in ("write_text", "write_bytes")
            or (name in ("open", "fdopen") and writes)
            or copies
        ):
            found.append(node.lineno)
    return found


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("path.write_text('x')", [1]),
        ("open(path, 'w')\npath.open('ab')", [1, 2]),
        ("open(path)\npath.open('rb')\nwrite_whole(path, 'w')", []),
        ("shutil.copyfile(a, b)", [1]),
    ],
)
def test_the_rule_against_other_writers_finds_them(code: str, lines: list[int]) -> None:
    assert opened_for_writing(code) == lines


def test_nobody_else_opens_files_for_writing() -> None:
    # these two write into a whole_file
    allowed = WRITERS | {"stepedit_core/bundle/write.py", "stepedit_core/audio/recording_files.py"}
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in ("stepedit_core", "nodes")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in allowed
        for line in opened_for_writing(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def nobody_makes(*_: object, **__: object) -> int:
    """As the system says it of a new file in /proc, whose rights allow one."""
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(_[0]))


def test_a_folder_in_which_no_file_can_be_made_is_said_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready_folder(tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(os, "open", nobody_makes)
    with pytest.raises(ValueError, match=f"^{re.escape(UNWRITABLE.format(tmp_path))}$"):
        ready_folder(tmp_path)


def test_an_error_at_the_hidden_file_names_the_one_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", nobody_makes)
    with pytest.raises(
        UnwritableError, match=rf"^'{tmp_path}/a\.wav' cannot be written \(No such file or direc"
    ):
        write_whole(tmp_path / "a.wav", b"1")
