"""Rows on threads of their own: the same numbers, and errors and cancelling as ever."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event, Thread, get_ident

import pytest
import torch
from torch import Tensor, nn

from stepedit_core.models.cancel import cancellable
from stepedit_core.models.flow_dit import DiT
from stepedit_core.models.rows import at_once, side_by_side
from stepedit_core.types import SilentHooks


@pytest.fixture
def two_rows() -> Iterator[None]:
    """Two rows may run at once, on one thread of torch's each."""
    threads, token = torch.get_num_threads(), at_once.set(2)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    at_once.reset(token)


def test_rows_come_in_their_order_and_the_first_stays_here(two_rows: None) -> None:
    ran = {}

    def run(row: int) -> Tensor:
        ran[row] = get_ident()
        return torch.full((1, 2), float(row))

    assert side_by_side(run, 3)[:, 0].tolist() == [0, 1, 2]
    assert ran[0] == get_ident()
    assert get_ident() not in (ran[1], ran[2])


def test_one_at_a_time_needs_no_other_thread() -> None:
    ran = set()
    side_by_side(lambda row: ran.add(get_ident()) or torch.zeros(1), 3)
    assert ran == {get_ident()}


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_of_any_row_is_raised(two_rows: None, bad: int) -> None:
    def run(row: int) -> Tensor:
        if row == bad:
            raise ValueError("NaN")
        return torch.zeros(1)

    with pytest.raises(ValueError, match="NaN"):
        side_by_side(run, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_the_velocity_has_equal_bits_however_many_rows_run_at_once(
    two_rows: None, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    dit = DiT(mel=80, dim=64, depth=2, heads=2, head_dim=32, mlp_ratio=2.0).to(dtype)
    for weight in dit.parameters():
        weight.normal_(0, 0.1)
    x, context = torch.randn(1, 80, 90).to(dtype), torch.randn(3, 90, 64).to(dtype)
    values = dit.modulations(torch.tensor([0.3])).row(0)
    two = dit.velocity(x, context, values)
    at_once.set(1)
    assert torch.equal(dit.velocity(x, context, values), two)
    torch.set_num_threads(2)  # all rows as one batch
    together = dit.velocity(x, context, values)
    # sums of another order, of numbers of about 1
    far = 1e-5 if dtype == torch.float32 else 6e-2
    torch.testing.assert_close(together, two, atol=far, rtol=far)


def test_only_the_thread_of_the_run_is_asked_whether_it_was_cancelled() -> None:
    asked = []

    class Counting(SilentHooks):
        def check(self) -> None:
            asked.append(get_ident())

    network, ready, done = nn.Linear(2, 2), Event(), Event()

    def elsewhere() -> None:
        ready.wait(10)
        network(torch.zeros(1, 2))
        done.set()

    Thread(target=elsewhere, daemon=True).start()
    with cancellable(network, Counting()):
        ready.set()
        assert done.wait(10)
        assert not asked
        network(torch.zeros(1, 2))
    assert asked == [get_ident()]
