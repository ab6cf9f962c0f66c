"""Drawing audio ids from the language model, slot by slot. Source: spec 5, 6.8.

At every place of a 120 ms group only the ids of its codebook and the end id can be drawn, so the
result always splits into codes. Draws are made on the CPU in float32 from one uniform number per
id and row: the same seed gives the same ids on every device, whatever else shares the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.cancel import cancellable
from ..models.llm import Step1LM
from ..printable import shown
from ..types import Sampling
from ..vocab import GROUP, Vocabulary
from .run import Run
from .settings import check_sampling

SHORTEST_PART = 32
"""Fewest ids of a part of a prompt that is run on its own."""
REPEAT_WINDOW = 10
REPEAT_SHARE = 0.1
"""The 2025 rule looks at the last ten ids and acts above this share of them (spec 6.8)."""


def prompt_cuts(prompt: Sequence[int], vocabulary: Vocabulary) -> list[int]:
    """Where a prompt runs in parts, rising: before its first audio id, after the end of a turn.

    The next round of an edit has the same ids up to the audio, another edit up to the end of the
    system's turn. Cuts leave SHORTEST_PART ids or more on either side: a part costs one reading of
    all weights, which so many rows of arithmetic outweigh.
    """
    first_audio = next((i for i, id_ in enumerate(prompt) if id_ >= vocabulary.audio_offset), 0)
    ends = [i + 1 for i, id_ in enumerate(prompt) if id_ == vocabulary.end_id]
    cuts: list[int] = []
    for cut in sorted({first_audio, *ends}):
        before = cuts[-1] if cuts else 0
        if cut - before >= SHORTEST_PART and len(prompt) - cut >= SHORTEST_PART:
            cuts.append(cut)
    return cuts


@dataclass(frozen=True)
class Answer:
    """What a model drew for one prompt."""

    ids: tuple[int, ...]
    """Audio ids, each legal at its slot; the last group may be partial."""
    ended: bool
    """Whether the end id was drawn; else the limit was reached."""

    @property
    def whole(self) -> list[int]:
        """The ids of whole groups."""
        return list(self.ids[: len(self.ids) - len(self.ids) % GROUP])


@torch.inference_mode()
def sample_answers(
    model: Step1LM,
    prompts: Sequence[Sequence[int]],
    *,
    vocabulary: Vocabulary,
    sampling: Sampling,
    generators: Sequence[torch.Generator],
    run: Run | None = None,
) -> list[Answer]:
    """Continue B prompts of any lengths with audio ids until each ends or max_ids is reached.

    Args:
        model: the language model, on any device, in any dtype.
        prompts: LM ids that end where the answer begins.
        vocabulary: where the audio ids and the end id are.
        sampling: temperature, filters, and the most ids a row may get; whole groups count.
        generators: one CPU generator per prompt; a row's draws depend on its own alone.
        run: its hooks are called at every id; its prompts are what the call before ran, of the
            same model: a beginning that is equal up to a cut is not run again. The ids are the
            same without it.
    """
    run = run or Run()
    hooks = run.hooks
    check_sampling(sampling)
    limit = sampling.max_ids - sampling.max_ids % GROUP
    check_generators(prompts, generators, limit)
    cache = model.new_cache(len(prompts), max(map(len, prompts)) + limit)
    device = cache.kv.device
    drawn: list[list[int]] = [[] for _ in prompts]
    ended = [False] * len(prompts)
    alive = list(range(len(prompts)))
    cuts = [prompt_cuts(prompt, vocabulary) for prompt in prompts]
    heads = slot_heads(model, vocabulary)
    with cancellable(model, hooks):
        hidden = model.prefill_hidden(prompts, cache, cuts=cuts, memory=run.prompts)
    for position in range(limit):
        hooks.check()
        hooks.progress("generate", position, limit)
        first, last = vocabulary.legal_range(position)
        logits = heads[first](hidden).to("cpu", torch.float32)
        if bool(logits.isnan().any()):
            raise nan_error(position)
        if sampling.forbid_repeats:
            for row, index in enumerate(alive):
                running = [*prompts[index][-REPEAT_WINDOW:], *drawn[index][-REPEAT_WINDOW:]]
                forbid_repeat(logits[row], running, first)
        places = draw(logits, sampling, [generators[index] for index in alive])
        kept = [row for row, place in enumerate(places) if place != last - first]
        for row in set(range(len(alive))) - set(kept):
            ended[alive[row]] = True
        for row in kept:
            drawn[alive[row]].append(first + places[row])
        if not kept or position + 1 == limit:
            break
        if len(kept) < len(alive):
            cache.select(torch.tensor(kept, device=device))
            alive = [alive[row] for row in kept]
        newest = [first + places[row] for row in kept]
        hidden = model.step_hidden(torch.tensor(newest, device=device), cache)
    hooks.progress("generate", limit, limit)
    return [Answer(tuple(ids), end) for ids, end in zip(drawn, ended, strict=True)]


def slot_heads(model: Step1LM, vocabulary: Vocabulary) -> dict[int, Callable[[Tensor], Tensor]]:
    """First legal id of a slot -> hidden (B, D) to logits of its ids and, last, of the end id."""
    ranges = {vocabulary.legal_range(slot) for slot in range(GROUP)}
    return {first: model.slot_head(first, last, vocabulary.end_id) for first, last in ranges}


def forbid_repeat(logits: Tensor, running: Sequence[int], first: int) -> None:
    """The 2025 rule, in place: the newest id may not follow itself once it is frequent.

    logits (n,) of the ids first..first+n-2 and the end id; running has prompt and answer. With
    ten ids or more, the newest is forbidden when it fills over a tenth of the last ten.
    """
    window = list(running)[-REPEAT_WINDOW:]
    if len(window) < REPEAT_WINDOW:
        return
    place = window[-1] - first
    frequent = window.count(window[-1]) / REPEAT_WINDOW > REPEAT_SHARE
    if frequent and 0 <= place < logits.shape[0] - 1:
        logits[place] = -torch.inf


def draw(logits: Tensor, sampling: Sampling, generators: Sequence[torch.Generator]) -> list[int]:
    """One place per row of logits (B, n) float32 on the CPU; one uniform number per row.

    Temperature 0 takes the largest logit. top_k is applied before top_p, both after temperature.
    """
    if sampling.temperature == 0:
        greedy: list[int] = logits.argmax(dim=-1).tolist()
        return greedy
    uniform = torch.stack([torch.rand(1, generator=generator) for generator in generators])
    found: list[int] = drawn_places(logits, sampling, uniform).tolist()
    return found


def drawn_places(logits: Tensor, sampling: Sampling, uniform: Tensor) -> Tensor:
    """Places (B,) int64 of logits (B, n) float32 at uniform numbers (B, 1), where they lie.

    No shape depends on a value and nothing waits for the device.
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = torch.softmax(filter_logits(logits / sampling.temperature, sampling), dim=-1)
    edges = probabilities.cumsum(dim=-1)
    places = torch.searchsorted(edges, uniform * edges[:, -1:], right=True)[:, 0]
    # rounding can put the mark on the last edge, after which nothing has any probability
    numbers = torch.arange(1, logits.shape[-1] + 1, device=logits.device)
    return torch.minimum(places, ((probabilities > 0) * numbers).amax(dim=-1) - 1)


