"""int8 and int4 layers against the formula written out, and the error they may have."""

from __future__ import annotations

import pytest
import torch

from stepedit_core.models import int8_product
from stepedit_core.models.llm import LMConfig, Step1LM
from stepedit_core.models.quantized import (
    BLOCK,
    FEW,
    QuantizedLinear,
    has_product,
    is_matrix,
    quantize,
    quantized,
    stored_as,
    with_quantized_layers,
)
from tests.decoding import prefill, step

KINDS = ("int8", "int4")
SIZES = [(128, 192), (64, 64), (32, 48), (1024 + 64, 128)]
"""Outputs and inputs: what the products take, and toy sizes that they do not."""


def weight_of(outputs: int, inputs: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(outputs)
    return 0.05 * torch.randn(outputs, inputs, generator=generator)


def layer_of(weight: torch.Tensor, kind: str) -> QuantizedLinear:
    layer = QuantizedLinear(kind, weight.shape[1], weight.shape[0])
    layer.load_state_dict(quantize(weight, kind), strict=True, assign=True)
    return layer


def written_out(layer: QuantizedLinear) -> torch.Tensor:
    """The weight in float64, one number at a time as the module's first lines say."""
    held, scale = layer.weight.tolist(), layer.scale.double().tolist()
    out = torch.empty(layer.outputs, layer.inputs, dtype=torch.float64)
    blocks = layer.weight.shape[0]
    for row in range(layer.outputs):
        for k in range(layer.inputs):
            if layer.kind == "int8":
                out[row, k] = held[row][k] * scale[row]
                continue
            rows = layer.outputs // blocks
            place, half = row % rows, rows // 2
            byte = held[row // rows][k][place % half]
            q = byte >> 4 if place >= half else byte & 15
            step, zero = scale[k // (layer.inputs // len(scale))][row]
            out[row, k] = (q - 8) * step + zero
    return out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES[:3])
def test_a_quantised_weight_is_within_half_a_step_of_the_weight(kind, size) -> None:
    weight = weight_of(*size)
    layer = layer_of(weight, kind)
    made = written_out(layer)
    if kind == "int8":
        step = layer.scale.double()[:, None].expand(size)
    else:
        group = size[1] // layer.scale.shape[0]
        step = layer.scale[..., 0].double().repeat_interleave(group, 0).T
    # half a step, and what rounding scale and zero to bfloat16 moves the ends of the range
    slack = weight.abs().max() * 2**-8 + step * 0.06
    assert bool(((made - weight.double()).abs() <= 0.5 * step + slack).all())
    # the dense form is rounded once more
    torch.testing.assert_close(layer.dense().double(), made, rtol=2**-7, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rows", [0, 1, 3, 60])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("fbgemm", [True, False])
def test_the_product_is_that_of_the_weight_written_out(
    kind, size, rows, dtype, fbgemm, monkeypatch
) -> None:
    assert rows == 60 or rows <= min(FEW.values())  # both ways of computing are tried
    if not fbgemm:
        monkeypatch.setattr(int8_product, "can_multiply", lambda: False)
    layer = layer_of(weight_of(*size), kind)
    dense = layer.dense().float() if size[0] > 200 else written_out(layer).float()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, rows, size[1], generator=generator).to(dtype)[1]
    made = layer(x)
    assert made.dtype == dtype
    assert made.shape == (rows, size[0])
    # bfloat16: a weight and a result are rounded, sums of up to 192 products of size 0.05
    torch.testing.assert_close(
        made.float(), x.float() @ dense.T, rtol=2e-2 if dtype == torch.bfloat16 else 1e-2, atol=3e-2
    )


@pytest.mark.parametrize("kind", KINDS)
def test_quantising_leaves_the_weight_as_it_was(kind) -> None:
    weight = weight_of(64, 64)
    before = weight.clone()
    quantize(weight, kind)
    assert torch.equal(weight, before)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_zeros_stay_zeros(kind) -> None:
    layer = layer_of(torch.zeros(64, 64), kind)
    assert float(layer(torch.ones(1, 64, dtype=torch.bfloat16)).abs().max()) < 1e-6


def test_torchs_own_products_are_found_on_this_processor() -> None:
    assert has_product("int8", "cpu", torch.bfloat16)
    flags = torch.backends.cpu.get_cpu_capability()
    assert has_product("int4", "cpu", torch.bfloat16) == (flags == "AVX512")
    assert not has_product("int4", "meta", torch.bfloat16)


def test_the_released_matrices_take_the_announced_bits() -> None:
    bits = {}
    for kind in KINDS:
        held = stored_as(kind, 8192, 3072).values()
        size = sum(torch.Size(shape).numel() * dtype.itemsize for shape, dtype in held)
        bits[kind] = 8 * size / (8192 * 3072)
    assert bits["int8"] == pytest.approx(8, abs=0.01)
    assert bits["int4"] == 4.5
    assert 3072 % BLOCK == 8192 % BLOCK == 0


def test_only_the_seven_matrices_of_a_layer_are_quantised() -> None:
    with torch.device("meta"):
        names = list(Step1LM(LMConfig()).state_dict())
    chosen = [name for name in names if is_matrix(name)]
    assert len(chosen) == 7 * 32
    assert not [name for name in chosen if "norm" in name or "embed" in name or "head" in name]
    kept = quantized("lm_head.weight", torch.ones(2, 2), "int8")
    assert list(kept) == ["lm_head.weight"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_quantised_model_answers_as_one_with_the_rounded_weights(kind) -> None:
    config = LMConfig(
        vocab_size=300,
        hidden_size=128,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_attention_groups=2,
    )
    plain = Step1LM(config).eval().requires_grad_(False)
    plain.initialise(torch.Generator().manual_seed(0), std=0.1)
    plain.to(torch.bfloat16)
    state = {}
    for name, tensor in plain.state_dict().items():
        state |= quantized(name, tensor, kind)
    twin = with_quantized_layers(Step1LM(config), kind).eval()
    twin.load_state_dict(state, strict=True, assign=True)
    rounded = Step1LM(config).eval().requires_grad_(False).to(torch.bfloat16)
    values = dict(plain.state_dict())
    for name, layer in twin.named_modules():
        if isinstance(layer, QuantizedLinear):
            values[f"{name}.weight"] = layer.dense()
    rounded.load_state_dict(values)
    prompt = list(range(5, 70))
    logits = []
    for model in (plain, rounded, twin):
        cache = model.new_cache(1, 80)
        prefill(model, [prompt], cache)
        with torch.no_grad():
            logits.append(step(model, torch.tensor([9]), cache)[0].float())

    def error(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a - b).norm() / b.norm())

    # bfloat16 sums in another order, through two layers
    assert error(logits[2], logits[1]) < 0.02
    # normal weights: a step is 1/127 of about 3 std, or 1/15 of about 5 std; error step / 12 ** 0.5
    assert error(logits[2], logits[0]) < {"int8": 0.04, "int4": 0.5}[kind]
