"""Drawing audio ids on the device: `sampling.sample_answers` without waiting for each id.

The same draws from the same uniform numbers, which the rows' generators make on the CPU before the
first step. Ids are read back once in READ_EVERY steps, so up to that many steps run after the end.
Rows that have ended are computed on, unread, until all have. On a CPU this takes longer than
`sample_answers` and is there to prove that both draw the same ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..models.cancel import cancellable
from ..models.cuda_step import replayable
from ..models.llm import Step1LM
from ..models.static_step import StaticCache, static_hidden
from ..types import Sampling
from ..vocab import GROUP, Vocabulary
from .run import Run
from .sampling import (
    REPEAT_SHARE,
    REPEAT_WINDOW,
    Answer,
    check_generators,
    drawn_places,
    nan_error,
    prompt_cuts,
    slot_heads,
)
from .settings import check_sampling

READ_EVERY = 5 * GROUP
"""Steps between two readings: 0.6 s of speech."""
NO_ID = -1


@torch.inference_mode()
def sample_static(
    model: Step1LM,
    prompts: Sequence[Sequence[int]],
    *,
    vocabulary: Vocabulary,
    sampling: Sampling,
    generators: Sequence[torch.Generator],
    run: Run | None = None,
) -> list[Answer]:
    """The answers of `sample_answers`, whose arguments these are.

    Hooks are called once in READ_EVERY ids. The generators have given a number for each id of the
    limit, drawn or not.
    """
    run = run or Run()
    check_sampling(sampling)
    limit = sampling.max_ids - sampling.max_ids % GROUP
    check_generators(prompts, generators, limit)
    cache = model.new_cache(len(prompts), max(map(len, prompts)) + limit)
    cuts = [prompt_cuts(prompt, vocabulary) for prompt in prompts]
    run.hooks.check()
    with cancellable(model, run.hooks):
        hidden = model.prefill_hidden(prompts, cache, cuts=cuts, memory=run.prompts)
    state = _Drawing(prompts, generators, limit, hidden.device)
    rule = _Rule(model, slot_heads(model, vocabulary), vocabulary.end_id, sampling)
    _draw(rule, hidden, vocabulary.legal_range(0), state)
    if limit > 1:
        static = StaticCache(cache)
        steps: dict[tuple[int, int], Callable[[], None]] = {}
        for done in range(1, limit, READ_EVERY):
            run.hooks.check()
            run.hooks.progress("generate", done, limit)
            for position in range(done, min(done + READ_EVERY, limit)):
                slot = vocabulary.legal_range(position)
                if slot not in steps:
                    work = partial(_advance, rule, slot, static, state)
                    steps[slot] = replayable(work, (static.used, state.window, state.at))
                steps[slot]()
            if all(answer.ended for answer in _read(rule, state)):
                break
    run.hooks.progress("generate", limit, limit)
    return _read(rule, state)


class _Drawing:
    """What the draws of B rows read and write, on the device."""

    def __init__(
        self,
        prompts: Sequence[Sequence[int]],
        generators: Sequence[torch.Generator],
        limit: int,
        device: torch.device,
    ) -> None:
        uniform = [torch.rand(limit, generator=generator) for generator in generators]
        self.uniform = torch.stack(uniform).to(device)
        """(B, limit) float32."""
        tails = [([NO_ID] * REPEAT_WINDOW + list(p))[-REPEAT_WINDOW:] for p in prompts]
        self.window = torch.tensor(tails, device=device)
        """(B, REPEAT_WINDOW) int64: the newest ids, prompt included; NO_ID before a prompt."""
        self.at = torch.zeros(1, dtype=torch.int64, device=device)
        """(1,): how many ids are drawn."""
        self.drawn = torch.full_like(self.uniform, NO_ID, dtype=torch.int64)
        """(B, limit): the ids; also what follows an end."""
        self.wrong = torch.zeros_like(self.drawn, dtype=torch.bool)
        """(B, limit): where scores were not numbers."""


@dataclass(frozen=True)
class _Rule:
    """How ids are drawn of hidden states."""

    model: Step1LM
    heads: Mapping[int, Callable[[Tensor], Tensor]]
    """As slot_heads makes them."""
    end: int
    sampling: Sampling


def _draw(rule: _Rule, hidden: Tensor, slot: tuple[int, int], state: _Drawing) -> None:
    """Draw the next id of each row from hidden (B, D); slot is its first id and one past."""
    first, last = slot
    logits = rule.heads[first](hidden).float()
    state.wrong.index_copy_(1, state.at, logits.isnan().any(1, keepdim=True))
    if rule.sampling.forbid_repeats:
        logits = without_repeats(logits, state.window, first)
    uniform = state.uniform.index_select(1, state.at)
    place = drawn_places(logits, rule.sampling, uniform)[:, None]
    newest = (first + place).masked_fill(place == last - first, rule.end)
    state.drawn.index_copy_(1, state.at, newest)
    state.window.copy_(torch.cat([state.window[:, 1:], newest], 1))
    state.at += 1


def _advance(rule: _Rule, slot: tuple[int, int], cache: StaticCache, state: _Drawing) -> None:
    """One step: append the newest ids, draw the next ones."""
    hidden = static_hidden(rule.model, state.window[:, -1], cache)
    _draw(rule, hidden, slot, state)


def _read(rule: _Rule, state: _Drawing) -> list[Answer]:
    """Each row up to its end; waits for the device. ValueError where scores are not numbers."""
    count = int(state.at)
    drawn, wrong = state.drawn[:, :count].cpu(), state.wrong[:, :count].cpu()
    lengths = [ids.index(rule.end) if rule.end in ids else count for ids in drawn.tolist()]
    for position in range(count):
        if any(position <= n and wrong[row, position] for row, n in enumerate(lengths)):
            raise nan_error(position)
    rows = zip(drawn.tolist(), lengths, strict=True)
    return [Answer(tuple(ids[:n]), ended=n < count) for ids, n in rows]


def without_repeats(logits: Tensor, window: Tensor, first: int) -> Tensor:
    """`sampling.forbid_repeat` for logits (B, n) and window (B, REPEAT_WINDOW) on the device."""
    newest = window[:, -1:]
    often = (window == newest).sum(1, keepdim=True) / REPEAT_WINDOW > REPEAT_SHARE
    place, legal = newest - first, logits.shape[1] - 1
    acts = often & (window != NO_ID).all(1, keepdim=True) & (place >= 0) & (place < legal)
    places = torch.arange(logits.shape[1], device=logits.device)
    return logits.masked_fill(acts & (places == place), -torch.inf)
