"""Cancelling inside a network: a long clip keeps one network busy for seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident

from torch import nn

from ..types import Hooks


@contextmanager
def cancellable(network: nn.Module, hooks: Hooks) -> Iterator[None]:
    """Ask before every layer of the network whether the run has been cancelled.

    Only layers that run on the calling thread ask: another thread with the same network has a
    run of its own, and rows side by side end with the one that asked.
    """
    ours = get_ident()

    def ask(*_: object) -> None:
        if get_ident() == ours:
            hooks.check()

    asked = [layer.register_forward_pre_hook(ask) for layer in network.modules()]
    try:
        yield
    finally:
        for hook in asked:
            hook.remove()
