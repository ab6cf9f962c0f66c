"""Bundles: what is written comes back, and everything else is refused with one sentence."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from stepedit_core.bundle.manifest import FileEntry, file_of, read_manifest, sha256_of, verify
from stepedit_core.bundle.parts import build_part, dtype_of, load_part, part_precision
from stepedit_core.bundle.precision import TABLE
from stepedit_core.bundle.weights import build_empty
from stepedit_core.bundle.write import write_bundle
from stepedit_core.files.strict import from_json
from stepedit_core.files.tensors import HEADER_LIMIT, read_header
from tests import tiny_bundle

CPU = torch.device("cpu")


@pytest.fixture
def copy(bundles: Path, tmp_path: Path) -> Path:
    """A copy of `tiny` that a test may damage."""
    return Path(shutil.copytree(bundles / "tiny", tmp_path / "copy"))


def change(folder: Path, **values: Any) -> None:
    """Set top-level keys of bundle.json."""
    path = folder / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def component(folder: Path, part: str, **values: Any) -> dict[str, Any]:
    """The components of bundle.json with some keys of one changed."""
    components = json.loads((folder / "bundle.json").read_text())["components"]
    components[part].update(values)
    return components


def test_what_is_written_comes_back(bundles: Path):
    about = read_manifest(bundles / "tiny")
    wanted = tiny_bundle.manifest()
    assert about.components == wanted.components
    assert about.edit_options == wanted.edit_options
    assert about.vocabulary.codebook == "tiny-1"
    assert about.card == {"data": "none"}


def test_every_file_is_listed_with_its_size_and_digest(bundles: Path):
    folder = bundles / "tiny"
    about = read_manifest(folder)
    on_disk = {path.name for path in folder.iterdir()} - {"bundle.json"}
    assert set(about.files) == on_disk
    for name, entry in about.files.items():
        assert entry.size == (folder / name).stat().st_size
        assert entry.sha256 == sha256_of(folder / name)
    assert verify(folder) == about


def test_weights_come_back_rounded_to_half_precision_and_small_buffers_exactly(bundles: Path):
    about = read_manifest(bundles / "tiny")
    made = tiny_bundle.random_part(about, "linguistic")
    loaded = load_part(bundles / "tiny", about, "linguistic", device=CPU, dtype=torch.float32)
    small = {"cmvn_shift", "cmvn_rescale"}
    for name, tensor in loaded.state_dict().items():
        wanted = made.state_dict()[name]
        assert torch.equal(tensor, wanted if name in small else wanted.half().float())


@pytest.mark.parametrize("part", ["llm", "flow", "vocoder", "semantic", "speaker", "scorer"])
def test_a_loaded_part_has_no_empty_tensor_and_no_gradient(bundles: Path, part: str):
    about = read_manifest(bundles / "tiny")
    module = load_part(bundles / "tiny", about, part, device=CPU, dtype=torch.float32)
    tensors = [*module.parameters(), *module.buffers()]
    assert not any(t.is_meta or t.requires_grad for t in tensors)
    assert not module.training


def test_constants_that_no_file_holds_are_computed(bundles: Path):
    about = read_manifest(bundles / "tiny")
    vocoder = load_part(bundles / "tiny", about, "vocoder", device=CPU, dtype=torch.float32)
    assert torch.equal(vocoder.window, torch.hann_window(16))


def test_an_empty_module_takes_no_memory_and_leaves_the_random_state():
    before = torch.get_rng_state()
    module = build_empty(lambda: nn.Sequential(nn.Linear(100_000, 100_000), nn.LayerNorm(8)))
    assert all(parameter.is_meta for parameter in module.parameters())
    assert torch.equal(before, torch.get_rng_state())


def test_a_file_in_the_wanted_precision_stays_mapped(tmp_path: Path, bundles: Path):
    about = read_manifest(bundles / "tiny")
    made = tiny_bundle.random_part(about, "llm")
    save_file(made.state_dict(), tmp_path / file_of("llm"))
    loaded = load_part(tmp_path, about, "llm", device=CPU, dtype=torch.float32)
    maps = Path("/proc/self/maps")
    if maps.exists():  # elsewhere only the values are looked at
        assert str(tmp_path / file_of("llm")) in maps.read_text()
    assert torch.equal(loaded.lm_head.weight, made.lm_head.weight)


def test_another_precision_changes_floats_only(bundles: Path):
    about = read_manifest(bundles / "tiny")
    module = load_part(bundles / "tiny", about, "speaker", device=CPU, dtype=torch.bfloat16)
    kinds = {t.dtype for t in module.state_dict().values()}
    assert kinds == {torch.bfloat16, torch.int64}


@pytest.mark.parametrize(
    ("part", "precision", "size", "name"),
    [
        ("llm", "auto", 7 * 2**30, "bf16"),
        ("llm", "auto", 2**24, "fp32"),
        ("llm", "fp16", 0, "fp16"),
        ("llm", "bf16", 0, "bf16"),
        ("llm", "fp32", 7 * 2**30, "fp32"),
        ("llm", "int4", 0, "int4"),
        ("flow", "auto", 7 * 2**30, "fp32"),
        ("flow", "auto", 2**24, "fp32"),
        ("flow", "bf16", 0, "bf16"),
        ("flow", "int8", 0, "bf16"),
        ("flow", "fp16", 0, "fp32"),
        ("vocoder", "bf16", 0, "fp32"),
        ("linguistic", "int8", 0, "fp32"),
    ],
)
def test_the_language_model_changes_precision_and_the_flow_decoder_with_some_rows(
    bundles: Path, part: str, precision: str, size: int, name: str
):
    about = read_manifest(bundles / "tiny")
    files = {**about.files, "llm.safetensors": FileEntry(size=size, sha256="")}
    assert part_precision(part, precision, replace(about, files=files)).name == name


def test_an_unknown_precision_is_refused(bundles: Path):
    about = read_manifest(bundles / "tiny")
    with pytest.raises(ValueError, match="precision 'int3' is unknown; allowed are auto, fp32"):
        part_precision("llm", "int3", about)


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_a_quantised_bundle_has_the_precision_it_was_made_in_and_no_other(bundles: Path, kind):
    about = replace(read_manifest(bundles / "tiny"), llm_weights=kind)
    assert part_precision("llm", "auto", about).name == kind
    assert part_precision("llm", kind, about).name == kind
    with pytest.raises(ValueError, match=f"has {kind} weights; allowed are auto and {kind}"):
        part_precision("llm", "bf16", about)


def test_every_row_of_the_precision_table_names_a_dtype_of_torch():
    assert [dtype_of(row) for row in TABLE.values()] == [
        torch.float32,
        torch.bfloat16,
        torch.float16,
        torch.bfloat16,
        torch.bfloat16,
    ]


def refused(folder: Path, match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        verify(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_without_bundle_json_is_refused(tmp_path: Path):
    refused(tmp_path, "has no bundle.json")


def test_a_bundle_json_that_is_no_json_is_refused(copy: Path):
    (copy / "bundle.json").write_text('{"name": ')
    refused(copy, "bundle.json is not JSON")


def test_a_bundle_json_that_is_binary_is_refused(copy: Path):
    (copy / "bundle.json").write_bytes(b"\xff\xfe\x00")
    refused(copy, "not UTF-8 text")


def test_a_deeply_nested_bundle_json_is_refused(copy: Path):
    (copy / "bundle.json").write_text("[" * 200_000)
    refused(copy, "bundle.json is nested too deep; 40 is allowed")


def test_a_huge_bundle_json_is_refused(copy: Path):
    (copy / "bundle.json").write_text(" " * (2**20 + 1))
    refused(copy, "bytes; allowed are 1048576")


def test_a_newer_format_is_refused(copy: Path):
    change(copy, format=2)
    refused(copy, "has format 2; this version reads 1")


def test_an_unknown_key_is_refused(copy: Path):
    change(copy, colour="red")
    refused(copy, "unknown key 'colour'")


def test_a_wrong_type_in_a_config_is_refused(copy: Path):
    change(copy, components=component(copy, "llm", hidden_size="32"))
    refused(copy, "llm.hidden_size is text; int is expected")


def test_an_unknown_key_in_a_config_is_refused(copy: Path):
    change(copy, components=component(copy, "flow", colour=1))
    refused(copy, "bundle.json flow has the unknown key 'colour'")


def test_an_unknown_vocoder_is_refused(copy: Path):
    change(copy, vocoder="griffin")
    refused(copy, "vocoder is text|vocoder is the value|vocoder is")


def test_a_missing_component_is_refused(copy: Path):
    components = component(copy, "llm")
    del components["flow"]
    change(copy, components=components)
    refused(copy, "lacks the component 'flow'")


@pytest.mark.parametrize("name", ["../evil.safetensors", "/etc/passwd", "a\\b", ".."])
def test_a_file_name_that_leads_out_of_the_bundle_is_refused(copy: Path, name: str):
    files = json.loads((copy / "bundle.json").read_text())["files"]
    change(copy, files={**files, name: {"size": 1, "sha256": "0"}})
    refused(copy, "leads out of the bundle")


def test_a_pickle_beside_the_weights_is_refused(copy: Path):
    files = json.loads((copy / "bundle.json").read_text())["files"]
    change(copy, files={**files, "llm.pt": {"size": 1, "sha256": "0"}})
    refused(copy, "unknown file 'llm.pt'")


def test_a_missing_file_is_refused(copy: Path):
    (copy / "flow.safetensors").unlink()
    refused(copy, "lacks flow.safetensors. Copy the file")


def test_a_cut_file_is_refused(copy: Path):
    path = copy / "flow.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    refused(copy, "flow.safetensors of bundle 'tiny' has .* bytes; .* are expected")


def test_a_changed_file_of_equal_size_is_refused(copy: Path):
    path = copy / "flow.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    refused(copy, "has another sha256")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x80\x04\x95abc",  # a pickle
        (HEADER_LIMIT + 1).to_bytes(8, "little") + b" " * (HEADER_LIMIT + 2),
        (10**15).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b'"{}"',
        (12).to_bytes(8, "little") + b'{"a":{"x":1}',
    ],
    ids=["empty", "pickle", "huge", "lying", "list", "text", "broken"],
)
def test_a_hostile_weight_file_is_refused(tmp_path: Path, raw: bytes):
    path = tmp_path / "llm.safetensors"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"llm\.safetensors"):
        read_header(path)


def test_offsets_that_lie_outside_the_file_are_refused(copy: Path):
    about = read_manifest(copy)
    path = copy / "flow.safetensors"
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(ValueError, match=r"'flow\.safetensors' is damaged"):
        load_part(copy, about, "flow", device=CPU, dtype=torch.float32)


def test_weights_that_do_not_fit_name_what_differs_on_both_sides(copy: Path):
    about = read_manifest(copy)
    path = copy / "flow.safetensors"
    state = load_file(path)
    state["encoder.extra"] = torch.zeros(1)
    del state["encoder_proj.bias"]
    state["encoder_proj.weight"] = torch.zeros(80, 31)
    save_file(state, path)
    with pytest.raises(ValueError, match="does not fit its config") as caught:
        load_part(copy, about, "flow", device=CPU, dtype=torch.float32)
    said = str(caught.value)
    assert "only in the file: encoder.extra;" in said
    assert "only in the model: encoder_proj.bias;" in said
    assert "encoder_proj.weight (80, 31) is (80, 32)" in said


def test_a_failed_write_leaves_nothing_and_keeps_the_old_bundle(copy: Path, tmp_path: Path):
    about = read_manifest(copy)
    parts: dict[str, Any] = {part: copy / file_of(part) for part in about.parts}
    parts["flow"] = nn.Linear(2, 2)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ValueError, match="does not fit"):
        write_bundle(copy, about, parts, copy / "tokenizer.model")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    verify(copy)


def test_writing_again_replaces_the_whole_bundle(copy: Path, tmp_path: Path):
    about = read_manifest(copy)
    (copy / "stray.txt").write_text("old")
    parts = {part: build_part(about, part, empty=False) for part in about.parts}
    model = tmp_path / "t.model"
    shutil.copyfile(copy / "tokenizer.model", model)
    write_bundle(copy, about, parts, model)
    assert not (copy / "stray.txt").exists()
    assert verify(copy).files["flow.safetensors"] != about.files["flow.safetensors"]


@dataclass(frozen=True, kw_only=True)
class Inner:
    ratio: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: int
    kind: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = ()
    inner: Inner = field(default_factory=Inner)
    flag: bool = False


def test_strict_parsing_rebuilds_nested_dataclasses():
    data = {"count": 3, "sizes": [1, 2], "inner": {"ratio": 2}, "kind": "b"}
    assert from_json(Outer, data, "x") == Outer(
        count=3, sizes=(1, 2), inner=Inner(ratio=2.0), kind="b"
    )


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ([], "x is a list; an object"),
        ({}, "x lacks the key 'count'"),
        ({"count": True}, "x.count is the value True; int"),
        ({"count": 1.0}, "x.count is the value 1.0; int"),
        ({"count": 1, "flag": 1}, "x.flag is the value 1; bool"),
        ({"count": 1, "kind": "c"}, "x.kind is text"),
        ({"count": 1, "sizes": [1, "2"]}, r"x.sizes\[1\] is text; int"),
        ({"count": 1, "sizes": 4}, "x.sizes is the value 4"),
        ({"count": 1, "inner": {"ratio": "1e-5"}}, "x.inner.ratio is text; float"),
        ({"count": 1, "inner": None}, "x.inner is null; an object"),
    ],
)
def test_strict_parsing_names_the_wrong_value(data: Any, match: str):
    with pytest.raises(ValueError, match=match):
        from_json(Outer, data, "x")
