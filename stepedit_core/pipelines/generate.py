"""Codes and an edit request to new codes: prompt, language model, slot-legal sampling.

Source: spec 6.4 to 6.8. The model continues the prompt with audio ids (41.67 a second) until the
end id; a trailing partial group is dropped.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import torch

from ..measure.words import SAME_WORDS, word_distance
from ..models.llm import PromptMemory
from ..registry.registry import Bundle
from ..text.edits import edit_vocabulary, validate
from ..text.prompts import DEFAULT_SPEAKER, clone_prompt, edit_prompt
from ..types import DualCodes, EditRequest, Hooks, Sampling, SilentHooks, stage_generator
from ..vocab import GROUP
from .sampling import clone_limit, edit_limit, sample_ids

STAGE = "generate"
log = logging.getLogger(__name__)


def check_request(bundle: Bundle, request: EditRequest) -> None:
    """Raise ValueError when the bundle's model cannot be asked for this.

    It was not taught the edit, words are missing, or the words hold control tokens.
    """
    manifest = bundle.manifest
    validate(request, edit_vocabulary(manifest.edit_vocabulary, manifest.edit_options))
    nothing = torch.zeros(0, dtype=torch.int64)
    codes = DualCodes(linguistic=nothing, semantic=nothing, codebook=manifest.codebook)
    prompt_ids(bundle, codes, request)


def prompt_ids(
    bundle: Bundle, codes: DualCodes, request: EditRequest, *, speaker: str = DEFAULT_SPEAKER
) -> list[int]:
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
            speaker=speaker,
        )
    return edit_prompt(bundle.text, layout, request, audio)


def generate(
    bundle: Bundle,
    codes: DualCodes,
    request: EditRequest,
    *,
    seed: int,
    round_: int = 1,
    sampling: Sampling | None = None,
    speaker: str = DEFAULT_SPEAKER,
    hooks: Hooks | None = None,
    memory: PromptMemory | None = None,
) -> DualCodes:
    """New codes for the request; draws come from the seed's stage "generate" and this round.

    Where the bundle asks for several candidates and the edit keeps the words, that many answers are
    drawn at once and the one whose words are nearest to the source's is kept. `speaker` is the name
    a clone prompt carries; `memory` of the round before saves time, changes nothing. Raises
    ValueError for a request the bundle does not know, codes of another bundle, or a model that ends
    before one whole group.
    """
    hooks = hooks or SilentHooks()
    check_request(bundle, request)
    prompt = prompt_ids(bundle, codes, request, speaker=speaker)
    if request.kind == "clone":
        limit = clone_limit(len(request.new_text))
    else:
        limit = edit_limit(GROUP * codes.groups)
    hooks.check()
    sampling = sampling or Sampling()
    if sampling.forbid_repeats is None:
        rule_of_2025 = bundle.manifest.prompt_layout.startswith("2025")
        sampling = replace(sampling, forbid_repeats=rule_of_2025)
    several = request.kind in SAME_WORDS and sampling.temperature > 0
    stages = [STAGE]
    if several:
        stages += [f"{STAGE}/{k}" for k in range(1, bundle.manifest.candidates)]
    answers = sample_ids(
        bundle.llm,
        [prompt] * len(stages),
        vocabulary=bundle.vocabulary,
        sampling=sampling,
        generators=[stage_generator(seed, stage, round_) for stage in stages],
        max_ids=limit,
        hooks=hooks,
        memory=memory,
    )
    made = [part for ids in answers if (part := bundle.vocabulary.split(ids)).groups]
    if not made:
        raise ValueError(
            f"the model ended after {len(answers[0])} ids; 5 or more make sound. Use another seed "
            "or check the transcript."
        )
    kept = made[0]
    if len(made) > 1:
        codebook = bundle.linguistic.codebook
        kept = min(made, key=lambda answer: word_distance(codebook, codes, answer))
    log.info(
        "round %d: %d ids of at most %d, %.2f s", round_, GROUP * kept.groups, limit, kept.seconds
    )
    return kept
