"""What Load Model does with a release as downloaded, without ComfyUI: its modules are stand-ins."""

from __future__ import annotations

import errno
import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests import fake_release
from tests.nodes.conftest import PACK


class Bar:
    """ComfyUI's progress bar; keeps what it was told."""

    seen: list[int] = []  # noqa: RUF012 - emptied by the fixture

    def __init__(self, total: int) -> None: ...

    def update_absolute(self, value: int, total: int) -> None:
        self.seen.append(value)


class Cancelled(Exception):
    """As ComfyUI's own."""


@pytest.fixture
def host(
    pack_module: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """nodes/host/ over a models folder that has a toy release."""
    models = tmp_path / "models"
    fake_release.write(models)
    stand_ins: dict[str, dict[str, Any]] = {
        "folder_paths": {"get_folder_paths": lambda key: [str(models)]},
        "comfy": {},
        "comfy.model_management": {"throw_exception_if_processing_interrupted": lambda: None},
        "comfy.model_patcher": {"ModelPatcher": object},
        "comfy.utils": {"ProgressBar": Bar},
        "comfy_execution": {},
        "comfy_execution.utils": {"get_executing_context": lambda: None},
        "server": {"PromptServer": object},
    }
    for name, values in stand_ins.items():
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
        if "." in name:
            setattr(sys.modules[name.split(".")[0]], name.split(".")[1], module)
    parts = ("host", "host.folders", "host.progress", "host.models")
    for part in parts:
        monkeypatch.delitem(sys.modules, f"{PACK}.nodes.{part}", raising=False)
    _, folders, progress, models_ = map(pack_module, parts)
    found = SimpleNamespace(folders=folders, progress=progress, models=models_)
    convert = importlib.import_module(f"{PACK}.stepedit_core.release.convert")
    monkeypatch.setattr(convert, "Sizes", lambda: fake_release.TINY)
    Bar.seen.clear()
    yield found
    for part in parts:
        sys.modules.pop(f"{PACK}.nodes.{part}", None)


@pytest.mark.parametrize(
    ("precision", "name", "weights"),
    [
        ("auto", "editx-2025-bf16", "float"),
        ("fp16", "editx-2025-fp16", "float"),
        ("int4", "editx-2025-int4", "int4"),
    ],
)
def test_a_release_is_converted_once_and_kept_beside_the_folders(
    host: Any, tmp_path: Path, precision: str, name: str, weights: str
) -> None:
    kept = host.models.keep_converted("editx-2025", precision)
    assert kept == name
    manifest = tmp_path / "models" / name / "bundle.json"
    assert json.loads(manifest.read_text())["llm_weights"] == weights
    assert Bar.seen[-1] == host.progress.BAR_UNITS
    written = manifest.stat().st_mtime_ns
    assert host.models.keep_converted("editx-2025", precision) == kept
    assert manifest.stat().st_mtime_ns == written
    assert type(host.folders.find_bundle(kept)).__name__ == "BundleEntry"


def test_a_bundle_is_left_as_it_is(host: Any) -> None:
    assert host.models.keep_converted("nano", "int8") == "nano"


def test_cancelling_leaves_no_bundle(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel() -> None:
        raise Cancelled

    management = sys.modules["comfy.model_management"]
    monkeypatch.setattr(management, "throw_exception_if_processing_interrupted", cancel)
    with pytest.raises(Cancelled):
        host.models.keep_converted("editx-2025", "auto")
    assert not (tmp_path / "models" / "editx-2025-bf16").exists()


@pytest.fixture
def lines(host: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the node that runs shows in the browser, line by line."""
    sent: list[str] = []
    server = SimpleNamespace(
        client_id="tab", send_sync=lambda _, told, sid: sent.append(told["text"])
    )
    monkeypatch.setattr(host.progress, "PromptServer", SimpleNamespace(instance=server))
    monkeypatch.setattr(
        host.progress,
        "get_executing_context",
        lambda: SimpleNamespace(node_id="1", prompt_id="a"),
    )
    return sent


def test_a_line_is_addressed_by_prompt_node_and_browser(
    host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of a node alone is not an address: other workflows have the same."""
    sent: list[tuple[Any, ...]] = []
    server = SimpleNamespace(client_id="tab", send_sync=lambda *told: sent.append(told))
    monkeypatch.setattr(host.progress, "PromptServer", SimpleNamespace(instance=server))
    context = SimpleNamespace(node_id="1:5", prompt_id="a")
    monkeypatch.setattr(host.progress, "get_executing_context", lambda: context)
    host.progress.say("loading")
    line = {"prompt_id": "a", "node": "1:5", "text": "loading"}
    assert sent == [("stepedit.line", line, "tab")]


def test_a_stage_that_no_table_knows_moves_the_bar_under_its_own_name(
    host: Any, lines: list[str]
) -> None:
    host.progress.GraphHooks(rounds=2).progress("polish", 4, 4)
    assert Bar.seen == [host.progress.BAR_UNITS // 2]
    assert lines == ["round 1 of 2, polish"]


@pytest.mark.parametrize(
    ("rounds", "said"),
    [(1, "done: 1 round, best is round 1, score 6.5"), (3, "done: 3 rounds, best is round 1")],
)
def test_the_last_line_says_how_many_rounds_and_which_is_best(
    host: Any, lines: list[str], rounds: int, said: str
) -> None:
    host.progress.GraphHooks(rounds).finish(1, 6.5 if rounds == 1 else None)
    assert lines == [said]


def test_a_run_by_signal_loads_no_more_than_it_hears_with(
    host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    management = sys.modules["comfy.model_management"]
    monkeypatch.setattr(management, "get_torch_device", lambda: "cpu", raising=False)
    model = host.models.load_model("nano", "cpu", "auto")
    assert model.listening() is model.bundle
    assert model.bundle.loaded == ()


@pytest.mark.usefixtures("host")
def test_the_palette_of_nano_offers_a_whisper_but_no_style_that_nobody_makes(
    pack_module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ModuleType("server")
    monkeypatch.setattr(server, "PromptServer", object, raising=False)
    monkeypatch.setitem(sys.modules, "server", server)
    offers = pack_module("host.offers")
    assert list(offers.reasons("nano", "style", ["whisper", "older", "arrogant"])) == ["arrogant"]


def refuses(monkeypatch: pytest.MonkeyPatch, place: Path, name: str) -> None:
    """Every look into a folder, or at a file, ends in EIO, as of a network drive that is gone."""
    real = getattr(Path, name)

    def fail(path: Path, *rest: Any, **named: Any) -> Any:
        if path == place or place in path.parents:
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *rest, **named)

    monkeypatch.setattr(Path, name, fail)


@pytest.mark.parametrize("name", ["stat", "iterdir"])
def test_an_adapter_folder_that_the_disk_refuses_hides_no_other(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    models = tmp_path / "models"
    for place in ("own.safetensors", "run/adapter.safetensors", "adapters/bad.safetensors"):
        (models / place).parent.mkdir(exist_ok=True)
        (models / place).write_bytes(b"")
    refuses(monkeypatch, models / "adapters", name)
    assert host.folders.adapter_names() == ["none", "own.safetensors", "run/adapter.safetensors"]


def test_a_broken_model_folder_is_not_on_the_list_and_said_once(
    host: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = tmp_path / "models" / "bad\x1b[31m"
    bad.mkdir()
    (bad / "bundle.json").write_text("{")
    for _ in range(3):
        assert not [name for name in host.folders.bundle_names() if "bad" in name]
    said = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert len(said) == 1
    assert said[0].isprintable()
    with pytest.raises(ValueError, match="cannot be used: bundle"):
        host.folders.find_bundle(bad.name)


@pytest.mark.parametrize("name", ["stat", "iterdir"])
def test_a_model_folder_that_the_disk_refuses_leaves_nano(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    refuses(monkeypatch, tmp_path / "models", name)
    assert host.folders.bundle_names() == ["nano"]
    assert host.folders.adapter_names() == ["none"]


@pytest.mark.parametrize("kind", ["missing", "refused", "full", "link"])
def test_the_sample_clip_is_offered_or_left_out(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    place = tmp_path / "input"
    target = place / f"{host.folders.SAMPLE_INPUT}{host.folders.SAMPLES[0]}"
    paths = SimpleNamespace(get_input_directory=lambda: str(place))
    monkeypatch.setattr(host.folders, "folder_paths", paths)
    if kind != "missing":
        place.mkdir()
    if kind == "refused":
        refuses(monkeypatch, place, "stat")
    if kind == "link":
        target.symlink_to(tmp_path / "nowhere")
    if kind == "full":

        def full(handle: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
    host.folders.offer_sample()
    monkeypatch.undo()
    assert not (tmp_path / "nowhere").exists()
    if kind in ("missing", "full"):
        assert not target.exists()
        assert not place.exists() or list(place.iterdir()) == []


def test_a_name_of_another_type_is_refused_in_a_sentence(host: Any) -> None:
    for name in (5, ["x"], None, "\ud800"):
        with pytest.raises(ValueError, match="no adapter"):
            host.folders.find_adapter(name)
        with pytest.raises(ValueError, match="no bundle"):
            host.folders.find_bundle(name)


def a_recogniser(folder: Path) -> Path:
    """A folder with the files of a faster-whisper model, empty."""
    folder.mkdir(parents=True)
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (folder / name).write_bytes(b"")
    return folder


def test_recognisers_are_the_whole_folders_and_auto_is_the_first(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STEPEDIT_RECOGNISER", raising=False)
    assert host.folders.recogniser_names() == ["auto"]
    assert host.folders.find_recogniser("auto") == ""
    place = tmp_path / "models" / "recognisers"
    small = a_recogniser(place / "small")
    (a_recogniser(place / "half") / "model.bin").unlink()
    a_recogniser(place / ".hidden")
    assert host.folders.recogniser_names() == ["auto", "small"]
    assert host.folders.find_recogniser("auto") == host.folders.find_recogniser("small")
    assert host.folders.find_recogniser("small") == str(small)
    monkeypatch.setenv("STEPEDIT_RECOGNISER", "/named")
    assert host.folders.find_recogniser("auto") == ""
    for name in ("half", "../small", "", 5, None):
        with pytest.raises(ValueError, match="no recogniser"):
            host.folders.find_recogniser(name)


def test_auto_passes_over_a_recogniser_whose_package_is_not_installed_and_says_so_once(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("STEPEDIT_RECOGNISER", raising=False)
    small = str(a_recogniser(tmp_path / "models" / "recognisers" / "small"))
    monkeypatch.setitem(sys.modules, "faster_whisper", ModuleType("faster_whisper"))
    assert host.folders.hearing_folder("auto") == small
    monkeypatch.delitem(sys.modules, "faster_whisper")
    pack = host.folders.__name__.split(".nodes.")[0]
    whisper = importlib.import_module(f"{pack}.stepedit_core.measure.whisper")
    monkeypatch.setattr(whisper, "find_spec", lambda name: None)
    for _ in range(2):
        assert host.folders.hearing_folder("auto") == ""
    assert host.folders.hearing_folder("small") == small  # chosen by name: its error is said
    assert caplog.text.count("is passed over: faster-whisper is not installed. Run:") == 1


@pytest.mark.parametrize("name", ["stat", "iterdir"])
def test_a_recogniser_folder_that_the_disk_refuses_leaves_auto(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place = tmp_path / "models" / "recognisers"
    a_recogniser(place / "small")
    refuses(monkeypatch, place, name)
    assert host.folders.recogniser_names() == ["auto"]
