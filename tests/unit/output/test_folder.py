"""The folder of a run: an older result stays until the new one is whole; nothing foreign goes."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from stepedit_core.bundle.manifest import sha256_of
from stepedit_core.files.whole import DiskFullError
from stepedit_core.output.folder import RunFolder
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Clip, DualCodes, Round
from tests.kills import events

BUNDLE = cast(
    Bundle,
    SimpleNamespace(name="tiny", sha256="0" * 64, device=torch.device("cpu"), precision="auto"),
)


def plan(rounds: int) -> Any:
    return SimpleNamespace(steps=[None] * rounds, as_json=lambda: {"rounds": rounds})


def made(level: float) -> Round:
    codes = DualCodes(
        linguistic=torch.zeros(2, dtype=torch.long),
        semantic=torch.zeros(3, dtype=torch.long),
        codebook="tiny",
    )
    clip = Clip(wave=torch.full((240,), level), sample_rate=24_000)
    return Round(clip=clip, codes=codes, request=None, score=None, seconds_elapsed=0.1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "in.wav"
    path.parent.mkdir()
    path.write_bytes(b"a recording")
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run" / "out"


def run(out: Path, source: Path, level: float, rounds: int = 2, stop: int | None = None) -> None:
    """A run whose samples are `level`; it fails before round `stop`."""
    with RunFolder(out, source, BUNDLE, plan(rounds), "edit") as folder:
        for number in range(rounds + 1):
            if number == stop:
                raise RuntimeError("stopped")
            folder.add(made(level))
        folder.finish()


def state(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def is_result(folder: Path) -> bool:
    """Whether all that the report names is there and as it says."""
    report = json.loads((folder / "report.json").read_text())
    rows = [row[key] for row in report["rounds"] for key in ("file", "tokens_file")]
    return all(sha256_of(folder / name) == report["files"][name] for name in rows)


# ---- files of other people -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["round_1.wav", "tokens_0.safetensors", "report.json"])
@pytest.mark.parametrize("report", ["none", "foreign", "naming", "older"])
def test_a_file_that_no_run_wrote_is_refused_and_kept(
    out: Path, source: Path, name: str, report: str
) -> None:
    out.mkdir(parents=True)
    if report == "older":
        run(out, source, 0.1)
    elif report == "naming":
        rows = [{"file": "round_1.wav", "tokens_file": "tokens_0.safetensors"}]
        (out / "report.json").write_text(json.dumps({"stepedit": "1", "rounds": rows}))
    elif report == "foreign":
        (out / "report.json").write_text('{"mine": 1}')
    (out / name).write_text("my own")
    before = state(out)
    with pytest.raises(ValueError, match=r"is not as a run of StepEdit wrote it.*another --out"):
        run(out, source, 0.2)
    assert state(out) == before


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_what_is_not_a_plain_file_is_refused_and_kept(
    out: Path, source: Path, tmp_path: Path, kind: str
) -> None:
    run(out, source, 0.1)
    place = out / "round_1.wav"
    kept = place.rename(tmp_path / "kept.wav")
    {
        "link": lambda: place.symlink_to(kept),
        "folder": place.mkdir,
        "fifo": lambda: os.mkfifo(place),
    }[kind]()
    with pytest.raises(ValueError, match="is not as a run of StepEdit wrote it"):
        run(out, source, 0.2)
    assert os.path.lexists(place)
    assert kept.exists()


def test_a_report_that_is_a_pipe_is_not_waited_for(out: Path, source: Path) -> None:
    out.mkdir(parents=True)
    os.mkfifo(out / "report.json")
    with pytest.raises(ValueError, match=r"'report\.json'"):
        run(out, source, 0.1)


@pytest.mark.parametrize("name", ["thesis.txt", "../in/in.wav", "/etc/hostname", "sub/round_1.wav"])
def test_a_report_names_only_files_of_a_run_for_removal(out: Path, source: Path, name: str) -> None:
    run(out, source, 0.1, rounds=3)
    (out / "thesis.txt").write_text("mine")
    (out / "sub").mkdir()
    (out / "sub" / "round_1.wav").write_text("mine")
    report = json.loads((out / "report.json").read_text())
    report["files"][name] = sha256_of(out / name) if (out / name).is_file() else "0"
    (out / "report.json").write_text(json.dumps(report))
    run(out, source, 0.2, rounds=1)
    assert (out / "thesis.txt").read_text() == (out / "sub" / "round_1.wav").read_text() == "mine"
    assert source.read_bytes() == b"a recording"
    assert not (out / "round_3.wav").exists()


def test_a_wave_that_its_user_changed_is_not_replaced(out: Path, source: Path) -> None:
    run(out, source, 0.1)
    (out / "round_1.wav").write_bytes(b"cut and cleaned")
    with pytest.raises(ValueError, match=r"'round_1\.wav'"):
        run(out, source, 0.2)
    assert (out / "round_1.wav").read_bytes() == b"cut and cleaned"


def test_a_file_that_appears_during_the_run_is_kept(out: Path, source: Path) -> None:
    run(out, source, 0.1)
    with RunFolder(out, source, BUNDLE, plan(1), "edit") as folder:
        folder.add(made(0.2))
        folder.add(made(0.2))
        (out / "notes.txt").write_text("mine")
        folder.finish()
    assert (out / "notes.txt").read_text() == "mine"
    assert is_result(out)


def test_a_file_of_ours_that_changes_during_the_run_stops_its_end(out: Path, source: Path) -> None:
    run(out, source, 0.1)
    folder = RunFolder(out, source, BUNDLE, plan(1), "edit")

    def work() -> None:
        with folder:
            folder.add(made(0.2))
            folder.add(made(0.2))
            (out / "round_1.wav").write_bytes(b"mine")
            folder.finish()

    with pytest.raises(ValueError, match=r"'round_1\.wav'"):
        work()
    assert (out / "round_1.wav").read_bytes() == b"mine"
    assert folder.kept is not None
    assert is_result(folder.kept)


@pytest.mark.parametrize("link", [False, True], ids=["itself", "by a link"])
def test_an_input_among_the_files_of_the_run_is_refused(
    out: Path, source: Path, tmp_path: Path, link: bool
) -> None:
    run(out, source, 0.1)
    recording = out / "round_1.wav"
    if link:
        (tmp_path / "x.wav").symlink_to(recording)
        recording = tmp_path / "x.wav"
    before = state(out)
    with pytest.raises(ValueError, match="lies in --out out"):
        run(out, recording, 0.2)
    assert state(out) == before


# ---- the older result ------------------------------------------------------------------------


@pytest.mark.parametrize("other", [False, True], ids=["alone", "with other files"])
def test_a_finished_run_takes_the_place_of_the_older_one(
    out: Path, source: Path, other: bool
) -> None:
    run(out, source, 0.1, rounds=3)
    before = state(out)
    if other:
        (out / "notes.txt").write_text("mine")
    run(out, source, 0.2, rounds=1)
    after = state(out)
    assert is_result(out)
    assert set(before) - set(after) == {
        f"{stem}_{k}.{end}"
        for k in (2, 3)
        for stem, end in (("round", "wav"), ("tokens", "safetensors"))
    }
    assert after["round_1.wav"] != before["round_1.wav"]
    assert ("notes.txt" in after) == other
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("stop", [0, 1])
def test_a_run_that_fails_early_leaves_the_older_result_alone(
    out: Path, source: Path, stop: int
) -> None:
    run(out, source, 0.1)
    before = state(out)
    with pytest.raises(RuntimeError):
        run(out, source, 0.2, stop=stop)
    assert state(out.parent) == {f"out/{name}": raw for name, raw in before.items()}


def test_rounds_of_a_run_stopped_over_an_older_result_are_kept_beside_it(
    out: Path, source: Path
) -> None:
    run(out, source, 0.1)
    before = state(out)
    for name in ("out-unfinished", "out-unfinished-2"):
        with pytest.raises(RuntimeError):
            run(out, source, 0.2, rounds=3, stop=2)
        assert state(out) == before
        assert is_result(out.parent / name)
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "out",
        "out-unfinished",
        "out-unfinished-2",
    ]


def test_without_an_older_result_rounds_appear_as_they_are_made(out: Path, source: Path) -> None:
    with RunFolder(out, source, BUNDLE, plan(2), "edit") as folder:
        for number in range(3):
            folder.add(made(0.1))
            assert is_result(out)
            assert (out / f"round_{number}.wav").exists()
        assert not json.loads((out / "report.json").read_text())["finished"]
        folder.finish()
    assert json.loads((out / "report.json").read_text())["finished"]
    assert len(state(out.parent)) == 7


def test_a_full_disk_leaves_the_older_result(
    out: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(out, source, 0.1)
    before = state(out)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match="disk full"):
        run(out, source, 0.2)
    assert state(out.parent) == {f"out/{name}": raw for name, raw in before.items()}


def test_two_runs_into_one_folder_are_one_run_and_one_sentence(out: Path, source: Path) -> None:
    with RunFolder(out, source, BUNDLE, plan(1), "edit") as folder:
        folder.add(made(0.1))
        with pytest.raises(ValueError, match="another run"):
            run(out, source, 0.2)
        folder.add(made(0.1))
        folder.finish()
    assert is_result(out)


def test_a_folder_in_which_nothing_was_begun_is_not_left(out: Path, source: Path) -> None:
    with pytest.raises(RuntimeError):
        run(out, source, 0.1, stop=0)
    assert not out.exists()


# ---- kills -----------------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path: Path, out: Path, source: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with an older result, with other files beside it where the parameter says so."""
    if request.param != "new":
        run(out, source, 0.1, rounds=2)
    else:
        out.mkdir(parents=True)
    if request.param == "mixed":
        (out / "notes.txt").write_text("mine")
    return Path(shutil.copytree(out.parent, tmp_path / "start"))


