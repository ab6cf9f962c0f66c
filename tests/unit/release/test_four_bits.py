"""The published 4-bit language model: repacked without loss, and refused where it differs."""

from __future__ import annotations

import copy as copying
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from stepedit_core.models.quantized import QuantizedLinear
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.registry.registry import Registry
from stepedit_core.release import convert as convert_module
from stepedit_core.release.convert import Conversion, convert
from stepedit_core.release.four_bits import FourBitFiles, has_four_bits
from stepedit_core.release.sources import SafetensorsFiles
from stepedit_core.release.verify import verify_conversion
from stepedit_core.types import Clip, EditRequest, Sampling
from tests import fake_release

MODEL, TOKENS = "Step-Audio-EditX", "Step-Audio-Tokenizer"
NAME = "model.layers.1.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, nn.Module]]:
    folder = tmp_path_factory.mktemp("packed")
    return folder, fake_release.write(folder, four_bits=True)


@pytest.fixture(scope="module")
def made(packed: tuple[Path, dict[str, nn.Module]], tmp_path_factory: Any) -> Path:
    folder, out = packed[0], tmp_path_factory.mktemp("made") / "bundle"
    convert(folder / MODEL, folder / TOKENS, out, Conversion(sizes=fake_release.TINY))
    return out


def one_matrix(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> FourBitFiles:
    """A file with one packed matrix of 6 x 256 after a change."""
    stored, _ = fake_release.packed_matrix(torch.linspace(-1, 1, 6 * 256).sin().view(6, 256))
    tensors = {f"{NAME}_{leaf}": value for leaf, value in stored.items()}
    change(tensors)
    save_file(tensors, folder / "m.safetensors")
    return FourBitFiles(SafetensorsFiles([folder / "m.safetensors"]))


def test_every_weight_is_the_packed_number_less_eight_times_its_scale(packed, made):
    """Exactly: by the formula of the format, in float32, without a tolerance."""
    model = Registry().load(made, device="cpu").llm
    plain = packed[1]["llm"].state_dict()
    seen = 0
    for name, module in model.named_modules():
        if isinstance(module, QuantizedLinear):
            ours = module.dense(torch.float32)
            assert torch.equal(ours, plain[f"{name}.weight"].float()), name
            seen += 1
    assert seen == 14
    assert torch.equal(model.lm_head.weight, plain["lm_head.weight"].bfloat16())


def test_a_number_lies_where_the_format_says(tmp_path):
    """compressed-tensors: column k of a row is bits 4 (k mod 8) of its word k div 8, plus 8."""
    files = one_matrix(tmp_path, lambda tensors: None)
    raw = load_file(tmp_path / "m.safetensors")
    ours = files.tensor("model.layers.1.mlp.down_proj.weight")  # (3 blocks, 256, 1) of 2 rows
    for row, column in ((0, 0), (3, 13), (5, 255)):
        word = int(raw[f"{NAME}_packed"][row, column // 8]) & 0xFFFFFFFF
        there = word >> (4 * (column % 8)) & 15
        byte = int(ours[row // 2, column, 0])
        assert (byte >> 4 if row % 2 else byte & 15) == there
    pairs = files.tensor("model.layers.1.mlp.down_proj.scale")
    assert pairs.shape == (4, 6, 2)
    assert torch.equal(pairs[1, :, 0], raw[f"{NAME}_scale"][:, 0])
    assert torch.equal(pairs[2, :, 0], raw[f"{NAME}_scale"][:, 1])
    assert not pairs[..., 1].any()


def test_the_bundle_says_int4_is_verified_and_equals_the_raw_folder(packed, made, monkeypatch):
    folder = packed[0]
    about = json.loads((made / "bundle.json").read_text())
    assert about["name"] == "editx-2025-int4"
    assert about["llm_weights"] == "int4"
    verify_conversion(folder / MODEL, folder / TOKENS, made, sizes=fake_release.TINY)
    monkeypatch.setattr(convert_module, "Sizes", lambda: fake_release.TINY)
    raw = Registry([folder], {}).load("editx-2025-int4", device="cpu").llm.state_dict()
    for name, value in Registry().load(made, device="cpu").llm.state_dict().items():
        assert torch.equal(value, raw[name]), name


def test_it_answers_as_the_same_numbers_in_plain_weights_and_edits_a_clip(packed, made, tmp_path):
    handle = Registry().load(made, device="cpu")
    ids = torch.arange(20, 60)[None]
    with torch.no_grad():
        ours = handle.llm(ids).float()
        plain = packed[1]["llm"].float()(ids)
    # activations are bf16 here, of 8 bits; two layers add a few of these roundings
    assert (ours - plain).abs().max() < 0.03 * plain.abs().max()
    wave = torch.randn(24_000, generator=torch.Generator().manual_seed(6)) * 0.1
    clip = Clip(wave=wave, sample_rate=24_000)
    request = EditRequest(kind="emotion", option="happy", text="hello world")
    plan = make_plan(handle, clip, [request], seed=1, sampling=Sampling(max_ids=15))
    assert torch.isfinite(iterate(handle, clip, plan).final.clip.wave).all()


def test_int8_of_it_is_refused_and_int4_is_what_it_is(packed, tmp_path):
    folder = packed[0]
    how = Conversion(sizes=fake_release.TINY, quantize="int8")
    with pytest.raises(ValueError, match="matrices have int4 already; int4 is what it can become"):
        convert(folder / MODEL, folder / TOKENS, tmp_path / "out", how)
    how = Conversion(sizes=fake_release.TINY, quantize="int4")
    four = convert(folder / MODEL, folder / TOKENS, tmp_path / "four", how)
    assert four.name == "editx-2025-int4"


def changed(*path: str, to: object) -> dict[str, Any]:
    how: dict[str, Any] = copying.deepcopy(fake_release.FOUR_BITS)
    inner = how
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return {"quantization_config": how}


WEIGHTS = ("config_groups", "group_0", "weights")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"quantization": {"bits": 8, "group_size": 64}}, "MLX"),
        ({"quantization_config": []}, "not an object"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "quant_method awq"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "bitsandbytes"),
        (changed("format", to="float-quantized"), "float-quantized"),
        (changed("config_groups", to={}), "one group"),
        (changed("config_groups", "group_0", to={"targets": []}), "without weights"),
        (changed(*WEIGHTS, "num_bits", to=8), "num_bits 8"),
        (changed(*WEIGHTS, "symmetric", to=False), "symmetric False"),
        (changed(*WEIGHTS, "group_size", to=32), "group_size 32"),
        (changed(*WEIGHTS, "type", to="float"), "type float"),
        (changed(*WEIGHTS, "actorder", to="group"), "actorder group"),
        (changed("config_groups", "group_0", "input_activations", to={"num_bits": 8}), "activat"),
    ],
)
def test_another_way_of_packing_is_refused_by_a_sentence(config: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words) as caught:
        has_four_bits(config)
    assert "Step-Audio-EditX-AWQ-4bit as published." in str(caught.value)


def test_a_release_without_the_key_is_plain():
    assert not has_four_bits({"model_type": "step1"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop(f"{NAME}_shape"), "without two dimensions or without"),
        (lambda t: t.pop(f"{NAME}_scale"), "scales None"),
        (lambda t: t.update({f"{NAME}_shape": torch.tensor([6, 200])}), r"is \(6, 200\)"),
        (lambda t: t.update({f"{NAME}_shape": torch.tensor([-6, 256])}), r"is \(-6, 256\)"),
        (lambda t: t.update({f"{NAME}_scale": torch.ones(6, 4).bfloat16()}), r"\(6, 4\)"),
        (lambda t: t.update({"model.norm.weight_packed": torch.zeros(2, 2)}), "not a matrix"),
        (lambda t: t.update({NAME.replace("1", "0"): torch.zeros(2, 2)}), "as plain weights"),
    ],
)
def test_tensors_that_do_not_agree_are_refused(tmp_path: Path, change: Any, words: str):
    with pytest.raises(ValueError, match=words):
        one_matrix(tmp_path, change)


@pytest.mark.parametrize(
    ("leaf", "value", "words"),
    [
        ("packed", torch.zeros(6, 32), "float32, expected is torch.int32"),
        ("scale", torch.ones(6, 2).half(), "float16, expected is torch.bfloat16"),
        ("scale", torch.full((6, 2), float("nan")).bfloat16(), "NaN|finite"),
    ],
)
def test_numbers_of_another_kind_are_refused(tmp_path: Path, leaf: str, value: Any, words: str):
    files = one_matrix(tmp_path, lambda t: t.update({f"{NAME}_{leaf}": value}))
    stem = NAME.removesuffix("weight")
    with pytest.raises(ValueError, match=words):
        files.tensor(stem + ("weight" if leaf == "packed" else "scale"))
