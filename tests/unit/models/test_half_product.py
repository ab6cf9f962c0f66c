"""Products with float16 weights against torch's own in float64."""

from __future__ import annotations

import pytest
import torch

from stepedit_core.models import half_product
from stepedit_core.models.half_product import can_multiply, packed, product

pytestmark = pytest.mark.skipif(not can_multiply(), reason="this processor has no such product")


@pytest.mark.parametrize("rows", [1, 4, 9, 70])
@pytest.mark.parametrize(("outputs", "inputs"), [(48, 64), (1408, 256), (33, 7)])
def test_sums_are_float32_of_the_given_numbers(rows: int, outputs: int, inputs: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    weight = torch.randn(outputs, inputs, generator=generator).half().float()
    x = torch.randn(rows, inputs, generator=generator)
    made = product(x, packed(weight))
    assert made.dtype == torch.float32
    # a sum of n float32 products is off by some rounding steps of 6e-8, which grow with sqrt(n)
    torch.testing.assert_close(made.double(), x.double() @ weight.double().T, rtol=1e-5, atol=2e-5)


def test_a_row_is_the_same_alone_and_among_others() -> None:
    weight = packed(torch.randn(96, 64).half().float())
    x = torch.randn(5, 64)
    assert torch.equal(product(x, weight)[3:4], product(x[3:4], weight))


@pytest.mark.parametrize("number", [1 + 2**-12, 1e5, 1e-9, float("nan")])
def test_numbers_that_float16_would_change_are_not_taken(number: float) -> None:
    weight = torch.ones(32, 32)
    assert packed(weight) is not None
    weight[3, 4] = number
    assert packed(weight) is None


def test_other_dtypes_are_not_taken() -> None:
    assert packed(torch.ones(32, 32, dtype=torch.bfloat16)) is None


def test_a_processor_without_it_keeps_the_plain_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half_product, "can_multiply", lambda: False)
    assert packed(torch.ones(32, 32)) is None