@pytest.mark.parametrize("start", ["new", "alone", "mixed"], indirect=True)
def test_a_kill_at_any_event_leaves_a_whole_result_and_the_next_run_cleans_up(
    start: Path, out: Path, source: Path
) -> None:
    older_state = state(start / "out")
    is_new, is_mixed = "report.json" not in older_state, "notes.txt" in older_state

    def work() -> None:
        run(out, source, 0.2, rounds=1)

    total = events(work)
    newer_state = state(out)
    assert total > 20
    broken = 0
    for number in range(total):
        shutil.rmtree(out.parent)
        shutil.copytree(start, out.parent)
        assert events(work, kill_at=number) == -1
        seen = (
            {name: raw for name, raw in state(out).items() if not name.startswith(".")}
            if out.exists()
            else {}
        )
        whole = "report.json" in seen and is_result(out)
        if is_new:
            assert whole or "report.json" not in seen
        elif seen != older_state and not (whole and set(seen) == set(newer_state)):
            broken += 1  # between two renames: no report lies beside files of another run
            assert "report.json" not in seen
        assert is_mixed == ("notes.txt" in seen) or not seen
        run(out, source, 0.3, rounds=1)
        assert is_result(out)
        assert [path.name for path in out.parent.iterdir()] == ["out"]
        assert set(state(out)) == set(newer_state)
    if not is_mixed:
        assert broken <= 1
