"""Prompts and answers as one padded batch, and the log-probabilities of the answers' ids.

Only the ids legal at an id's slot, and the end id, share its probability, as the product samples
(spec 5, 6.8). Letters: B rows, L ids of the longest prompt and answer together, A ids of the
longest answer with its end id, N places, D width, V ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..models.llm import Step1LM
from ..models.reward import RewardModel
from ..vocab import GROUP, LINGUISTIC_PER_GROUP, Vocabulary

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
    """The batch of these prompts and answers; an answer holds one id or more."""
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


class AnswerScores(NamedTuple):
    """What a policy says about each id of a batch's answers; zeros outside the mask."""

    log_probs: Tensor
    """(B, A) float32."""
    entropy: Tensor
    """(B, A) float32, of the distribution the id was drawn from, in nats."""


def slot_log_probs(
    hidden: Tensor,
    head: Tensor,
    goals: Tensor,
    slots: Tensor,
    vocabulary: Vocabulary,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Log-probabilities (N,) of goals and entropies (N,), float32, among the ids legal at a slot.

    Args:
        hidden: (N, D) final states.
        head: (V, D) rows of the language model's head.
        goals: (N,) int64, each legal at its slot or the end id.
        slots: (N,) int64, place in the group, 0..4.
        vocabulary: where the ids are.
        temperature: divides the logits, as when the ids were drawn.
    """
    end = head[vocabulary.end_id : vocabulary.end_id + 1]
    linguistic = slots < LINGUISTIC_PER_GROUP
    order, found, spread = [], [], []
    for rows, position in ((linguistic, 0), (~linguistic, LINGUISTIC_PER_GROUP)):
        low, high = vocabulary.legal_range(position)
        state, goal = hidden[rows], goals[rows]
        logits = torch.cat([state @ head[low:high].T, state @ end.T], dim=1).float()
        log_p = torch.log_softmax(logits / temperature, dim=-1)
        place = torch.where(goal == vocabulary.end_id, high - low, goal - low)
        order.append(rows.nonzero()[:, 0])
        found.append(log_p.gather(1, place[:, None])[:, 0])
        spread.append(-(log_p.exp() * log_p).sum(1))
    back = torch.cat(order).argsort()
    return torch.cat(found)[back], torch.cat(spread)[back]


class Policy(nn.Module):
    """A language model that answers for the ids of whole answers in one forward pass."""

    def __init__(self, lm: Step1LM, vocabulary: Vocabulary, *, checkpointing: bool = False) -> None:
        super().__init__()
        self.lm = lm
        self.vocabulary = vocabulary
        self.checkpointing = checkpointing

    def forward(self, batch: AnswerBatch, temperature: float = 1.0) -> AnswerScores:
        """Log-probabilities and entropies of a batch's answers."""
        hidden = self.lm(batch.ids, checkpointing=self.checkpointing)
        mask = batch.mask
        row, column = mask.nonzero().unbind(1)
        found, spread = slot_log_probs(
            hidden[row, batch.places[row, column]],
            self.lm.lm_head.weight,
            batch.goals[row, column],
            column % GROUP,
            self.vocabulary,
            temperature,
        )
        empty = found.new_zeros(mask.shape)
        return AnswerScores(
            empty.index_put((row, column), found), empty.index_put((row, column), spread)
        )


class Critic(nn.Module):
    """A reward model asked about the states of a batch's answers."""

    def __init__(self, model: RewardModel, *, checkpointing: bool = False) -> None:
        super().__init__()
        self.model = model
        self.checkpointing = checkpointing

    def forward(self, batch: AnswerBatch) -> tuple[Tensor, Tensor]:
        """Values (B, A) before each id of the answers, 0 outside the mask, and rewards (B,).

        The reward is the value after the last id.
        """
        values = self.model(batch.ids, checkpointing=self.checkpointing)
        rewards = values.gather(1, batch.last[:, None])[:, 0]
        return torch.where(batch.mask, values.gather(1, batch.places), 0.0), rewards


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
