"""Policy and critic: what a language model and a reward model say about the ids of answers.

Only the ids legal at an id's slot, and the end id, share its probability, as the product samples
(spec 5, 6.8). Letters: B rows, A ids of the longest answer with its end id, N places, D width, V
ids.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..models.llm import Step1LM
from ..models.reward import RewardModel
from ..vocab import GROUP, LINGUISTIC_PER_GROUP, Vocabulary
from .batches import AnswerBatch


class AnswerScores(NamedTuple):
    """What a policy says about each id of a batch's answers; zeros outside the mask."""

    log_probs: Tensor
    """(B, A) float32."""
    entropy: Tensor
    """(B, A) float32, of the distribution the id was drawn from, in nats."""


class SlotChoices(NamedTuple):
    """What a head says at n places of one stream: linguistic or semantic slots."""

    rows: Tensor
    """(N,) bool: which of the N places these are."""
    log_probs: Tensor
    """(n, ids) float32 over the legal ids, the end id last."""
    goals: Tensor
    """(n,) int64: column of each place's goal."""


def slot_choices(
    hidden: Tensor,
    head: Tensor,
    goals: Tensor,
    slots: Tensor,
    vocabulary: Vocabulary,
    temperature: float = 1.0,
) -> list[SlotChoices]:
    """Log-probabilities among the ids legal at each slot: linguistic places, then semantic ones.

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
    found = []
    for rows, position in ((linguistic, 0), (~linguistic, LINGUISTIC_PER_GROUP)):
        low, high = vocabulary.legal_range(position)
        state, goal = hidden[rows], goals[rows]
        logits = torch.cat([state @ head[low:high].T, state @ end.T], dim=1).float()
        log_p = torch.log_softmax(logits / temperature, dim=-1)
        place = torch.where(goal == vocabulary.end_id, high - low, goal - low)
        found.append(SlotChoices(rows, log_p, place))
    return found


def slot_log_probs(
    hidden: Tensor,
    head: Tensor,
    goals: Tensor,
    slots: Tensor,
    vocabulary: Vocabulary,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of goals (N,) and entropies (N,), float32; arguments of slot_choices."""
    order, found, spread = [], [], []
    for rows, log_p, place in slot_choices(hidden, head, goals, slots, vocabulary, temperature):
        order.append(rows.nonzero()[:, 0])
        found.append(log_p.gather(1, place[:, None])[:, 0])
        spread.append(-(log_p.exp() * log_p).sum(1))
    back = torch.cat(order).argsort()
    return torch.cat(found)[back], torch.cat(spread)[back]


def slot_loss(
    hidden: Tensor, head: Tensor, goals: Tensor, slots: Tensor, vocabulary: Vocabulary
) -> tuple[Tensor, float, float]:
    """Mean cross-entropy () of the goals, and the share that is most likely in each stream."""
    losses, hits = [], []
    for _, log_p, place in slot_choices(hidden, head, goals, slots, vocabulary):
        losses.append(-log_p.gather(1, place[:, None]).sum())
        hits.append(float((log_p.argmax(1) == place).float().mean()))
    return (losses[0] + losses[1]) / len(goals), hits[0], hits[1]


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
