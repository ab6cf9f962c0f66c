"""What other packs do to torch changes no sample, and nothing of ours stays behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest
import torch

from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.resynthesize import resynthesize
from stepedit_core.pipelines.rounds import iterate_rounds
from stepedit_core.registry.registry import Registry
from stepedit_core.registry.torch_state import own_state
from stepedit_core.types import Clip, EditRequest, Sampling

HAPPY = EditRequest(kind="emotion", option="happy", text="hello world")


@contextmanager
def dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.bfloat16)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def device() -> Iterator[None]:
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def products() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


@contextmanager
def without(library: Any) -> Iterator[None]:
    library.enabled = False
    try:
        yield
    finally:
        library.enabled = True


STRANGE: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "dtype": dtype,
    "device": device,
    "device as a context": lambda: torch.device("meta"),
    "products": products,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "mkldnn off": lambda: without(torch.backends.mkldnn),
    "cudnn off": lambda: without(torch.backends.cudnn),
    "gradients": torch.enable_grad,
    "inference": torch.inference_mode,
}


def state() -> tuple[object, ...]:
    return (
        torch.get_default_dtype(),
        torch.get_default_device().type,
        torch.get_float32_matmul_precision(),
        torch.is_autocast_enabled("cpu"),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        torch.backends.mkldnn.enabled,
        torch.backends.cudnn.enabled,
    )


def waves(bundles: Any, clip: Clip, around: Callable[[], AbstractContextManager[Any]]) -> list[Any]:
    """Samples of two rounds and of the codec alone, with freshly loaded weights."""
    handle = Registry([bundles], {}).load("tiny", device="cpu")
    with around():
        before = state()
        plan = make_plan(handle, clip, [HAPPY], rounds=2, sampling=Sampling(max_ids=15))
        made = []
        for round_ in iterate_rounds(handle, clip, plan):
            assert state() == before
            made.append((round_.clip.wave, round_.score))
        again = resynthesize(handle, clip, seed=1)
        assert state() == before
    return [*made, (again.clip.wave, again.score)]


@pytest.fixture(scope="module")
def plain(bundles: Any, clip: Clip) -> list[Any]:
    return waves(bundles, clip, nullcontext)


@pytest.mark.parametrize("name", STRANGE)
def test_the_settings_of_others_change_no_sample(
    bundles: Any, clip: Clip, plain: list[Any], name: str
) -> None:
    for (wave, score), (expected, other) in zip(
        waves(bundles, clip, STRANGE[name]), plain, strict=True
    ):
        assert wave.dtype == torch.float32
        assert torch.equal(wave, expected)
        assert score == other


def test_another_thread_changes_no_sample(bundles: Any, clip: Clip, plain: list[Any]) -> None:
    with ThreadPoolExecutor(1) as threads:
        made = threads.submit(waves, bundles, clip, nullcontext).result()
        under = threads.submit(waves, bundles, clip, STRANGE["autocast"]).result()
    for found in (made, under):
        for (wave, score), (expected, other) in zip(found, plain, strict=True):
            assert torch.equal(wave, expected)
            assert score == other


def test_the_newer_setting_of_products_is_set_back_too() -> None:
    backend = torch.backends.mkldnn.matmul
    if not hasattr(backend, "fp32_precision"):
        return  # torch before 2.9 has the older setting alone
    before = backend.fp32_precision
    backend.fp32_precision = "bf16"
    try:
        with own_state():
            assert backend.fp32_precision == "ieee"
        assert backend.fp32_precision == "bf16"
    finally:
        backend.fp32_precision = before


def test_an_error_inside_leaves_the_settings_of_the_caller() -> None:
    with dtype():
        inside: list[torch.dtype] = []
        with pytest.raises(IndexError), own_state():
            inside.pop(len(str(inside.append(torch.get_default_dtype()))))
        assert inside == [torch.float32]
        assert torch.get_default_dtype() == torch.bfloat16
