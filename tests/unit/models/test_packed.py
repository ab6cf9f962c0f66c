"""The reordered linear layer against nn.Linear, and its moves, copies and training."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from stepedit_core.models.packed import Linear, can_pack, unpack

# float32 sums of 48 products in another order
CLOSE = {"rtol": 0.0, "atol": 2e-6}
packs = pytest.mark.skipif(not can_pack(torch.float32), reason="no oneDNN here: nothing to reorder")


def frozen(bias: bool = True) -> Linear:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return Linear(48, 32, bias=bias).eval().requires_grad_(False)


def rows(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(48,), (1, 48), (0, 48), (2, 3, 5, 48)])
def test_the_product_is_that_of_a_plain_layer(bias: bool, shape: tuple[int, ...]) -> None:
    layer = frozen(bias)
    weight, x = layer.weight.clone(), rows(*shape)
    torch.testing.assert_close(layer(x), F.linear(x, weight, layer.bias), **CLOSE)
    turned = rows(48, 7).T
    torch.testing.assert_close(layer(turned), F.linear(turned, weight, layer.bias), **CLOSE)


@packs
def test_the_first_call_reorders_the_weight_and_loses_nothing() -> None:
    layer = frozen()
    weight = layer.weight.clone()
    layer(rows(2, 48))
    assert layer.is_packed
    assert torch.equal(layer.dense(), weight)
    assert layer.weight.nbytes == weight.nbytes
    layer.unpack()
    assert not layer.is_packed
    assert torch.equal(layer.weight, weight)


@packs
def test_a_cast_puts_the_weight_back_and_a_move_to_the_same_place_does_not() -> None:
    layer = frozen()
    weight = layer.weight.clone()
    layer(rows(2, 48))
    layer.to("cpu")
    assert layer.is_packed
    layer.to(torch.bfloat16)
    assert torch.equal(layer.weight, weight.bfloat16())


@packs
def test_a_copy_has_plain_weights_and_works() -> None:
    layer = frozen()
    x = rows(2, 48)
    made = layer(x)
    twin = copy.deepcopy(layer)
    assert layer.is_packed
    assert not twin.is_packed
    torch.testing.assert_close(twin(x), made, **CLOSE)


def test_weights_that_are_trained_are_never_reordered() -> None:
    layer = frozen().requires_grad_(True)
    layer(rows(2, 48)).sum().backward()
    assert not layer.is_packed
    assert layer.weight.grad is not None
    with torch.no_grad():
        layer(rows(2, 48))
    assert not layer.is_packed


@packs
def test_training_a_reordered_layer_is_refused_with_the_remedy() -> None:
    layer = frozen()
    layer(rows(2, 48))
    layer.requires_grad_(True)
    with pytest.raises(RuntimeError, match=r"cannot be trained now\. Call unpack"):
        layer(rows(2, 48))
    unpack(layer)
    layer.requires_grad_(True)
    layer(rows(2, 48)).sum().backward()
    assert layer.weight.grad is not None


def test_a_gradient_of_the_input_passes_through() -> None:
    layer = frozen()
    layer(rows(2, 48))
    x = rows(3, 48).requires_grad_(True)
    layer(x).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, layer.dense().sum(0).expand(3, -1), **CLOSE)


def test_under_autocast_nothing_is_reordered_and_the_product_is_bf16() -> None:
    layer, x = frozen(), rows(2, 48)
    weight = layer.weight.clone()
    can_pack.cache_clear()  # its own trial must not run into the cast either
    with torch.autocast("cpu", torch.bfloat16):
        made = layer(x)
    assert not layer.is_packed
    low = torch.bfloat16
    wanted = F.linear(x.to(low), weight.to(low), None if layer.bias is None else layer.bias.to(low))
    assert torch.equal(made, wanted)
    layer(x)  # reordered now, where it can be
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gelu_after_the_product_is_that_of_a_plain_layer(dtype: torch.dtype) -> None:
    layer = frozen().to(dtype)
    x = 3 * rows(40, 48).to(dtype)
    made = layer.gelu(x)
    exact = F.gelu(
        F.linear(x.double(), layer.dense().double(), layer.bias.double()), approximate="tanh"
    )
    if dtype == torch.float32:
        assert torch.equal(made, F.gelu(layer(x), approximate="tanh"))
        return
    # one rounding to bfloat16, where two steps round twice
    two = F.gelu(layer(x), approximate="tanh")
    assert float((made.double() - exact).norm()) <= float((two.double() - exact).norm())
    torch.testing.assert_close(made.double(), exact, rtol=2**-8, atol=2e-3)


def test_gelu_of_weights_that_are_trained_has_a_gradient() -> None:
    layer = frozen().requires_grad_(True)
    layer.gelu(rows(2, 48)).sum().backward()
    assert layer.weight.grad is not None
