"""Cancelling inside a network: a long clip keeps one network busy for seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from ..types import Hooks


@contextmanager
def cancellable(network: nn.Module, hooks: Hooks) -> Iterator[None]:
    """Ask before every layer of the network whether the run has been cancelled."""
    asked = [
        layer.register_forward_pre_hook(lambda *_: hooks.check()) for layer in network.modules()
    ]
    try:
        yield
    finally:
        for hook in asked:
            hook.remove()
