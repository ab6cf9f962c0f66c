"""Data folders under two writers, full disks and links: one sentence, nothing lost."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from stepedit_core import cli
from stepedit_core.data import build as building
from stepedit_core.data.build import Task, TaskResult, build
from stepedit_core.data.shards import Dataset, Writer
from stepedit_core.files.lock import locked
from stepedit_core.files.whole import DiskFullError

from .examples import example


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def tasks(count: int) -> list[Task]:
    return [Task(line="{}", key=f"k{k}", folder="", number=k + 1) for k in range(count)]


@pytest.fixture(autouse=True)
def _worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders become examples without a model; the third one fails."""

    def work(todo: list[Task], *_: object, **__: object) -> list[TaskResult]:
        return [
            TaskResult(task=task, example=None, problem="bad")
            if task.number == 3
            else TaskResult(task=task, example=example(task.number - 1))
            for task in todo
        ]

    monkeypatch.setattr(building, "run_tasks", work)


def built(out: Path, count: int) -> dict[str, int]:
    setting = SimpleNamespace()
    with Writer(out, "tiny-1", None, 2) as writer:
        return build(tasks(count), writer, setting)  # type: ignore[arg-type]


def test_a_second_writer_is_refused_and_the_first_loses_nothing(tmp_path: Path) -> None:
    out = tmp_path / "d"
    with Writer(out, "tiny-1") as writer:
        writer.add(example(0))
        with pytest.raises(ValueError, match=r"another run .*is writing to 'd'"):
            Writer(out, "tiny-1")
        with pytest.raises(ValueError, match="another run"):
            built(out, 2)
        writer.add(example(1))
    assert len(Dataset(out)) == 2
    with Writer(out, "tiny-1") as writer:
        writer.add(example(2))
    assert len(Dataset(out)) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_writer_that_is_refused_leaves_no_lock(tmp_path: Path) -> None:
    with Writer(tmp_path / "d", "tiny-1") as writer:
        writer.add(example(0))
    for _ in range(2):
        with pytest.raises(ValueError, match="codes of codebook 'tiny-1'"):
            Writer(tmp_path / "d", "other-1")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_full_disk_ends_a_build_in_a_sentence_and_the_next_one_completes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "d"
    assert built(out, 2)["new"] == 2
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match=r"^disk full: .* needed"):
        built(out, 6)
    monkeypatch.undo()
    assert len(Dataset(out)) == 2
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_the_list_of_failures_follows_no_link_and_waits_for_no_pipe(
    tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "d"
    out.mkdir()
    other = tmp_path / "other"
    other.write_text("mine")
    if kind == "link":
        (out / "failed.jsonl").symlink_to(other)
    else:
        os.mkfifo(out / "failed.jsonl")
    assert built(out, 3)["failed"] == 1
    assert other.read_text() == "mine"
    assert json.loads((out / "failed.jsonl").read_text()) == {"line": 3, "problem": "bad"}


@pytest.mark.parametrize(
    "command",
    [
        ("data", "select", "{data}", "--out", "{out}"),
        ("train", "sft", "--config", "nano", "--set", "data=[{data}]", "--out", "{out}"),
    ],
    ids=lambda command: command[0],
)
def test_a_command_whose_folder_is_being_written_ends_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    with Writer(data, "tiny-1") as writer:
        writer.add(example(0))
    arguments = [part.format(data=data, out=out) for part in command]
    with locked(out):
        assert cli.main(arguments) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "another run" in said[0]
