"""Which items a step has, and prompts with their answers as padded batches.

Letters: B rows, L ids of the longest prompt and answer together, A ids of the longest answer with
its end id. The items of a step depend on the seed and the step alone, so a run that was stopped and
resumed sees what one that was not stopped would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .team import Team

Row = tuple[Sequence[int], Sequence[int]]
"""Prompt ids and answer ids, the end id included where the answer ended."""


@dataclass(frozen=True, kw_only=True)
class AnswerBatch:
    """B prompts with their answers."""

    ids: Tensor
    """(B, L) int64: prompt, answer, zeros."""
    places: Tensor
    """(B, A) int64: index in the row of the id before each answer id, whose state predicts it."""
    goals: Tensor
    """(B, A) int64: the answer's ids; the end id outside the mask."""
    mask: Tensor
    """(B, A) bool: True on the answer's ids."""

    @property
    def last(self) -> Tensor:
        """Index (B,) of the last id of each row."""
        return self.places[:, 0] + self.mask.sum(1)


def pack(rows: Sequence[Row], end_id: int, device: torch.device | None = None) -> AnswerBatch:
    """The batch of these prompts and answers; an answer has one id or more."""
    length = max(len(prompt) + len(answer) for prompt, answer in rows)
    longest = max(len(answer) for _, answer in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.int64)
    places = torch.zeros(len(rows), longest, dtype=torch.int64)
    goals = torch.full((len(rows), longest), end_id, dtype=torch.int64)
    mask = torch.zeros(len(rows), longest, dtype=torch.bool)
    for b, (prompt, answer) in enumerate(rows):
        ids[b, : len(prompt) + len(answer)] = torch.tensor([*prompt, *answer])
        places[b] = (len(prompt) - 1 + torch.arange(longest)).clamp(max=length - 1)
        goals[b, : len(answer)] = torch.tensor(list(answer))
        mask[b, : len(answer)] = True
    return AnswerBatch(
        ids=ids.to(device), places=places.to(device), goals=goals.to(device), mask=mask.to(device)
    )


class Sampler:
    """Items of each step: one permutation an epoch, drawn from the seed."""

    def __init__(self, count: int, batch: int, seed: int) -> None:
        if not count:
            raise ValueError("the data has nothing to train on (0 items). Check data and split.")
        self.count, self.batch, self.seed = count, batch, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __call__(self, step: int) -> list[int]:
        """Indices of a step's batch, of any step in any order."""
        found = []
        for at in range(step * self.batch, (step + 1) * self.batch):
            epoch, index = divmod(at, self.count)
            if epoch != self._epoch:
                generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
                self._epoch, self._order = epoch, torch.randperm(self.count, generator=generator)
            found.append(int(self._order[index]))
        return found

    def steps(self, epochs: float) -> int:
        """Steps that see every item so many times; one at least."""
        return max(1, round(epochs * self.count / self.batch))


def micro_batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Indices in parts of at most `most` padded ids each, rows of like length together.

    A row longer than `most` stands alone. Every index appears once.
    """
    part: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if part and lengths[index] * (len(part) + 1) > most:
            yield part
            part = []
        part.append(index)
    if part:
        yield part


def parts_of(lengths: Sequence[int], most: int, team: Team) -> list[tuple[list[int], float]]:
    """Micro-batches of this process's rows with the weight 1, filled up to the team's most.

    Sharded modules are called equally often by all: a process with fewer parts repeats its first
    one with the weight 0.
    """
    parts = [(part, 1.0) for part in micro_batches(lengths, most)]
    return parts + [(parts[0][0], 0.0)] * (team.largest(len(parts)) - len(parts))


def in_parts(
    rows: Sequence[Row],
    end_id: int,
    most: int,
    device: torch.device | None,
    ask: Callable[[AnswerBatch], Tensor],
) -> Tensor:
    """What `ask` says of all rows, asked in micro-batches of at most `most` padded ids.

    `ask` gives (b, a) or (b,) for a batch of b rows; the result is (B, A) with zeros, or (B,), on
    the CPU, without gradient.
    """
    longest = max(len(answer) for _, answer in rows)
    out: Tensor | None = None
    with torch.no_grad():
        for part in micro_batches([len(p) + len(a) for p, a in rows], most):
            said = ask(pack([rows[i] for i in part], end_id, device)).cpu()
            if out is None:
                shape = (len(rows), longest) if said.ndim == 2 else (len(rows),)
                out = said.new_zeros(shape)
            if said.ndim == 2:
                out[torch.tensor(part)[:, None], torch.arange(said.shape[1])] = said
            else:
                out[torch.tensor(part)] = said
    assert out is not None
    return out
