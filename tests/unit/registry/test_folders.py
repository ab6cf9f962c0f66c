"""What lies among the models: troubles of one entry are its own, shipped names are reserved."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest

from stepedit_core.files.whole import whole_folder
from stepedit_core.registry import folders
from stepedit_core.registry.folders import BrokenEntry, BundleEntry, entries_in, look_at_release
from stepedit_core.registry.registry import ASSETS, Registry


def unreadable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whatever is asked of a path below this name fails as on a broken network drive."""
    stat, iterdir = Path.stat, Path.iterdir

    def refuse(path: Path) -> None:
        if name in path.parts:
            raise OSError(errno.EIO, "Input/output error")

    def asked(method):
        def call(path: Path, *a: object, **k: object):
            refuse(path)
            return method(path, *a, **k)

        return call

    monkeypatch.setattr(Path, "stat", asked(stat))
    monkeypatch.setattr(Path, "iterdir", asked(iterdir))


def test_an_unreadable_entry_is_its_own_problem(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bundles / "tiny", tmp_path / "tiny")
    (tmp_path / "lost+found").mkdir()
    unreadable(monkeypatch, "lost+found")
    broken, good = entries_in(tmp_path, look_at_release)
    assert isinstance(broken, BrokenEntry)
    assert "'lost+found' cannot be read (Input/output error)" in broken.problem
    assert isinstance(good, BundleEntry)
    registry = Registry([tmp_path], {})
    assert registry.locate("tiny").name == "tiny"
    assert registry.locate("nano").folder == ASSETS / "nano"
    for asked in ("lost+found", tmp_path / "lost+found"):
        with pytest.raises(ValueError, match=r"'lost.found' cannot be read"):
            registry.locate(asked)


@pytest.mark.parametrize(
    ("goal", "problem"),
    [("nowhere", "is a link to something that is not there"), ("link", "cannot be read")],
    ids=["dangling", "circle"],
)
def test_a_link_that_leads_nowhere_is_its_own_problem(
    bundles: Path, tmp_path: Path, goal: str, problem: str
) -> None:
    shutil.copytree(bundles / "tiny", tmp_path / "tiny")
    (tmp_path / "link").symlink_to(tmp_path / goal)
    broken, good = entries_in(tmp_path, look_at_release)
    assert isinstance(broken, BrokenEntry)
    assert f"'link' {problem}" in broken.problem
    assert isinstance(good, BundleEntry)
    for asked in ("link", tmp_path / "link"):
        with pytest.raises(ValueError, match=f"'link' {problem}"):
            Registry([tmp_path], {}).locate(asked)


def test_a_bundle_that_is_being_written_is_not_listed(bundles: Path, tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out") as part:
        shutil.copytree(bundles / "tiny", part, dirs_exist_ok=True)
        assert entries_in(tmp_path, look_at_release) == []
    assert [entry.folder for entry in entries_in(tmp_path, look_at_release)] == [tmp_path / "out"]


def test_an_unreadable_search_folder_hides_no_other(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "drive").mkdir()
    unreadable(monkeypatch, "drive")
    names = {entry.name for entry in Registry([tmp_path / "drive", bundles], {}).list()}
    assert {"drive", "tiny", "nano"} <= names


def test_a_stranger_that_calls_itself_nano_does_not_get_the_name(
    bundles: Path, tmp_path: Path
) -> None:
    for folder in ("evil", "nano"):
        shutil.copytree(bundles / "tiny", tmp_path / folder)
        path = tmp_path / folder / "bundle.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "name": "nano"}))
    registry = Registry([tmp_path], {})
    assert registry.locate("nano").folder == ASSETS / "nano"
    listed = {entry.name: entry.folder for entry in registry.list()}
    assert listed["evil"] == tmp_path / "evil"
    assert listed[f"{tmp_path.name}/nano"] == tmp_path / "nano"
    assert registry.locate("evil").folder == tmp_path / "evil"
    assert registry.locate(tmp_path / "nano").folder == tmp_path / "nano"


def test_folders_of_other_things_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "note.txt").write_text("hello")
    assert entries_in(tmp_path, folders.look_at_release) == []


@pytest.mark.parametrize("folder", ["na\x1bno", "x\n", "\u202enano", "nano\u200b"], ids=ascii)
def test_a_folder_that_nobody_can_type_gets_no_name_of_others(
    bundles: Path, tmp_path: Path, folder: str
) -> None:
    places = [tmp_path / f"{folder}{number}" for number in (1, 2)]
    for place in places:
        shutil.copytree(bundles / "tiny", place)
        about = json.loads((place / "bundle.json").read_text())
        (place / "bundle.json").write_text(json.dumps({**about, "name": "nano"}))
    registry = Registry([tmp_path], {})
    names = [entry.name for entry in registry.list()]
    assert len(names) == len(set(names)) == 3
    assert all(name.isprintable() for name in names)
    assert registry.locate("nano").folder == ASSETS / "nano"
    assert {registry.locate(name).folder for name in names} == {*places, ASSETS / "nano"}


def test_a_broken_folder_called_nano_hides_no_model(tmp_path: Path) -> None:
    (tmp_path / "nano").mkdir()
    (tmp_path / "nano" / "bundle.json").write_text("{")
    assert Registry([tmp_path], {}).locate("nano").folder == ASSETS / "nano"
