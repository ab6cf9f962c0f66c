"""Scored answers of a model to the prompts of a data folder: what preference pairs are made of.

The report (arXiv:2511.03601) has 20 samples a prompt rated by people and a language model; here
the margin scorer rates them, 1 to 10, and lost words take marks off: the scorer alone likes an
angry clip of half the sentence. People's ratings come in by a plan with kind "sample" instead
(data/build.py).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import nsmallest

from ..measure.margin import can_score, score
from ..measure.words import SAME_WORDS, word_distance
from ..pipelines.generate import prompt_ids
from ..pipelines.limits import longest_answer
from ..pipelines.run import Run
from ..pipelines.sampling import sample_answers
from ..registry.handle import Bundle
from ..types import DualCodes, EditRequest, Hooks, Sampling, SilentHooks, stage_generator
from .records import Example, digest
from .shards import Dataset, Writer

log = logging.getLogger(__name__)
ANSWERS = 20
LOST = 0.5
"""Word distance of an answer that says something else (measure/words.py)."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Which prompts are answered, and how."""

    answers: int = ANSWERS
    """Of each prompt."""
    temperature: float = 1.0
    seed: int = 0
    split: str = "train"
    prompts: int | None = None
    """So many, whichever have the first ids: a draw that stays when data is added to. None: all."""


def sample(bundle: Bundle, data: Dataset, writer: Writer, draw: Draw) -> int:
    """Draw and score answers to every prompt that the writer does not know; how many.

    Passed over are prompts whose edit the scorer does not know, and answers without a whole group.
    """
    added = 0
    about = f"{draw.answers} {draw.temperature} {draw.seed}"
    for example in chosen(prompts_of(data, draw.split), draw.prompts):
        key = digest("sample", example.prompt_id, bundle.sha256, about)
        if key in writer.keys or not can_score(bundle, example.request):
            continue
        made = answers_of(bundle, example, draw.answers, draw.temperature, draw.seed)
        added += writer.add_all(replace(answer, key=key) for answer in made)
    return added


def prompts_of(data: Dataset, split: str) -> Iterator[Example]:
    """One example a prompt, in order of appearance."""
    seen: set[str] = set()
    for example in data:
        if example.split == split and example.prompt_id not in seen:
            seen.add(example.prompt_id)
            yield example


def chosen(examples: Iterator[Example], count: int | None) -> Iterable[Example]:
    """All examples, or the `count` with the first prompt ids, which are hashes."""
    return examples if count is None else nsmallest(count, examples, key=lambda e: e.prompt_id)


def mark(bundle: Bundle, source: DualCodes, made: DualCodes, request: EditRequest) -> float:
    """Mark 1 to 10 of an answer: the margin score, less what lost words cost.

    Where the words should stay, what the score has above 1 falls linearly with the distance of the
    linguistic codes, to nothing at LOST.
    """
    margin = score(bundle, source, made, request)
    if request.kind not in SAME_WORDS:
        return margin
    lost = word_distance(bundle.linguistic.codebook.detach(), source, made) / LOST
    return 1.0 + (margin - 1.0) * max(0.0, 1.0 - lost)


def answers_of(
    bundle: Bundle,
    example: Example,
    answers: int,
    temperature: float,
    seed: int,
    hooks: Hooks | None = None,
) -> Iterator[Example]:
    """Samples of one prompt with their scores."""
    request = example.request
    prompt = prompt_ids(bundle, example.source, request)
    drawn = sample_answers(
        bundle.llm,
        [prompt] * answers,
        vocabulary=bundle.vocabulary,
        sampling=Sampling(temperature=temperature, max_ids=longest_answer(request, example.source)),
        generators=[
            stage_generator(seed, f"sample/{example.prompt_id}", n) for n in range(answers)
        ],
        run=Run(hooks=hooks or SilentHooks()),
    )
    for answer in drawn:
        if answer.whole:
            made = bundle.vocabulary.split(answer.whole)
            margin = round(mark(bundle, example.source, made, request), 4)
            yield replace(
                example,
                kind="sample",
                target=made,
                rejected=None,
                margin=margin,
                scale=10,
                provenance=f"{bundle.name} {bundle.sha256[:12]}, margin scorer and words",
            )
