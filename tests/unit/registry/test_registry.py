"""The registry: where bundles are found, and that parts are shared and freed."""

from __future__ import annotations

import copy
import gc
import json
import shutil
import weakref
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stepedit_core.bundle.memory import check_memory
from stepedit_core.bundle.parts import part_precision
from stepedit_core.models.lora import LoraConfig, adapters, attach, save_adapter
from stepedit_core.registry.folders import part_bytes
from stepedit_core.registry.registry import Registry


@pytest.fixture
def registry(bundles: Path) -> Registry:
    return Registry([bundles], {})


def names(registry: Registry) -> list[str]:
    return [found.name for found in registry.list()]


def test_bundles_of_a_given_folder_and_of_the_environment_are_listed(bundles: Path, tmp_path: Path):
    shutil.copytree(bundles / "tiny", tmp_path / "mine")
    assert names(Registry([bundles], {}))[:2] == ["other", "tiny"]
    assert names(Registry((), {"STEPEDIT_HOME": str(tmp_path)}))[:1] == ["tiny"]


def test_a_folder_that_does_not_exist_is_passed_over(tmp_path: Path):
    assert "tiny" not in names(Registry([tmp_path / "none"], {}))


def test_a_damaged_bundle_is_listed_with_its_problem(bundles: Path, tmp_path: Path):
    shutil.copytree(bundles / "tiny", tmp_path / "broken")
    (tmp_path / "broken" / "bundle.json").write_text("{")
    found = Registry([tmp_path], {}).list()[0]
    assert found.name == "broken"
    assert "not JSON" in found.problem


def test_a_bundle_is_found_by_name_and_by_folder(registry: Registry, bundles: Path):
    assert registry.locate("tiny").folder == bundles / "tiny"
    assert registry.locate(bundles / "other").name == "other"


def test_an_unknown_bundle_is_refused_with_the_nearest_name(registry: Registry):
    with pytest.raises(ValueError, match=r"no bundle 'tinny'; installed are .*mean 'tiny'\?"):
        registry.load("tinny")


def test_a_folder_without_a_bundle_is_refused(registry: Registry, tmp_path: Path):
    with pytest.raises(ValueError, match="has no bundle"):
        registry.load(tmp_path)


@pytest.mark.parametrize("device", ["warp", "meta", "mps"])
def test_a_device_that_is_not_here_is_refused_without_words_of_torch(
    registry: Registry, device: str
):
    with pytest.raises(
        ValueError, match=rf"^device '{device}' cannot be used here; cpu always can"
    ):
        registry.load("tiny", device=device)


def test_a_cut_file_is_refused_before_anything_is_loaded(bundles: Path, tmp_path: Path):
    folder = Path(shutil.copytree(bundles / "tiny", tmp_path / "cut"))
    path = folder / "llm.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"llm.safetensors of bundle 'tiny' has"):
        Registry().load(folder, device="cpu")


def test_a_changed_byte_is_found_when_the_part_is_loaded(bundles: Path, tmp_path: Path):
    folder = Path(shutil.copytree(bundles / "tiny", tmp_path / "bad"))
    path = folder / "flow.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    handle = Registry().load(folder, device="cpu")
    assert handle.speaker is not None
    with pytest.raises(ValueError, match=r"flow.safetensors .* another sha256"):
        _ = handle.flow


def test_loading_a_handle_loads_no_part(registry: Registry):
    assert registry.load("tiny", device="cpu").loaded == ()


def test_two_handles_share_a_part(registry: Registry):
    first, second = registry.load("tiny", device="cpu"), registry.load("tiny", device="cpu")
    assert first.llm is second.llm
    assert first.loaded == ("llm",)


def test_another_precision_is_another_part(registry: Registry):
    first = registry.load("tiny", device="cpu")
    second = registry.load("tiny", device="cpu", precision="bf16")
    assert first.llm is not second.llm
    assert second.llm.lm_head.weight.dtype == torch.bfloat16
    assert second.flow.encoder_proj.weight.dtype == torch.bfloat16
    assert first.vocoder is second.vocoder


