"""`stepedit batch`: a folder times sets of edits, errors of one clip, several workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import soundfile

from stepedit_core.cli import main
from stepedit_core.measure import recognisers
from stepedit_core.pipelines.grid import label
from stepedit_core.pipelines.script_lines import edits_of
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
    assert done == ["kept", "kept", "made", "kept"]
    assert [row.get("sha256") for row in manifest(clips, "two")] == digests[0]


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
    assert batch(tmp_path / "empty", bundles, "out", "--edits", "denoise") == 2
    assert "has no recordings" in capsys.readouterr().err
