"""Rounds over the tiny bundle: seeds, order, prompts, refusals, times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stepedit_core.audio.resample import resample
from stepedit_core.measure.margin import score
from stepedit_core.measure.timeline import Word
from stepedit_core.pipelines import run
from stepedit_core.pipelines.flow_decode import flow_decode
from stepedit_core.pipelines.generate import generate
from stepedit_core.pipelines.memory import RoundMemory
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate_rounds
from stepedit_core.pipelines.tokenize import tokenize, voice_of
from stepedit_core.pipelines.vocode import vocode
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.types import (
    STAGES,
    Clip,
    Draws,
    EditRequest,
)
from tests.edits import HAPPY, SHORT, SIGH, WHISPER, run_of, same


def test_the_same_seed_gives_the_same_samples_through_all_rounds(bundle: Bundle, clip: Clip):
    def waves(seed: int) -> list[torch.Tensor]:
        result = run_of(bundle, clip, [HAPPY], seed=seed, rounds=2, sampling=SHORT)
        return [made.clip.wave for made in result.rounds]

    first, again, other = waves(5), waves(5), waves(6)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.equal(first[0], other[0])
    assert first[1].shape != other[1].shape or not torch.equal(first[1], other[1])


class Ears:
    """Hear the same words in every clip."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        return tuple(Word(w, n / 4, n / 4 + 0.2, 0.9) for n, w in enumerate(self.words))

    def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
        return self.transcribe(clip)


@pytest.mark.parametrize(("words", "wrong"), [(HAPPY.text, 0.0), ("other", 1.0)])
def test_the_named_recogniser_judges_the_words_of_every_round(
    bundle: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch, words: str, wrong: float
):
    plain = run_of(bundle, clip, [HAPPY], seed=5, sampling=SHORT)
    opened = []

    def recogniser_for(of: None, folder: str, **how: object) -> Ears:
        opened.append(folder)
        return Ears(*words.split())

    monkeypatch.setattr(run, "recogniser_for", recogniser_for)
    judged = run_of(bundle, clip, [HAPPY], seed=5, sampling=SHORT, recogniser="folder")
    assert opened == ["folder"]  # once for the run
    for made in judged.rounds:
        assert made.measures.heard == words
        assert made.measures.misheard == wrong
    told = " ".join(judged.final.notes)
    assert ("100% of the words are heard wrongly" in told) == bool(wrong)
    assert torch.equal(judged.final.clip.wave, plain.final.clip.wave)  # SHORT: no second try


def test_the_first_round_is_the_same_however_many_follow(bundle: Bundle, clip: Clip):
    one = run_of(bundle, clip, [HAPPY], seed=5, rounds=1, sampling=SHORT).final
    two = run_of(bundle, clip, [HAPPY], seed=5, rounds=2, sampling=SHORT).rounds[1]
    assert torch.equal(one.clip.wave, two.clip.wave)


@pytest.mark.parametrize("voice", ["previous", "original"])
@pytest.mark.parametrize("known", [1, 2, 3, 4])
def test_a_run_that_resumes_after_finished_rounds_gives_the_same_samples(
    bundle: Bundle, clip: Clip, voice: str, known: int
):
    how = {"seed": 5, "voice": voice, "sampling": SHORT, "rounds": 2}
    edits = [HAPPY, replace(HAPPY, option="sad")]
    whole = run_of(bundle, clip, edits, **how).rounds
    memory = RoundMemory()
    memory.keep(make_plan(bundle, clip, edits, **how), whole[:known])
    grown = run_of(bundle, clip, edits, memory=memory, **how).rounds
    assert all(new is old for new, old in zip(grown, whole[:known], strict=False))
    for new, old in zip(grown, whole, strict=True):
        assert torch.equal(new.clip.wave, old.clip.wave)
        assert (new.score, new.tokens, new.text) == (old.score, old.tokens, old.text)


def test_stage_by_stage_equals_the_whole_path(bundle: Bundle, clip: Clip):
    codes, voice = tokenize(bundle, clip)
    made = generate(bundle, codes, HAPPY, draws=Draws(seed=5), sampling=SHORT).codes
    mel = flow_decode(bundle, made, voice, draws=Draws(seed=5))
    wave = vocode(bundle, mel, draws=Draws(seed=5)).wave
    whole = run_of(bundle, clip, [HAPPY], seed=5, sampling=SHORT).final
    assert torch.equal(wave, whole.clip.wave)
    assert score(bundle, codes, made, HAPPY) == whole.score


def test_both_voices_share_round_1_and_the_ids_of_round_2_but_not_its_sound(
    bundle: Bundle, clip: Clip
):
    previous, original = (
        run_of(bundle, clip, [HAPPY], seed=5, rounds=2, voice=p, sampling=SHORT).rounds
        for p in ("previous", "original")
    )
    assert torch.equal(previous[1].clip.wave, original[1].clip.wave)
    assert same(previous[2].codes, original[2].codes)
    assert not torch.equal(previous[2].clip.wave, original[2].clip.wave)