def test_a_part_is_freed_when_all_handles_dropped_it(registry: Registry):
    first, second = registry.load("tiny", device="cpu"), registry.load("tiny", device="cpu")
    part = weakref.ref(first.llm)
    weight = weakref.ref(first.llm.lm_head.weight)
    assert second.llm is part()
    del first
    gc.collect()
    assert part() is not None
    second.release()
    gc.collect()
    assert part() is None
    assert weight() is None


def test_a_freed_part_loads_again(registry: Registry):
    handle = registry.load("tiny", device="cpu")
    before = handle.flow.encoder_proj.weight.clone()
    handle.release()
    gc.collect()
    assert torch.equal(handle.flow.encoder_proj.weight, before)


def test_all_parts_come_in_one_module_for_a_host(registry: Registry):
    module = registry.load("tiny", device="cpu").load_all(("llm", "flow"))
    assert sorted(module) == ["flow", "llm"]


def test_a_bundle_without_scorer_says_so(registry: Registry):
    handle = registry.load("other", device="cpu")
    with pytest.raises(ValueError, match="bundle 'other' has no scorer; it has llm, flow"):
        _ = handle.scorer


@pytest.mark.parametrize("precision", ["bf16", "int8", "int4"])
def test_too_little_memory_for_a_large_bundle_is_said_before_anything_is_loaded(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
):
    registry = Registry([bundles], {})
    about = registry.locate("tiny")
    row = part_precision("llm", precision, about.manifest)
    need = part_bytes(about, "llm", row)
    loaded = registry.load("tiny", device="cpu", precision=precision).llm
    held = sum(t.nbytes for t in loaded.state_dict().values())
    assert need == pytest.approx(held, rel=0.06)  # scales of toy groups are larger
    monkeypatch.setattr("stepedit_core.registry.registry.VERIFIED_SIZE", 0)
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 900 kB\nMemAvailable: 10 kB\n")
    monkeypatch.setattr("stepedit_core.bundle.memory.MEMINFO", meminfo)
    with pytest.raises(ValueError, match=r"bundle 'tiny' needs .* GB of memory .* Close other"):
        Registry([bundles], {}).load("tiny", device="cpu", precision=precision)


