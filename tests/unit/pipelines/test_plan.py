"""Plans: what they fix, how they are written down, what they count."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stepedit_core.measure import alignment, words
from stepedit_core.pipelines import edit
from stepedit_core.pipelines import plan as plans
from stepedit_core.pipelines.plan import Plan, facts_of, make_plan, plan_from_json
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.types import (
    STAGES,
    Clip,
    Decoding,
    EditRequest,
    Sampling,
    same_codes,
    stage_named,
    stages_of,
)

HAPPY = EditRequest(kind="emotion", option="happy", text="hello world")
SIGH = EditRequest(kind="sounds", text="hello world", new_text="hello [Sigh] world")


def made(bundle: Bundle, clip: Clip, *requests: EditRequest, **settings: object) -> Plan:
    return make_plan(bundle, clip, requests or [HAPPY], **settings)


def test_a_plan_survives_json_and_stays_equal(bundle: Bundle, clip: Clip) -> None:
    plan = made(
        bundle,
        clip,
        SIGH,
        HAPPY,
        rounds=2,
        voice="previous",
        seed=2**63,
        sampling=Sampling(temperature=0.5, top_k=3),
        decoding=Decoding(steps=4, contrast=0.25),
    )
    again = plan_from_json(json.loads(json.dumps(plan.as_json())))
    assert again == plan
    assert hash(again) == hash(plan)
    assert again.steps == plan.steps


def test_every_setting_tells_two_plans_apart(bundle: Bundle, clip: Clip) -> None:
    plan = made(bundle, clip)
    louder = Clip(wave=clip.wave * 0.5, sample_rate=clip.sample_rate)
    others = [
        made(bundle, louder),
        made(bundle, replace(clip, sample_rate=16_000)),
        made(bundle, clip, rounds=2),
        made(bundle, clip, voice="previous"),
        made(bundle, clip, seed=1),
        made(bundle, clip, sampling=Sampling(top_k=1)),
        made(bundle, clip, decoding=Decoding(guidance=0.0)),
        made(bundle, clip, replace(HAPPY, option="sad")),
        made(bundle, clip, replace(HAPPY, text="other words")),
    ]
    assert len({plan, *others}) == 1 + len(others)


def test_steps_carry_the_words_and_the_round_that_scores_compare_with(
    bundle: Bundle, clip: Clip
) -> None:
    steps = made(bundle, clip, SIGH, replace(HAPPY, text=""), rounds=2).steps
    assert [step.base for step in steps] == [0, 0, 2, 2]
    assert [step.request.text for step in steps] == [
        "hello world",
        *["hello [Sigh] world"] * 3,
    ]


@pytest.mark.parametrize("unknown", [{"speed": 2}, {"seed": "seven"}, {"clip": {}}])
def test_a_wrong_json_plan_is_refused(bundle: Bundle, clip: Clip, unknown: dict) -> None:
    with pytest.raises(ValueError, match=r"the plan.*Correct the plan"):
        plan_from_json({**made(bundle, clip).as_json(), **unknown})


def test_facts_are_of_the_samples_alone(clip: Clip) -> None:
    copy = Clip(wave=clip.wave.clone(), sample_rate=clip.sample_rate)
    assert facts_of(copy) == facts_of(clip)
    assert facts_of(clip).samples == len(clip.wave)


def test_a_run_makes_one_plan_and_one_prompt_a_round(
    bundle: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stepedit_core.pipelines import generate

    prompts, plan_checks = [], []
    edit_prompt, check_plan = generate.edit_prompt, plans.check_plan
    monkeypatch.setattr(generate, "edit_prompt", lambda *a: prompts.append(a) or edit_prompt(*a))
    monkeypatch.setattr(plans, "check_plan", lambda *a: plan_checks.append(a) or check_plan(*a))
    plan = make_plan(bundle, clip, [HAPPY], rounds=3, sampling=Sampling(max_ids=15))
    assert (len(plan_checks), len(prompts)) == (1, 0)
    iterate(bundle, clip, plan)
    assert (len(plan_checks), len(prompts)) == (1, 3)


def test_the_stages_fill_the_bar_without_gaps_and_an_unknown_one_has_its_own_name() -> None:
    end = 0.0
    for stage in STAGES:
        assert stage.start == pytest.approx(end)
        end = stage.start + stage.share
    assert end == pytest.approx(1.0)
    assert stage_named("align").doing == "align"


@pytest.mark.parametrize("strength", [-0.1, 2.1, float("nan")])
def test_a_strength_out_of_range_is_refused(bundle: Bundle, clip: Clip, strength: float) -> None:
    decoding = Decoding(way="difference", strength=strength)
    with pytest.raises(ValueError, match=r"strength is .*; allowed are 0 to 2"):
        made(bundle, clip, decoding=decoding)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("way", ["difference", None])
def test_signal_processing_has_no_strength(
    bundle: Bundle, clip: Clip, strength: float, way: str | None
) -> None:
    faster = EditRequest(kind="speed", option="faster", engine="signal")
    decoding = Decoding(way=way, strength=strength)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"speed faster is made by signal processing, which has"):
        make_plan(bundle, clip, [faster], decoding=decoding)
    make_plan(bundle, clip, [faster], decoding=replace(decoding, strength=1.0))


def test_the_exact_way_has_no_strength(bundle: Bundle, clip: Clip) -> None:
    with pytest.raises(ValueError, match=r"strength is 0.5 and the decoder's way is exact"):
        made(bundle, clip, decoding=Decoding(strength=0.5))


def test_the_plan_chooses_how_an_edit_is_decoded(
    bundle: Bundle, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Sampling(max_ids=15)

    def wave(request: EditRequest, way: str | None) -> torch.Tensor:
        plan = made(bundle, clip, request, sampling=short, decoding=Decoding(way=way))
        return iterate(bundle, clip, plan).final.clip.wave

    exact = wave(HAPPY, "exact")
    assert torch.equal(wave(HAPPY, None), exact)
    monkeypatch.setattr(bundle, "manifest", replace(bundle.manifest, decoder_way="difference"))
    seen = []
    real = edit.difference_decode
    monkeypatch.setattr(edit, "difference_decode", lambda *a, **k: seen.append(k) or real(*a, **k))
    wave(HAPPY, None)
    assert len(seen) == 1
    assert torch.equal(wave(HAPPY, "exact"), exact)
    assert len(seen) == 1


def test_at_strength_0_an_emotion_is_the_recording_with_all_of_its_length(
    bundle: Bundle, clip: Clip
) -> None:
    silence = torch.zeros(9_600)
    loud = clip.wave / clip.wave.abs().max()
    padded = Clip(wave=torch.cat([silence, loud, silence[:-77]]), sample_rate=24_000)
    still = Decoding(way="difference", strength=0)
    sad = EditRequest(kind="style", option="whisper")
    for voice in ("original", "previous"):
        plan = made(bundle, padded, HAPPY, sad, voice=voice, decoding=still)
        result = iterate(bundle, padded, plan)
        assert all(same_codes(r.codes, result.rounds[0].codes) for r in result.rounds)
        for made_round in result.rounds[1:]:
            assert torch.equal(made_round.clip.wave, padded.wave)


def test_at_strength_0_a_speed_keeps_the_sound_and_takes_its_time(
    bundle: Bundle, clip: Clip
) -> None:
    faster = EditRequest(kind="speed", option="faster", text="hello world")
    still = Decoding(way="difference", strength=0)
    plan = made(bundle, clip, faster, sampling=Sampling(max_ids=15), decoding=still)
    result = iterate(bundle, clip, plan)
    assert len(result.final.clip.wave) == 2880 * result.final.codes.groups != len(clip.wave)


def test_a_stage_more_is_one_row_more() -> None:
    rows = [("listen", 1, "listening"), ("draw", 6, "drawing")]
    one, two, three = stages_of(*rows, ("align", 1, "aligning"))
    assert (one.start, one.share) == (0.0, 0.125)
    assert (two.start, two.share) == (0.125, 0.75)
    assert (three.start, three.share, three.doing) == (0.875, 0.125, "aligning")


def test_codebooks_are_normalised_once_and_a_warp_is_not_repeated(
    bundles: Path, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = Registry([bundles], {}).load("tiny", device="cpu")
    manifest = replace(handle.manifest, candidates=2, decoder_way="difference")
    monkeypatch.setattr(handle, "manifest", manifest)
    normalised, warped = [], []
    rows, warp = alignment.unit_rows, words.warp
    for module in (alignment, words):
        monkeypatch.setattr(module, "unit_rows", lambda b: normalised.append(len(b)) or rows(b))
    monkeypatch.setattr(words, "warp", lambda cost: warped.append(cost.shape) or warp(cost))
    short = Sampling(max_ids=15)
    iterate(handle, clip, made(handle, clip, HAPPY, sampling=short))
    assert len(warped) == 2  # one for each candidate; the round's own is one of them
    iterate(handle, clip, made(handle, clip, HAPPY, rounds=2, sampling=short))
    assert sorted(normalised) == [1024, 1024, 4096]  # words; guide: both streams
    handle.release()
    iterate(handle, clip, made(handle, clip, HAPPY, sampling=short))
    assert len(normalised) == 6
