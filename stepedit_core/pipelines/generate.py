"""Codes and an edit request to new codes: prompt, language model, slot-legal sampling.

Source: spec 6.4 to 6.8. The model continues the prompt with audio ids (41.67 a second) until the
end id; a trailing partial group is dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from ..measure.finite import check_weights
from ..measure.words import SAME_WORDS
from ..registry.handle import Bundle
from ..registry.torch_state import in_own_state
from ..text.prompts import DEFAULT_SPEAKER, clone_prompt, edit_prompt
from ..types import Draws, DualCodes, EditRequest, Sampling
from ..vocab import GROUP
from .limits import longest_answer
from .plan import check_model_request
from .run import Run
from .sampling import Answer, sample_answers
from .static_sampling import sample_static

STAGE = "generate"
log = logging.getLogger(__name__)


class Generated(NamedTuple):
    """What the language model wrote for a request."""

    codes: DualCodes
    ended: bool
    """Whether it ended by itself, before the longest answer allowed."""


def prompt_ids(bundle: Bundle, codes: DualCodes, request: EditRequest) -> list[int]:
    """LM ids that ask for the request on these codes, in the bundle's layout."""
    audio = bundle.vocabulary.interleave(codes)
    layout = bundle.manifest.prompt_layout
    if request.kind == "clone":
        return clone_prompt(
            bundle.text,
            layout,
            prompt_text=request.text,
            audio_ids=audio,
            new_text=request.new_text,
            speaker=request.speaker or DEFAULT_SPEAKER,
        )
    return edit_prompt(bundle.text, layout, request, audio)


@in_own_state
def generate(
    bundle: Bundle,
    codes: DualCodes,
    request: EditRequest,
    *,
    draws: Draws,
    sampling: Sampling | None = None,
    run: Run | None = None,
) -> Generated:
    """New codes for the request; draws come from the stage "generate".

    Where the bundle asks for several candidates and the edit keeps the words, that many answers are
    drawn at once and the one whose words are nearest to the source's is kept. Raises ValueError for
    a request the bundle does not know, codes of another bundle, or a model that ends before one
    whole group.
    """
    run, sampling = run or Run(), sampling or Sampling()
    check_model_request(bundle, request)
    if sampling.forbid_repeats is None:
        rule_of_2025 = bundle.manifest.prompt_layout.startswith("2025")
        sampling = replace(sampling, forbid_repeats=rule_of_2025)
    prompt = prompt_ids(bundle, codes, request)
    limit = sampling.max_ids or longest_answer(request, codes)
    run.hooks.check()
    check_weights(bundle, "llm")
    stages = [STAGE]
    if request.kind in SAME_WORDS and sampling.temperature > 0:
        stages += [f"{STAGE}/{k}" for k in range(1, bundle.manifest.candidates)]
    answers = sample_for(bundle)(
        bundle.llm,
        [prompt] * len(stages),
        vocabulary=bundle.vocabulary,
        sampling=replace(sampling, max_ids=limit),
        generators=[draws.generator(stage) for stage in stages],
        run=run,
    )
    kept = _nearest(bundle, codes, answers, run)
    log.info(
        "round %d: %d ids of at most %d, %.2f s%s",
        draws.round,
        GROUP * kept.codes.groups,
        limit,
        kept.codes.seconds,
        "" if kept.ended else ", not ended",
    )
    return kept


def sample_for(bundle: Bundle) -> Callable[..., list[Answer]]:
    """What draws this bundle's ids; both ways take the same arguments."""
    return sample_static if bundle.steps == "static" else sample_answers


def _nearest(bundle: Bundle, source: DualCodes, answers: list[Answer], run: Run) -> Generated:
    """The answer whose words are nearest to the source's; ValueError where none makes sound."""
    split = [(bundle.vocabulary.split(answer.whole), answer.ended) for answer in answers]
    made = [Generated(codes, ended) for codes, ended in split if codes.groups]
    if not made:
        raise ValueError(
            f"the model ended after {len(answers[0].ids)} ids; 5 or more make sound. Use another "
            "seed or check the transcript."
        )
    if len(made) == 1:
        return made[0]
    return min(made, key=lambda answer: run.distances.between(bundle, source, answer.codes))
