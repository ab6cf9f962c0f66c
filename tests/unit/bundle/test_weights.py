"""Weight files: mapped, exact, and refused where they are not what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from stepedit_core.bundle.manifest import file_of, read_manifest
from stepedit_core.bundle.parts import load_part
from stepedit_core.bundle.weights import build_empty
from stepedit_core.files.tensors import HEADER_LIMIT, read_header
from tests import tiny_bundle

CPU = torch.device("cpu")


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
