"""One writer in a folder; a lock ends with its process, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stepedit_core.files.lock import Lock, locked

HELD = (
    "import sys\nfrom stepedit_core.files.lock import Lock\n"
    "lock = Lock(sys.argv[1])\nprint('held', flush=True)\nsys.stdin.read()"
)


def test_a_second_writer_gets_one_sentence_and_the_third_gets_in(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with locked(out), pytest.raises(ValueError, match=rf"process {os.getpid()}.*'out'.*Wait"):
        Lock(out)
    with locked(out):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert list(out.iterdir()) == []


def test_an_error_in_the_block_lets_the_next_in(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "out"):
        raise KeyError
    Lock(tmp_path / "out").release()


def test_the_lock_of_a_killed_process_does_not_block(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HELD, str(tmp_path / "out")],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match=rf"process {holder.pid}"):
        Lock(tmp_path / "out")
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert (tmp_path / ".out.lock").exists()
    Lock(tmp_path / "out").release()
    assert list(tmp_path.iterdir()) == []


def test_a_number_of_a_living_process_in_a_left_file_does_not_block(tmp_path: Path) -> None:
    (tmp_path / ".out.lock").write_text("1")
    Lock(tmp_path / "out").release()


def test_one_path_has_one_lock_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with locked("out"), pytest.raises(ValueError, match="another run"):
        Lock(tmp_path / "x" / ".." / "out")


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_a_link_or_a_pipe_in_the_place_of_the_lock_is_not_followed(
    tmp_path: Path, kind: str
) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    if kind == "link":
        (tmp_path / ".out.lock").symlink_to(other)
    else:
        os.mkfifo(tmp_path / ".out.lock")
    with pytest.raises((ValueError, OSError)):
        Lock(tmp_path / "out")
    assert other.read_text() == "mine"


def test_where_the_parent_may_not_be_written_to_the_lock_lies_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    real = os.open

    def refuse(path: Path, *rest: int) -> int:
        if Path(path).parent == tmp_path:
            raise PermissionError(13, "Permission denied")
        return real(path, *rest)

    monkeypatch.setattr(os, "open", refuse)
    with locked(out), pytest.raises(ValueError, match="another run"):
        Lock(out)
    assert list(out.iterdir()) == []
