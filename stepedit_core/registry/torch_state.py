"""Torch's global settings while a stage runs: ours inside, the caller's again afterwards.

Another pack in the same process may have changed the default dtype or device, let matrices be
multiplied in less than float32, or left autocast on. Samples must not depend on that, and nothing
of ours may leak: each stage sets what it needs and sets back what it found.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import torch

from .threads import own_threads

if TYPE_CHECKING:
    from .handle import Bundle

P = ParamSpec("P")
R = TypeVar("R")
EXACT = "ieee"
"""Float32 products in float32, in torch's own word."""


@contextmanager
def own_state() -> Iterator[None]:
    """Default dtype float32, default device the CPU, exact float32 products, no autocast.

    The libraries that torch ships for products and convolutions are in use: without them the sums
    come in another order.
    """
    with ExitStack() as stack:
        dtype, set_dtype = torch.get_default_dtype(), torch.set_default_dtype  # noqa: TID251
        if dtype != torch.float32:  # the one place that may: it sets back what it found
            set_dtype(torch.float32)
            stack.callback(set_dtype, dtype)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        for library in (torch.backends.mkldnn, torch.backends.cudnn):
            _switched_on(stack, library)
        _exact_products(stack)
        yield


def _switched_on(stack: ExitStack, library: Any) -> None:
    """Use a library of torch's, as torch does unless somebody has switched it off."""
    if not library.enabled:
        library.enabled = True
        stack.callback(setattr, library, "enabled", False)


def _exact_products(stack: ExitStack) -> None:
    """Multiply float32 in float32; torch has an older and a newer setting of this."""
    try:
        precision = torch.get_float32_matmul_precision()
    except RuntimeError:  # somebody has mixed the two; the newer ones say all
        precision = "highest"
    if precision != "highest":
        before = _backends()
        torch.set_float32_matmul_precision("highest")
        stack.callback(_restore, before)
        stack.callback(torch.set_float32_matmul_precision, precision)
    for backend in _backends():
        if backend.fp32_precision not in ("none", EXACT):
            stack.callback(setattr, backend, "fp32_precision", backend.fp32_precision)
            backend.fp32_precision = EXACT


def _backends() -> dict[Any, str]:
    """What multiplies and convolves -> its precision; empty before torch 2.9."""
    places = (
        (torch.backends, ()),
        (torch.backends.mkldnn, ("matmul", "conv", "rnn")),
        (torch.backends.cuda, ("matmul",)),
        (torch.backends.cudnn, ("conv", "rnn")),
    )
    found = [place for place, _ in places]
    found += [
        getattr(place, name) for place, names in places for name in names if hasattr(place, name)
    ]
    return {place: place.fp32_precision for place in found if hasattr(place, "fp32_precision")}


def _restore(before: dict[Any, str]) -> None:
    for backend, precision in before.items():
        if backend.fp32_precision != precision:
            backend.fp32_precision = precision


@contextmanager
def _state_of(arguments: tuple[object, ...]) -> Iterator[None]:
    """`own_state`, and the threads of the bundle that a stage is given first."""
    with own_state():
        if arguments and hasattr(arguments[0], "threads"):
            with own_threads(cast("Bundle", arguments[0])):
                yield
        else:
            yield


def in_own_state(stage: Callable[P, R]) -> Callable[P, R]:
    """A stage that runs in `own_state`; its first argument, a bundle, decides on the threads."""

    @wraps(stage)
    def run(*arguments: P.args, **keywords: P.kwargs) -> R:
        with _state_of(arguments):
            return stage(*arguments, **keywords)

    return run


def rounds_in_own_state(made: Callable[P, Iterator[R]]) -> Callable[P, Iterator[R]]:
    """A generator whose items are made in `own_state`; between them the caller's is back."""

    @wraps(made)
    def run(*arguments: P.args, **keywords: P.kwargs) -> Iterator[R]:
        steps = cast("Generator[R, None, None]", made(*arguments, **keywords))
        with closing(steps):
            while True:
                with _state_of(arguments):
                    try:
                        item = next(steps)
                    except StopIteration:
                        return
                yield item

    return run
