"""New words in the voice of a clip."""

from __future__ import annotations

import torch

from stepedit_core.pipelines.clone import clone, clone_plan
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import (
    Clip,
    Round,
)
from tests.edits import SHORT, same


def test_a_clone_says_new_words_in_the_voice_of_the_clip(bundle: Bundle, clip: Clip):
    def said(words: str) -> Round:
        plan = clone_plan(bundle, clip, "hello world", words, seed=2, sampling=SHORT)
        return clone(bundle, clip, plan)

    made, again, other = said("good morning"), said("good morning"), said("the lazy dog")
    assert torch.equal(made.clip.wave, again.clip.wave)
    assert not same(made.codes, other.codes)
    assert made.text == "good morning"
    assert made.score is None
