"""Many rows through strips of the weight: against sums in float64, and where the weight is read."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stepedit_core.bundle.weights import build_empty, load_into
from stepedit_core.models import int8_product, strips
from stepedit_core.models.llm import Step1LM
from stepedit_core.models.quantized import (
    FEW_PACKED,
    QuantizedLinear,
    quantize,
    quantized,
    with_quantized_layers,
)
from tests.unit.models.test_int8_product import CONFIG, needs, rows

MANY = FEW_PACKED + 6


def model_in(path: Path) -> Step1LM:
    """An int8 model, written to a file and read from it."""
    plain = Step1LM(CONFIG).requires_grad_(False)
    plain.initialise(torch.Generator().manual_seed(0), std=0.1)
    state: dict[str, torch.Tensor] = {}
    for name, value in plain.to(torch.bfloat16).state_dict().items():
        state |= quantized(name, value, "int8")
    save_file(state, path)
    empty = build_empty(partial(with_quantized_layers, Step1LM(CONFIG), "int8"))
    return load_into(empty, path, device=torch.device("cpu"), dtype=torch.bfloat16)


def matrices(model: Step1LM) -> list[QuantizedLinear]:
    return [layer for layer in model.modules() if isinstance(layer, QuantizedLinear)]


def layer_of(weight: torch.Tensor, kind: str) -> QuantizedLinear:
    layer = QuantizedLinear(kind, weight.shape[1], weight.shape[0])
    layer.load_state_dict(quantize(weight, kind), assign=True)
    return layer


@pytest.mark.parametrize("kind", ["int8", "int4"])
@pytest.mark.parametrize("outputs", [strips.STRIP, strips.STRIP + 64, 2 * strips.STRIP - 64, 64])
def test_many_rows_are_as_near_as_a_product_with_the_weight_in_bfloat16(kind, outputs) -> None:
    layer = layer_of(rows(outputs, 128), kind)
    x = rows(MANY, 128, seed=2).bfloat16()
    if kind == "int8":
        made = strips.int8_product(x, layer.weight.split(100), layer.scale)
        weight = layer.weight.double() * layer.scale.double()[:, None]
    else:
        made = strips.int4_product(x, layer.weight, layer.scale)
        weight = layer.dense().double()
    exact = x.double() @ weight.T
    assert made.dtype == torch.bfloat16
    error = (made.double() - exact).norm() / exact.norm()
    assert float(error) < 4e-3  # a result rounded to 8 bits is 1.7e-3 off, a scale once more


@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_without_units_for_bfloat16_the_strips_are_float32(kind, monkeypatch) -> None:
    multiplied: list[torch.dtype] = []
    multiply = torch.mm

    def watched(a, b, *, out):
        multiplied.append(a.dtype)
        return multiply(a, b, out=out)

    layer = layer_of(rows(96, 64), kind)
    x = rows(MANY, 64).bfloat16()
    layer.source = lambda: None
    monkeypatch.setattr(torch, "mm", watched)
    for units, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(strips, "has_bf16_units", lambda units=units: units)
        multiplied.clear()
        assert layer(x).dtype == torch.bfloat16
        assert set(multiplied) == {dtype}


@needs
def test_a_weight_packed_in_pieces_is_one_weight(monkeypatch) -> None:
    weight = rows(100, 64).mul(40).round().clamp(-127, 127).to(torch.int8)
    scale, x = rows(100, seed=2).abs() + 0.1, rows(3, 64, seed=3)
    whole = int8_product.packed(weight, scale)
    monkeypatch.setattr(int8_product, "PIECE", 32)
    parts = int8_product.packed(weight, scale)
    assert (len(whole), len(parts)) == (1, 4)
    assert torch.equal(int8_product.unpacked(parts), weight)
    made, exact = (int8_product.product(int8_product.split(x), p) for p in (parts, whole))
    assert torch.equal(made, exact)


@needs
def test_a_model_of_a_file_packs_nothing_for_a_prompt_and_all_for_a_step(tmp_path: Path) -> None:
    model = model_in(tmp_path / "llm.safetensors")
    cache = model.new_cache(1, 80)
    model.prefill_hidden([[1] * MANY], cache)
    assert all(layer.packed is None for layer in matrices(model))
    model.step_hidden(torch.tensor([1]), cache)
    assert len(matrices(model)) == 14
    assert all(layer.packed is not None and not layer.weight.numel() for layer in matrices(model))


@needs
@pytest.mark.parametrize("file", ["there", "gone", "changed"])
def test_a_prompt_has_the_same_bits_after_steps_whatever_became_of_the_file(
    file, tmp_path: Path
) -> None:
    path = tmp_path / "llm.safetensors"
    model, prompt = model_in(path), [n % 50 for n in range(MANY)]
    cache = model.new_cache(1, 80)
    fresh = model.prefill_hidden([prompt], cache)
    model.step_hidden(torch.tensor([1]), cache)
    if file != "there":
        path.unlink()
    if file == "changed":
        changed = model_in(path)
        save_file({k: torch.zeros_like(v) for k, v in changed.state_dict().items()}, path)
    again = model.prefill_hidden([prompt], model.new_cache(1, 80))
    assert torch.equal(again, fresh)
    twin = copy.deepcopy(model)
    assert torch.equal(twin.prefill_hidden([prompt], twin.new_cache(1, 80)), fresh)


@needs
def test_the_file_is_read_again_instead_of_unpacking(tmp_path: Path, monkeypatch) -> None:
    model = model_in(tmp_path / "llm.safetensors")
    layer = matrices(model)[0]
    layer(rows(1, 64).bfloat16())
    assert layer.packed is not None
    monkeypatch.setattr(int8_product, "pieces", lambda packed: pytest.fail("it was unpacked"))
    layer(rows(MANY, 64).bfloat16())


@needs
def test_other_weights_are_not_mistaken_for_those_of_the_file(tmp_path: Path) -> None:
    model = model_in(tmp_path / "llm.safetensors")
    layer = matrices(model)[0]
    layer(rows(1, 64).bfloat16())
    other = quantize(rows(64, 64, seed=9), "int8")
    layer.load_state_dict(other, assign=True)
    x = rows(MANY, 64).bfloat16()
    for count in (1, MANY):
        exact = x[:count].float() @ (other["weight"] * other["scale"][:, None].float()).T
        torch.testing.assert_close(layer(x[:count]).float(), exact, rtol=2e-2, atol=5e-2)


@needs
def test_weights_without_a_file_take_one_way_before_and_after_steps() -> None:
    layer, x = layer_of(rows(96, 64), "int8"), rows(MANY, 64).bfloat16()
    fresh = layer(x)
    layer(x[:1])
    assert torch.equal(layer(x), fresh)
    assert layer.packed is not None