def test_parts_that_somebody_holds_need_no_further_memory(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    registry = Registry([bundles], {})
    first = registry.load("tiny", device="cpu")
    first.load_all()
    monkeypatch.setattr("stepedit_core.registry.registry.VERIFIED_SIZE", 0)
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemAvailable: 10 kB\n")
    monkeypatch.setattr("stepedit_core.bundle.memory.MEMINFO", meminfo)
    assert registry.load("tiny", device="cpu").llm is first.llm


@pytest.mark.parametrize("text", ["", "MemAvailable: many kB\n", "MemFree: 3 kB\n"])
def test_a_system_that_does_not_say_its_memory_refuses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(text)
    monkeypatch.setattr("stepedit_core.bundle.memory.MEMINFO", meminfo)
    check_memory(2**60, torch.device("cpu"), "this")


LORA = LoraConfig(rank=2, alpha=4.0)
LLM = "llm.safetensors"


def adapter_of(bundles: Path, path: Path, base: str) -> Path:
    """A file of adapters for `tiny` that do something."""
    lm = copy.deepcopy(Registry([bundles], {}).load("tiny", device="cpu").llm)
    attach(lm, LORA, torch.Generator().manual_seed(1))
    with torch.no_grad():
        for _, layer in adapters(lm):
            layer.lora_b.fill_(0.05)
    save_adapter(lm, path, LORA, base)
    return path


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_adapter_is_merged_and_shared_only_with_its_like(
    registry: Registry, bundles: Path, tmp_path: Path, precision: str
):
    path = adapter_of(bundles, tmp_path / "a.safetensors", registry.locate("tiny").sha256)
    plain = registry.load("tiny", device="cpu", precision=precision)
    added, same = (
        registry.load("tiny", device="cpu", precision=precision, adapter=path) for _ in range(2)
    )
    weights = [b.llm.model.layers[0].self_attn.q_proj.dense().float() for b in (plain, added)]
    low_rank = weights[1] - weights[0]
    state = load_file(path)
    name = "model.layers.0.self_attn.q_proj.lora_"
    wanted = 2.0 * state[f"{name}b"] @ state[f"{name}a"]
    # int8 rounds each row to 1/127 of its largest weight
    torch.testing.assert_close(low_rank, wanted, rtol=0, atol=1e-5 if precision == "fp32" else 0.02)
    assert added.llm is same.llm
    assert added.llm is not plain.llm
    assert added.sha256 == same.sha256 != plain.sha256
    assert added.scorer is plain.scorer


def test_an_adapter_of_other_weights_is_refused_before_anything_is_loaded(
    registry: Registry, bundles: Path, tmp_path: Path
):
    path = adapter_of(bundles, tmp_path / "a.safetensors", "f" * 64)
    with pytest.raises(ValueError, match=r"belongs to the weights ffffffffffff; these are .* or "):
        registry.load("tiny", device="cpu", adapter=path)


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_an_adapter_is_not_added_to_a_bundle_of_quantised_weights(
    bundles: Path, tmp_path: Path, kind: str
):
    shutil.copytree(bundles / "tiny", tmp_path / "small")
    file = tmp_path / "small" / "bundle.json"
    about = json.loads(file.read_text()) | {"name": "small", "llm_weights": kind}
    file.write_text(json.dumps(about))
    path = adapter_of(bundles, tmp_path / "a.safetensors", about["files"][LLM]["sha256"])
    with pytest.raises(
        ValueError, match=f"'small' has {kind} weights; an adapter is added to float ones. Choose"
    ):
        Registry([tmp_path], {}).load("small", device="cpu", adapter=path)


def test_two_models_of_one_name_are_listed_under_names_that_find_them(
    bundles: Path, tmp_path: Path
):
    for name in ("a", "b", "c"):
        shutil.copytree(bundles / "tiny", tmp_path / name)
    shutil.copytree(bundles / "tiny", tmp_path / "deep" / "b")
    registry = Registry([tmp_path, tmp_path / "deep"], {})
    listed = registry.list()
    names = [entry.name for entry in listed]
    assert names == ["tiny", "b", "c", "deep/b", "nano"]
    for entry in listed:
        assert registry.locate(entry.name).folder == entry.folder


def test_a_name_that_nobody_can_type_is_replaced_by_the_folders(bundles: Path, tmp_path: Path):
    folder = Path(shutil.copytree(bundles / "tiny", tmp_path / "plain"))
    path = folder / "bundle.json"
    path.write_text(path.read_text().replace('"name": "tiny"', '"name": "\\u001b[31mnano\\u202e"'))
    assert [entry.name for entry in Registry([tmp_path], {}).list()] == ["plain", "nano"]


def test_a_broken_folder_is_not_offered_and_its_problem_names_it(bundles: Path, tmp_path: Path):
    shutil.copytree(bundles / "tiny", tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bundle.json").write_text("{")
    registry = Registry([tmp_path], {})
    with pytest.raises(ValueError, match=r"installed are nano, tiny\. .*Not usable: ") as caught:
        registry.locate("x")
    assert "bad," not in str(caught.value)
    with pytest.raises(ValueError, match=rf"'{tmp_path / 'bad'}' cannot be used: "):
        registry.locate("bad")


@pytest.mark.parametrize("kind", ["absent", "file"])
def test_a_home_that_is_no_folder_is_said(tmp_path: Path, kind: str):
    home = tmp_path / "home"
    if kind == "file":
        home.write_text("")
    registry = Registry([], {"STEPEDIT_HOME": str(home)})
    with pytest.raises(ValueError, match=r"\$STEPEDIT_HOME is '.*home', which is not"):
        registry.locate("x")
    assert registry.locate("nano").name == "nano"
    assert [entry.name for entry in registry.list()] == ["$STEPEDIT_HOME", "nano"]
