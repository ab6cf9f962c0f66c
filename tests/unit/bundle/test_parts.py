"""Parts of a bundle: loaded whole, in the precision that was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stepedit_core.bundle.manifest import FileEntry, read_manifest
from stepedit_core.bundle.parts import dtype_of, load_part, part_precision
from stepedit_core.bundle.precision import TABLE
from tests import tiny_bundle

CPU = torch.device("cpu")


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


@pytest.mark.parametrize("units", [True, False])
@pytest.mark.parametrize(
    ("part", "precision", "size", "device", "low"),
    [
        ("flow", "auto", 7 * 2**30, "cpu", True),
        ("flow", "auto", 7 * 2**30, "cuda", False),
        ("flow", "auto", 2**24, "cpu", True),
        ("flow", "fp32", 7 * 2**30, "cpu", False),
        ("vocoder", "auto", 7 * 2**30, "cpu", False),
    ],
)
def test_the_flow_decoder_takes_the_processors_units_for_bf16(
    bundles: Path, monkeypatch, units, part, precision, size, device, low
):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: units)
    about = read_manifest(bundles / "tiny")
    files = {**about.files, "llm.safetensors": FileEntry(size=size, sha256="")}
    row = part_precision(part, precision, replace(about, files=files), device=torch.device(device))
    assert row.name == ("bf16" if low and units else "fp32")


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