def filter_logits(logits: Tensor, sampling: Sampling) -> Tensor:
    """Logits (B, n) with -inf outside the top_k most likely and outside the top_p mass."""
    if 0 < sampling.top_k < logits.shape[-1]:
        smallest = logits.topk(sampling.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    if sampling.top_p < 1.0:
        ordered, order = logits.sort(dim=-1, descending=True)
        mass = torch.softmax(ordered, dim=-1)
        # the id that crosses p stays, so the mass before an id decides
        outside = mass.cumsum(dim=-1) - mass >= sampling.top_p
        outside[:, 0] = False
        logits = logits.masked_fill(outside.gather(-1, order.argsort(dim=-1)), -torch.inf)
    return logits


def nan_error(position: int) -> ValueError:
    """What is said where a model's scores at an id are not numbers."""
    return ValueError(
        f"the language model made NaN at id {shown(position)}; all scores must be numbers. "
        "Check the bundle with `stepedit bundles --verify`, or choose another precision."
    )


def check_generators(
    prompts: Sequence[Sequence[int]], generators: Sequence[torch.Generator], limit: int
) -> None:
    """Errors for what cannot be sampled with."""
    if limit < GROUP:
        raise ValueError(f"the number of ids is {limit}; allowed is {GROUP} or more. Change it.")
    if len(generators) != len(prompts):
        raise ValueError(
            f"{len(generators)} generators were given for {len(prompts)} prompts; each prompt "
            "takes one. Make one with stage_generator for each."
        )