def test_previous_prompts_the_decoder_with_the_round_before(bundle: Bundle, clip: Clip):
    how = {"seed": 5, "rounds": 2, "voice": "previous", "sampling": SHORT}
    rounds = run_of(bundle, clip, [HAPPY], **how).rounds
    voice = voice_of(bundle, rounds[1].clip, rounds[1].codes)
    mel = flow_decode(bundle, rounds[2].codes, voice, draws=Draws(seed=5, round=2))
    assert torch.equal(vocode(bundle, mel, draws=Draws(seed=5, round=2)).wave, rounds[2].clip.wave)


def test_round_2_edits_the_ids_that_round_1_generated(bundle: Bundle, clip: Clip):
    rounds = run_of(bundle, clip, [HAPPY], seed=5, rounds=2, sampling=SHORT).rounds
    draws = Draws(seed=5, round=2)
    again = generate(bundle, rounds[1].codes, HAPPY, draws=draws, sampling=SHORT).codes
    assert same(again, rounds[2].codes)
    assert [made.tokens for made in rounds] == ["tokenized", "tokenized", "reused"]


def test_round_0_is_the_input_at_24_khz(bundle: Bundle, clip: Clip):
    slow = Clip(wave=resample(clip.wave, 24_000, 16_000), sample_rate=16_000)
    first = next(iterate_rounds(bundle, slow, make_plan(bundle, slow, [HAPPY])))
    assert torch.equal(first.clip.wave, resample(slow.wave, 16_000, 24_000))
    assert first.request is None
    assert first.score is None


def test_requests_are_applied_in_order_each_as_often_as_asked(bundle: Bundle, clip: Clip):
    made = run_of(bundle, clip, [HAPPY, WHISPER], seed=1, rounds=2, sampling=SHORT).rounds
    options = [round_.request.option for round_ in made if round_.request]
    assert options == ["happy", "happy", "whisper", "whisper"]


def test_after_a_round_of_sounds_the_new_text_is_the_transcript(bundle: Bundle, clip: Clip):
    made = run_of(bundle, clip, [SIGH, HAPPY], seed=1, sampling=SHORT).rounds
    assert made[1].request.text == "hello world"
    assert made[2].request.text == "hello [Sigh] world"
    assert [round_.text for round_ in made] == [
        "hello world",
        "hello [Sigh] world",
        "hello [Sigh] world",
    ]


def test_a_request_without_words_takes_those_of_the_others(bundle: Bundle, clip: Clip):
    requests = [EditRequest(kind="denoise"), replace(WHISPER, text=""), HAPPY]
    made = run_of(bundle, clip, requests, seed=1, sampling=SHORT).rounds
    assert [round_.request.text for round_ in made[1:]] == ["hello world"] * 3


@pytest.mark.parametrize(
    ("requests", "settings", "match"),
    [
        ([], {}, "there is no edit to make"),
        ([HAPPY], {"rounds": 0}, "rounds is 0; allowed are 1 to 10"),
        ([HAPPY], {"rounds": 11}, "rounds is 11"),
        ([HAPPY], {"voice": "mixed"}, "voice is 'mixed'; allowed are original, previous"),
        ([replace(HAPPY, option="hapy")], {}, "Did you mean 'happy'"),
        ([replace(HAPPY, text=" ")], {}, "needs the transcript"),
        ([HAPPY, replace(WHISPER, text="good morning")], {}, "name different words"),
        (
            [EditRequest(kind="clone", text="a", new_text="b"), HAPPY],
            {},
            "clone cannot be one of",
        ),
        ([EditRequest(kind="clone", text="a", new_text="b")], {"rounds": 2}, "clone cannot be"),
    ],
)
def test_wrong_requests_are_refused_before_any_work(
    bundles: Path, clip: Clip, requests: list[EditRequest], settings: dict, match: str
):
    handle = Registry([bundles], {}).load("tiny", device="cpu")
    with pytest.raises(ValueError, match=match):
        make_plan(handle, clip, requests, seed=1, **settings)
    assert handle.loaded == ()


def test_a_round_says_where_its_time_went(bundle: Bundle, clip: Clip):
    how = {"seed": 5, "rounds": 2, "voice": "previous", "sampling": SHORT}
    rounds = run_of(bundle, clip, [HAPPY], **how).rounds
    assert set(rounds[0].stage_seconds) == {"tokenize", "measure"}
    assert set(rounds[2].stage_seconds) == {"tokenize", *(stage.name for stage in STAGES)}
    for made in rounds:
        assert sum(made.stage_seconds.values()) <= made.seconds_elapsed


def test_the_global_random_state_plays_no_part_and_is_left_alone(bundle: Bundle, clip: Clip):
    before = torch.get_rng_state()
    first = run_of(bundle, clip, [HAPPY], seed=5, sampling=SHORT).final.clip.wave
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    assert torch.equal(first, run_of(bundle, clip, [HAPPY], seed=5, sampling=SHORT).final.clip.wave)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_an_edit_runs_in_half_precision(bundles: Path, clip: Clip, precision: str):
    handle = Registry([bundles], {}).load("tiny", device="cpu", precision=precision)
    made = run_of(handle, clip, [HAPPY], seed=1, sampling=SHORT).final
    assert made.codes.groups == 3
    assert bool(torch.isfinite(made.clip.wave).all())
