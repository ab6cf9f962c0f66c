"""fbgemm's product of split activations, beside the sums in float64, and where the weight lies."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch

from stepedit_core.models.int8_product import (
    STEPS,
    can_multiply,
    pack_model,
    packed,
    product,
    shared,
    split,
    unpacked,
)
from stepedit_core.models.llm import LMConfig, Step1LM
from stepedit_core.models.quantized import QuantizedLinear, quantize, with_quantized_layers

needs = pytest.mark.skipif(not can_multiply(), reason="no fbgemm with VNNI here")
CONFIG = LMConfig(
    vocab_size=50,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_attention_groups=2,
)


def rows(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def layer() -> QuantizedLinear:
    made = QuantizedLinear("int8", 64, 96)
    made.load_state_dict(quantize(rows(96, 64), "int8"), assign=True)
    return made


def test_this_processor_has_the_product() -> None:
    capability = torch.backends.cpu.get_cpu_capability()
    assert capability == "AVX512" or not can_multiply()
    if capability == "AVX512" and "fbgemm" in torch.backends.quantized.supported_engines:
        assert can_multiply() == ("avx512_vnni" in Path("/proc/cpuinfo").read_text())


def test_a_split_row_is_the_row_to_a_32000th_of_its_largest_number() -> None:
    x = rows(5, 3, 64) * torch.tensor([1e-6, 1.0, 1e6])[:, None]
    x[0, 0, 7] = 40.0  # an input far above the others does not spoil them
    made = split(x)
    high, low = made.halves.view(2, 15, 64)
    assert bool((made.halves.abs() <= 127).all())
    assert torch.equal(high, high.round())
    back = (high + low.round() / STEPS) * made.scale
    error = (back - x.view(15, 64)).abs().amax(1) / x.view(15, 64).abs().amax(1)
    assert float(error.max()) < 1 / 32000


def test_rows_of_zeros_and_of_nothing_finite() -> None:
    assert not split(torch.zeros(2, 8)).halves.any()
    if can_multiply():
        order = packed(torch.ones(4, 8, dtype=torch.int8), torch.ones(4))
        assert not product(split(torch.zeros(1, 8)), order).any()
        bad = torch.full((1, 8), torch.nan)
        assert bool(product(split(bad), order).isnan().all())


@needs
@pytest.mark.parametrize("count", [1, 2, 7, 65])
@pytest.mark.parametrize("size", [(96, 64), (33, 47), (512, 1024)])
def test_the_product_is_the_sum_in_float64(count, size) -> None:
    weight = rows(*size).mul(40).round().clamp(-127, 127).to(torch.int8)
    scale = rows(size[0], seed=2).abs() * 0.01 + 1e-4
    x = rows(count, size[1], seed=3)
    made = product(split(x), packed(weight, scale))
    exact = x.double() @ (weight.double() * scale.double()[:, None]).T
    assert made.shape == (count, size[0])
    # 15 bits an activation; float32 sums of the plain product differ by as much
    assert float((made.double() - exact).norm() / exact.norm()) < 1e-4


@needs
def test_a_row_alone_has_the_bits_of_a_row_among_others() -> None:
    order = packed(rows(96, 64).mul(40).round().clamp(-127, 127).to(torch.int8), torch.ones(96))
    x = rows(9, 64).bfloat16()
    together = product(split(x), order)
    assert all(torch.equal(product(split(x[n : n + 1]), order)[0], together[n]) for n in range(9))


@needs
def test_packing_loses_nothing_and_frees_the_stored_weight() -> None:
    one = layer()
    stored, dense = one.weight.clone(), one.dense()
    one.pack()
    assert one.weight.numel() == 0
    assert torch.equal(unpacked(one.packed), stored)
    assert torch.equal(one.dense(), dense)
    one.unpack()
    assert torch.equal(one.weight, stored)


@needs
def test_a_copy_a_pickle_and_a_state_have_the_stored_weight() -> None:
    one = layer()
    stored, x = one.weight.clone(), rows(2, 64).bfloat16()
    made = one(x)
    for twin in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert one.packed is not None
        assert torch.equal(twin.weight, stored)
        assert torch.equal(twin(x), made)
    assert torch.equal(one.state_dict()["weight"], stored)
    assert torch.equal(one(x), made)


@needs
def test_a_move_to_another_device_takes_the_stored_weight_along() -> None:
    one = layer()
    one.pack()
    one.to("cpu")
    assert one.packed is not None
    one.to("meta")
    assert one.packed is None
    assert one.weight.shape == (96, 64)


@needs
def test_layers_that_share_an_input_give_what_each_gives_alone() -> None:
    one, x = layer(), rows(2, 3, 64).bfloat16()
    assert torch.equal(one(shared(one, x)), one(x))
    assert one(x).shape == (2, 3, 96)
    plain = torch.nn.Linear(64, 8)
    assert shared(plain, x) is x


@needs
def test_a_gradient_of_the_input_takes_the_way_through_floats() -> None:
    one, x = layer(), rows(2, 64).requires_grad_()
    one(x.detach())
    one(x).sum().backward()
    assert x.grad is not None
    exact = (one.weight.float() * one.scale.float()[:, None]).sum(0)
    torch.testing.assert_close(x.grad[0], exact, rtol=1e-4, atol=1e-4)


@needs
def test_a_model_is_packed_when_it_reads_its_first_prompt() -> None:
    model = Step1LM(CONFIG).eval().requires_grad_(False)
    model.initialise(torch.Generator().manual_seed(0))
    plain = model.to(torch.bfloat16).state_dict()
    state = {}
    for name, value in plain.items():
        stem = name.removesuffix(".weight")
        matrix = value.ndim == 2 and "layers" in name
        parts = quantize(value, "int8") if matrix else {}
        state |= {f"{stem}.{k}": v for k, v in parts.items()} or {name: value}
    twin = with_quantized_layers(Step1LM(CONFIG), "int8").eval()
    twin.load_state_dict(state, assign=True)
    twin.requires_grad_(False)
    twin.prefill_hidden([[1, 2, 3]], twin.new_cache(1, 4))
    layers = [part for part in twin.modules() if isinstance(part, QuantizedLinear)]
    assert len(layers) == 14
    assert all(part.packed is not None for part in layers)
    pack_model(twin, 1)
