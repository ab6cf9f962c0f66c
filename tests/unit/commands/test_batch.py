"""`stepedit batch`: a folder times sets of edits, errors of one clip, several workers."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
import soundfile

from stepedit_core.cli import main
from stepedit_core.files import whole
from stepedit_core.files.whole import DiskFullError
from stepedit_core.measure import recognisers
from stepedit_core.output.script import LineTask, ScriptRun, run_script
from stepedit_core.pipelines.grid import grid_lines, label
from stepedit_core.pipelines.script_lines import edits_of
from stepedit_core.registry.registry import Registry
from tests.unit.conftest import voiced


@pytest.fixture(autouse=True)
def _no_ears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(recognisers.VARIABLE, raising=False)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, pitch in (("a", 120.0), ("b", 180.0)):
        soundfile.write(folder / f"{name}.wav", voiced(0.6, 16_000, pitch).numpy(), 16_000)
        (folder / f"{name}.txt").write_text("hello\nworld\n", "utf-8")
    (folder / "broken.flac").write_bytes(b"not a sound")
    (folder / "notes.md").write_text("nothing", "utf-8")
    return folder


def batch(clips: Path, bundles: Path, out: str, *more: str) -> int:
    bundle = ["--bundle", str(bundles / "tiny"), "--out", str(clips.parent / out)]
    return main(["batch", str(clips), *bundle, *more])


def manifest(clips: Path, out: str) -> list[dict[str, Any]]:
    value = json.loads((clips.parent / out / "script.json").read_text("utf-8"))
    found: list[dict[str, Any]] = value["lines"]
    return found


SETS = ("--edits", "emotion:happy", "--edits", "speed:faster engine=signal; trim_silence")


def test_the_same_edits_twice_are_refused_once(
    clips: Path, bundles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = ("--edits", "emotion:happy", "--edits", "emotion:happy")
    assert batch(clips, bundles, "out", *twice) == 2
    assert "two sets of edits would give the name 'emotion-happy'" in capsys.readouterr().err
    assert not (clips.parent / "out").exists()


def test_each_clip_is_edited_by_each_set_and_a_bad_one_is_its_own_error(
    clips: Path, bundles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert batch(clips, bundles, "out", *SETS) == 1
    rows = manifest(clips, "out")
    assert [row["id"] for row in rows] == [
        f"{stem}-{label(edits_of(text, ''))}"
        for stem in ("a", "b", "broken")
        for text in SETS[1::2]
    ]
    assert [row["id"] for row in rows][:2] == ["a-emotion-happy", "a-speed-faster_trim_silence"]
    assert [row["error"] is None for row in rows] == [True] * 4 + [False] * 2
    assert "cannot be read as audio" in rows[4]["error"]
    assert rows[0]["text"] == "hello world"
    assert len(capsys.readouterr().out.splitlines()) == 7


def test_two_workers_give_the_files_of_one_and_resume(
    clips: Path, bundles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert batch(clips, bundles, "one", *SETS) == 1
    assert batch(clips, bundles, "two", *SETS, "--workers", "2") == 1
    digests = [[row.get("sha256") for row in manifest(clips, out)] for out in ("one", "two")]
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 3  # no round of the tiny model holds: the recordings, and none
    assert not list((clips.parent / "two").glob(".*"))
    (clips.parent / "two" / "b-emotion-happy.wav").unlink()
    capsys.readouterr()
    assert batch(clips, bundles, "two", *SETS, "--workers", "2") == 1
    done = [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:5]]
    assert done == ["kept", "kept", "recorded", "kept"]
    assert [row.get("sha256") for row in manifest(clips, "two")] == digests[0]


def test_a_full_disk_ends_the_run_with_one_sentence_and_keeps_what_is_finished(
    clips: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, written = whole._to_disk, []

    def full(path: Path) -> None:
        if ".line." in path.name:
            written.append(path)
            if len(written) > 1:
                raise OSError(errno.ENOSPC, "No space left on device")
        real(path)

    sets = (*SETS, "--edits", "style:whisper engine=signal")
    monkeypatch.setattr(whole, "_to_disk", full)
    assert batch(clips, bundles, "out", *sets) == 1
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if "line '" not in line]  # not of a round
    assert len(lines) == 1, lines
    assert re.match(
        r"stepedit: disk full: .* Free space, then run again\. 1 of 9 results", lines[0]
    )
    assert said.err.count("disk full") == 1
    assert said.out == ""
    assert len(written) == 2
    out = clips.parent / "out"
    assert [path.name for path in out.glob("*.wav")] == ["a-emotion-happy.wav"]
    before = (out / "a-emotion-happy.wav").stat().st_mtime_ns
    monkeypatch.setattr(whole, "_to_disk", real)
    assert batch(clips, bundles, "out", *SETS) == 1  # for the broken recording
    assert (out / "a-emotion-happy.wav").stat().st_mtime_ns == before
    assert [row["error"] is None for row in manifest(clips, "out")] == [True] * 4 + [False] * 2
    assert not [path.name for path in out.glob(".*")]


def test_a_full_disk_of_a_worker_ends_the_run(clips: Path, bundles: Path) -> None:
    asked = []

    def engine(tasks: Sequence[LineTask]) -> Generator[tuple[int, str], None, None]:
        for place, _ in enumerate(tasks):
            asked.append(place)
            yield place, json.dumps({"full": "disk full: nothing is free."})

    lines = grid_lines(clips, [edits_of("emotion:happy", "")])
    run = ScriptRun(bundle=Registry([bundles], {}).load("tiny", device="cpu"), base=clips)
    with pytest.raises(DiskFullError, match=r"nothing is free\. 0 of 3 results are finished"):
        run_script(lines, clips.parent / "out", run, engine=engine)
    assert asked == [0]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ((), "a folder needs edits"),
        (("--edits", "emotion:happy rounds=x"), "a number is needed"),
        (("--edits", ""), "--edits is empty"),
    ],
)
def test_a_wrong_command_says_what_is_needed(
    clips: Path,
    bundles: Path,
    more: tuple[str, ...],
    found: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert batch(clips, bundles, "out", *more) == 2
    assert found in capsys.readouterr().err
    assert not (clips.parent / "out").exists()


def test_a_folder_without_recordings_is_said(
    tmp_path: Path, bundles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert batch(tmp_path / "empty", bundles, "out", "--edits", "denoise") == 1
    assert "has no recordings" in capsys.readouterr().err


def test_a_copy_of_the_recording_has_a_state_of_its_own_and_is_named(
    clips: Path,
    bundles: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert batch(clips, bundles, "out", "--edits", "emotion:happy") == 1
    rows = manifest(clips, "out")
    assert [row.get("state") for row in rows] == ["as recorded", "as recorded", None]
    shown = capsys.readouterr().out.splitlines()
    assert [line.endswith("as recorded") for line in shown] == [False, True, True, False]
    for name in ("a", "b"):
        assert caplog.text.count(f"line '{name}' stays as recorded") == 1
    assert "no round holds" not in caplog.text
    assert any(note.startswith("emotion happy: round 1: ") for note in rows[0]["notes"])


def script_of(clips: Path, *edits: str) -> Path:
    path = clips / "lines.csv"
    rows = [f"{n},a.wav,hello world,{edit}" for n, edit in enumerate(edits)]
    path.write_text("\n".join(["id,file,text,edits", *rows]) + "\n", "utf-8")
    return path


@pytest.mark.parametrize("command", ["batch", "script"])
def test_edits_for_lines_that_all_have_their_own_are_refused(
    clips: Path, bundles: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = script_of(clips, "trim_silence", "trim_silence")
    where = ["--bundle", str(bundles / "tiny"), "--out", str(clips.parent / "out")]
    assert main([command, str(path), *where, "--edits", "denoise"]) == 2
    assert "each of the 2 lines has its own" in capsys.readouterr().err


def test_lines_that_do_not_take_the_edits_are_counted(
    clips: Path, bundles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit = "trim_silence engine=signal"
    path = script_of(clips, edit, "")
    where = ["--bundle", str(bundles / "tiny"), "--out", str(clips.parent / "out")]
    assert main(["batch", str(path), *where, "--edits", edit]) == 0
    assert "1 of 2 have their own" in capsys.readouterr().err


def test_every_line_that_fails_is_said(
    clips: Path, bundles: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = script_of(clips, "speed:no", "speed:faster engine=signal strength=0.5")
    where = ["--bundle", str(bundles / "tiny"), "--out", str(clips.parent / "out")]
    assert main(["batch", str(path), *where]) == 1
    assert [name in caplog.text for name in ("line '0': ", "line '1': ")] == [True, True]
    assert "strength is 0.5, and speed faster is made by signal processing" in caplog.text


def test_a_round_that_is_not_the_last_asked_for_is_said(
    clips: Path, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepedit_core.pipelines.rounds.best_round", lambda rounds: 2)
    path = script_of(clips, "trim_silence engine=signal rounds=3")
    where = ["--bundle", str(bundles / "tiny"), "--out", str(clips.parent / "out")]
    assert main(["batch", str(path), *where]) == 0
    (row,) = manifest(clips, "out")
    assert any("round 2 of 3 was taken" in note for note in row["notes"])
