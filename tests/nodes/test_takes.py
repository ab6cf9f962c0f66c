"""The file with the takes of a panel, without ComfyUI: its modules are stand-ins."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.nodes.conftest import PACK

NAME = "0123456789abcdef" * 2
USED = {"seed": 7, "asked": 3, "voice": "original", "strength": 1.5}


class Cancelled(BaseException):
    """As ComfyUI's own, which is not an Exception in newer versions."""


@pytest.fixture
def takes(
    pack_module: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """nodes/host/takes.py over a temp folder."""
    context = SimpleNamespace(prompt_id="a", node_id="5")
    stand_ins: dict[str, dict[str, Any]] = {
        "folder_paths": {"get_temp_directory": lambda: str(tmp_path)},
        "comfy": {},
        "comfy.model_management": {"InterruptProcessingException": Cancelled},
        "comfy.utils": {"ProgressBar": object},
        "comfy_execution": {},
        "comfy_execution.utils": {"get_executing_context": lambda: context},
        "server": {"PromptServer": SimpleNamespace(instance=SimpleNamespace(client_id=None))},
    }
    for name, values in stand_ins.items():
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
        if "." in name:
            setattr(sys.modules[name.split(".")[0]], name.split(".")[1], module)
    parts = (
        "host.progress",
        "host.sound",
        "host.panel_files",
        "host.results",
        "host.takes",
    )
    for part in parts:
        monkeypatch.delitem(sys.modules, f"{PACK}.nodes.{part}", raising=False)
    *_, module = map(pack_module, parts)
    yield module
    for part in parts:
        sys.modules.pop(f"{PACK}.nodes.{part}", None)


def files(takes: Any) -> Any:
    """nodes/host/panel_files.py, of the same stand-ins."""
    return sys.modules[takes.PanelFile.__module__]


def row(name: str) -> dict[str, Any]:
    return {"file": {"filename": name, "subfolder": "stepedit", "type": "temp"}}


def make(takes: Any, *names: str, stop: BaseException | None = None) -> None:
    """A run of one clip that makes these sounds, and may end early."""
    log = takes.TakeLog(NAME, USED)
    with log.running():
        for name in names:
            log.add(0, row(name))
        if stop:
            raise stop
        log.chosen(0, 1)


def written(folder: Path) -> tuple[list[tuple[int, str, list[str]]], dict[str, Any]]:
    """(number, state, sounds) of every take, and how the last run ended."""
    found = json.loads((folder / "stepedit" / f"takes_{NAME}.json").read_text())
    sounds = [
        (
            take["take"],
            take["state"],
            [row["file"]["filename"] for clip in take["clips"] for row in clip["rounds"]],
        )
        for take in found["takes"]
    ]
    return sounds, found["last"]


def test_another_run_is_another_take(takes: Any, tmp_path: Path) -> None:
    make(takes, "in", "a1")
    make(takes, "in", "b1")
    found, last = written(tmp_path)
    assert found == [(1, "done", ["in", "a1"]), (2, "done", ["in", "b1"])]
    assert last == {"prompt": "a", "state": "done", "error": ""}


def test_the_same_sounds_and_more_of_them_stay_one_take(takes: Any, tmp_path: Path) -> None:
    make(takes, "in", "a1")
    make(takes, "in", "b1")
    make(takes, "in", "a1", "a2")
    make(takes, "in", "a1")
    assert [sounds for _, _, sounds in written(tmp_path)[0]] == [["in", "a1", "a2"], ["in", "b1"]]


def test_a_take_of_before_there_was_a_strength_stays_as_it_is(takes: Any, tmp_path: Path) -> None:
    make(takes, "in", "a1")
    path = tmp_path / "stepedit" / f"takes_{NAME}.json"
    found = json.loads(path.read_text())
    (old,) = found["takes"]
    assert old.pop("strength") == 1.5
    path.write_text(json.dumps(found))
    make(takes, "in", "b1")
    first, second = json.loads(path.read_text())["takes"]
    assert first == old
    assert {key: second[key] for key in USED} == USED


def test_a_round_is_written_as_soon_as_it_is_made(takes: Any, tmp_path: Path) -> None:
    log = takes.TakeLog(NAME, USED)
    with log.running():
        log.add(0, row("in"))
        log.add(0, row("a1"))
        found, last = written(tmp_path)
    assert found == [(1, "running", ["in", "a1"])]
    assert last["state"] == "running"


def test_a_cancelled_run_keeps_its_rounds(takes: Any, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        make(takes, "in", "a1", stop=Cancelled())
    found, last = written(tmp_path)
    assert found == [(1, "cancelled", ["in", "a1"])]
    assert last["state"] == "cancelled"


def test_a_run_that_made_nothing_leaves_its_sentence_and_no_take(
    takes: Any, tmp_path: Path
) -> None:
    make(takes, "in", "a1")
    with pytest.raises(ValueError, match="silent"):
        make(takes, "in", stop=ValueError("the clip is silent."))
    found, last = written(tmp_path)
    assert found == [(1, "done", ["in", "a1"])]
    assert last == {"prompt": "a", "state": "error", "error": "the clip is silent."}


@pytest.mark.parametrize("text", ["", "[]", '{"takes": [1]}', '{"takes": [{"take": "x"}]}', "\0"])
def test_a_damaged_file_begins_anew(takes: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "stepedit").mkdir()
    (tmp_path / "stepedit" / f"takes_{NAME}.json").write_text(text)
    make(takes, "in", "a1")
    assert written(tmp_path)[0] == [(1, "done", ["in", "a1"])]


def test_at_most_so_many_takes_are_kept(takes: Any, tmp_path: Path) -> None:
    for number in range(takes.MOST_TAKES + 3):
        make(takes, "in", f"a{number}")
    found = written(tmp_path)[0]
    assert len(found) == takes.MOST_TAKES
    assert found[-1][0] == takes.MOST_TAKES + 3


def test_a_run_without_a_panel_writes_nothing(takes: Any, tmp_path: Path) -> None:
    log = takes.TakeLog(None, USED)
    with log.running():
        log.add(0, row("in"))
    assert list(tmp_path.iterdir()) == []


INNER = {"id": "sub", "nodes": [{"id": 7, "properties": {"stepedit_takes": f"{NAME} {NAME}"}}]}
WORKFLOW = {
    "nodes": [
        {"id": 3, "type": "sub"},
        {"id": 5, "type": "x", "properties": {"stepedit_takes": NAME}},
    ],
    "definitions": {"subgraphs": [INNER]},
}


@pytest.mark.parametrize("node", ["5", 5, "3:7"])
def test_the_name_of_a_panel_is_found_also_inside_a_subgraph(takes: Any, node: object) -> None:
    assert files(takes).panel_name(WORKFLOW, node) == NAME


@pytest.mark.parametrize("node", ["3", "4", "3:5", "5:7", "", None])
def test_a_node_without_a_panel_has_no_name(takes: Any, node: object) -> None:
    assert files(takes).panel_name(WORKFLOW, node) is None


@pytest.mark.parametrize("name", ["../../x", NAME[:-1], NAME.upper(), f"{NAME}\n", 5, None, [NAME]])
def test_a_name_that_the_editor_never_gives_is_none(takes: Any, name: object) -> None:
    nodes = [{"id": 5, "properties": {"stepedit_takes": name}}]
    assert files(takes).panel_name({"nodes": nodes}, "5") is None


@pytest.mark.parametrize("workflow", [None, [], "x", {}, {"nodes": 5}, {"nodes": [None]}])
def test_a_workflow_of_another_shape_has_no_panel(takes: Any, workflow: object) -> None:
    assert files(takes).panel_name(workflow, "5") is None


def results(takes: Any, **properties: str) -> Any:
    """A log of the results of node 5, whose panel has a name."""
    module = sys.modules[takes.__name__.replace("takes", "results")]
    nodes = [{"id": 5, "properties": {"stepedit_takes": NAME, **properties}}]
    return module.ResultLog({"workflow": {"nodes": nodes}}, "5")


def kept(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "stepedit" / f"shown_{NAME}.json").read_text()))


def test_the_last_result_stays_until_the_next_and_how_the_newest_run_ended_is_said(
    takes: Any, tmp_path: Path
) -> None:
    log = results(takes)
    with log.running():
        assert kept(tmp_path) == {
            "told": [],
            "last": {"prompt": "a", "state": "running", "error": ""},
        }
        log.keep([{"before": 1}])
    assert kept(tmp_path)["told"] == [{"before": 1}]
    assert kept(tmp_path)["last"]["state"] == "done"
    for stop, state, said in ((Cancelled(), "cancelled", ""), (ValueError("why"), "error", "why")):
        with pytest.raises(type(stop)), results(takes).running():
            raise stop
        assert kept(tmp_path) == {
            "told": [{"before": 1}],
            "last": {"prompt": "a", "state": state, "error": said},
        }


def test_a_result_names_the_sound_that_the_browser_named(takes: Any) -> None:
    assert results(takes, stepedit_source="0af3").source == "0af3"
    assert results(takes, stepedit_source="<b>").source == ""
    assert results(takes).source == ""
