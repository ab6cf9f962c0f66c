"""The margin score and the voice of rounds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stepedit_core.measure.margin import score
from stepedit_core.measure.voice import speaker_vector, voice_similarity
from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.types import (
    Clip,
    EditRequest,
)
from tests.edits import HAPPY, SHORT, WHISPER, run_of


def test_a_clip_has_its_own_voice_and_another_one_less_of_it(bundle: Bundle, clip: Clip):
    own = speaker_vector(bundle, clip)
    assert torch.equal(own, tokenize(bundle, clip)[1].speaker)
    noise = 0.1 * torch.randn(clip.wave.shape, generator=torch.Generator().manual_seed(1))
    other = speaker_vector(bundle, Clip(wave=noise, sample_rate=clip.sample_rate))
    assert voice_similarity(own, own) == pytest.approx(1)
    assert voice_similarity(own, other) < 0.99


def test_scores_lie_between_1_and_10_and_compare_with_the_start_of_the_request(
    bundle: Bundle, clip: Clip
):
    rounds = run_of(bundle, clip, [HAPPY], seed=5, rounds=2, sampling=SHORT).rounds
    for made in rounds[1:]:
        assert 1.0 <= made.score <= 10.0
        assert made.score == score(bundle, rounds[0].codes, made.codes, HAPPY)


def test_each_edit_is_scored_against_the_codes_before_its_own_first_round(
    bundle: Bundle, clip: Clip
):
    edits = [HAPPY, WHISPER]
    rounds = run_of(bundle, clip, edits, seed=5, rounds=2, sampling=SHORT).rounds
    for number, before in ((1, 0), (2, 0), (3, 2), (4, 2)):
        made = rounds[number]
        wanted = {k: score(bundle, rounds[k].codes, made.codes, made.request) for k in range(4)}
        assert made.score == wanted[before]
        assert wanted[before] not in [wanted[k] for k in wanted if k != before]  # can tell


def test_an_edit_the_scorer_does_not_know_has_no_score(bundle: Bundle, clip: Clip):
    denoise = EditRequest(kind="denoise")
    made = run_of(bundle, clip, [denoise], seed=1, sampling=SHORT).final
    assert made.score is None
    with pytest.raises(ValueError, match="the scorer was asked about 'denoise'"):
        score(bundle, made.codes, made.codes, denoise)


def test_a_bundle_without_scorer_edits_without_scores(bundles: Path, clip: Clip):
    other = Registry([bundles], {}).load("other", device="cpu")
    assert run_of(other, clip, [HAPPY], seed=1, sampling=SHORT).final.score is None
