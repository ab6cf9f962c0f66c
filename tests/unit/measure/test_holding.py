"""Whether a round holds, and which round is best then."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch

from stepedit_core.measure import holding
from stepedit_core.measure.holding import (
    damage,
    edit_distance,
    faults_of,
    recording_notes,
    with_heard,
)
from stepedit_core.measure.timeline import Word
from stepedit_core.pipelines.best import best_round
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Clip, DualCodes, Measures, Round, SilentHooks, Voice
from tests.rounds import finished


def made(score: float | None, ended: bool = True, **measures: Any) -> Round:
    good = finished("happy", score)
    assert good.measures is not None
    return replace(good, ended=ended, measures=replace(good.measures, **measures))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"words": 0.26}, r"words are lost or changed: their distance is 0\.26"),
        ({"misheard": 0.5}, r"50% of the words are heard wrongly"),
        ({"similarity": 0.49}, r"the voice is another: its likeness is 0\.49"),
    ],
)
def test_a_round_without_its_words_or_voice_says_so(broken: dict, said: str) -> None:
    (fault,) = faults_of(made(9.0, **broken))
    assert re.match(said, fault)


def test_a_figure_just_past_its_limit_is_never_shown_as_the_limit() -> None:
    (fault,) = faults_of(made(9.0, words=0.2501))
    assert fault.endswith("their distance is 0.2501, up to 0.25 they hold.")
    (fault,) = faults_of(made(9.0, misheard=0.341))
    assert fault.startswith("34.1% of the words are heard wrongly, up to 34%")
    (fault,) = faults_of(made(9.0, similarity=0.4999))
    assert "its likeness is 0.4999, from 0.5 on" in fault


def test_an_answer_that_never_ended_says_so() -> None:
    (fault,) = faults_of(made(9.0, ended=False))
    assert "did not end its answer" in fault


@pytest.mark.parametrize("fine", [{"words": 0.25}, {"misheard": 0.34}, {"similarity": 0.5}, {}])
def test_a_round_at_the_limit_holds(fine: dict) -> None:
    assert faults_of(made(1.0, **fine)) == ()


@pytest.mark.parametrize(
    ("broken", "best"),
    [
        ([{"words": 0.1}, {"words": 0.9}], 1),
        ([{"similarity": 0.9}, {"similarity": 0.2}], 1),
        ([{"misheard": 0.0}, {"misheard": 1.0}], 1),
        ([{}, {}], 2),
        ([{"words": 0.8}, {"words": 0.6}], 0),
        ([{"words": 0.3}, {"words": 0.3, "similarity": 0.3}], 0),
    ],
)
def test_the_best_round_is_the_strongest_that_holds(broken: list[dict], best: int) -> None:
    scores = (5.0, 9.3)
    rounds = [made(score, **faults) for score, faults in zip(scores, broken, strict=True)]
    assert best_round([finished("", None), *rounds]) == best


def test_a_marked_round_is_given_whatever_is_wrong_with_it() -> None:
    assert best_round([finished("", None), made(5.0), made(9.0, words=0.9)], 2) == 2


def test_an_unfinished_round_is_not_the_best_where_another_ended() -> None:
    assert best_round([finished("", None), made(5.0), made(9.0, ended=False)]) == 1


def test_without_scores_the_last_round_that_holds_is_the_best() -> None:
    rounds = [finished("", None), made(None), made(None), made(None, words=0.9)]
    assert best_round(rounds) == 2


def test_damage_grows_with_faults_first() -> None:
    two = damage(made(1.0, words=0.3, similarity=0.4))
    assert damage(made(1.0, words=0.9)) < two
    assert damage(made(1.0, words=0.1)) < damage(made(1.0, words=0.2))


def test_the_edit_distance_counts_words() -> None:
    one = ["i", "was", "walking", "home"]
    assert edit_distance(one, one) == 0
    assert edit_distance(one, ["i", "was", "home"]) == 1
    assert edit_distance(one, ["i", "was", "walking", "walking", "home", "now"]) == 2
    assert edit_distance(one, []) == 4
    assert edit_distance([], one) == 4


def test_a_recogniser_of_the_bundle_is_asked(
    bundle: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hears:
        def transcribe(self, clip: Clip) -> tuple[Word, ...]:
            return (Word("hello", 0, 0.1, 1.0), Word("Wold.", 0.1, 0.2, 1.0))

    plain = finished("happy", 1.0).measures
    assert plain is not None
    hooks = SilentHooks()
    assert with_heard(bundle, plain, clip, "hello world", hooks=hooks) is plain
    components = {**bundle.manifest.components, "recogniser": object()}
    monkeypatch.setattr(bundle, "manifest", replace(bundle.manifest, components=components))
    monkeypatch.setattr(holding, "recogniser_of", lambda bundle, hooks: Hears())
    got = with_heard(bundle, plain, clip, "Hello, [Sigh] world", hooks=hooks)
    assert (got.heard, got.misheard) == ("hello Wold.", 0.5)
    assert with_heard(bundle, plain, clip, "", hooks=hooks).misheard is None


def test_the_recording_says_what_was_nearly_cut_and_what_else_is_heard() -> None:
    nothing = torch.zeros(0)
    codes = DualCodes(linguistic=nothing.long(), semantic=nothing.long(), codebook="a")
    voice = Voice(speaker=nothing, mel=nothing, codes=codes)
    first = finished("", None)
    assert recording_notes(first, voice) == ()
    (quiet,) = recording_notes(first, replace(voice, saved=0.4))
    assert quiet.startswith("0.40 s at the ends are far quieter")
    assert isinstance(first.measures, Measures)
    other = replace(first, measures=replace(first.measures, heard="a song", misheard=0.9))
    (words,) = recording_notes(other, voice)
    assert "90% of the transcript's words are not heard in it, but 'a song'" in words
