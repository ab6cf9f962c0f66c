"""Batches drawn by other processes are those that one process draws, in the same order."""

from __future__ import annotations

import multiprocessing
import signal
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from recipes.nano.ahead import drawn_ahead, to_device


def draw(step: int) -> tuple[Tensor, np.random.Generator]:
    """What a training draws: tensors, and the step's generator after them."""
    rng = np.random.default_rng([7, step])
    return torch.from_numpy(rng.standard_normal(3)), rng


@pytest.mark.parametrize("processes", [1, 3])
def test_processes_draw_what_one_draws(processes: int) -> None:
    expected = list(islice(drawn_ahead(draw, 5, 0), 7))
    found = list(islice(drawn_ahead(draw, 5, processes), 7))
    for (one, first), (other, second) in zip(expected, found, strict=True):
        assert torch.equal(one, other)
        assert first.random() == second.random()


def test_processes_end_with_the_training_that_catches_the_signal() -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        batches = drawn_ahead(draw, 0, 2)
        next(batches)
        drawing = multiprocessing.active_children()
        batches.close()
        assert len(drawing) == 2
        assert not multiprocessing.active_children()
    finally:
        for process in multiprocessing.active_children():
            process.kill()
        signal.signal(signal.SIGTERM, before)


@dataclass(frozen=True)
class Part:
    """A batch that is a dataclass."""

    wave: Tensor
    name: str


def test_every_tensor_of_a_nest_moves() -> None:
    nest = {"a": [Part(wave=torch.zeros(1), name="x")], "b": (torch.ones(2), 3, None)}
    moved = to_device(nest, torch.device("meta"))
    assert moved["a"][0].wave.is_meta
    assert moved["b"][0].is_meta
    assert (moved["a"][0].name, moved["b"][1:]) == ("x", (3, None))
