"""Decoding by difference against its formula, written out here, and its laws."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stepedit_core.measure.alignment import Guide
from stepedit_core.measure.time_path import TimePath, time_path
from stepedit_core.pipelines.difference import difference_decode, difference_part
from stepedit_core.pipelines.flow_decode import flow_decode
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.types import Decoding, Draws, DualCodes, SilentHooks, Voice, stage_generator
from stepedit_core.vocab import pairs

GROUPS = 12
LIKE_NANO = {"prompt_guide": True, "noise_scale": 0.3, "guidance_scale": 0.5, "contrast_scale": 0.7}
LIKE_THE_RELEASE: dict[str, object] = {}
STILL = Decoding(strength=0.0)


def drawn(groups: int, seed: int) -> DualCodes:
    generator = torch.Generator().manual_seed(seed)
    return DualCodes(
        linguistic=torch.randint(0, 1024, (2 * groups,), generator=generator),
        semantic=torch.randint(0, 4096, (3 * groups,), generator=generator),
        codebook="tiny-1",
    )


def voice_with(codes: DualCodes, lead: float = 3.0) -> Voice:
    generator = torch.Generator().manual_seed(5)
    return Voice(
        speaker=torch.randn(192, generator=generator),
        mel=torch.randn(80, 6 * codes.groups + 9, generator=generator),
        codes=codes,
        lead=lead,
    )


def joined(*parts: DualCodes) -> DualCodes:
    return DualCodes(
        linguistic=torch.cat([p.linguistic for p in parts]),
        semantic=torch.cat([p.semantic for p in parts]),
        codebook="tiny-1",
    )


def part(codes: DualCodes, first: int, last: int) -> DualCodes:
    return DualCodes(
        linguistic=codes.linguistic[2 * first : 2 * last],
        semantic=codes.semantic[3 * first : 3 * last],
        codebook=codes.codebook,
    )


SOURCE = drawn(GROUPS, 1)
VOICE = voice_with(SOURCE)
# every fourth group says something else, the length stays
ANSWER = joined(
    *(part(drawn(GROUPS, 2) if g % 4 == 2 else SOURCE, g, g + 1) for g in range(GROUPS))
)
LAUGH = joined(part(SOURCE, 0, 6), drawn(5, 3), part(SOURCE, 6, GROUPS))


def decoded(*args: Any, **how: Any) -> Tensor:
    """The mel alone."""
    return difference_decode(*args, **how).mel


@pytest.fixture(params=[LIKE_NANO, LIKE_THE_RELEASE], ids=["nano", "release"])
def model(
    request: pytest.FixtureRequest, exact_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> Bundle:
    flow = exact_bundle.flow
    monkeypatch.setattr(flow, "config", replace(flow.config, **request.param))
    return exact_bundle


def laid_codes(path: TimePath, codes: DualCodes) -> DualCodes:
    """The source's code under each code of the answer, one after the other."""
    places, known = path.matches.tolist(), path.known.tolist()
    semantic, linguistic = codes.semantic.tolist(), codes.linguistic.tolist()
    for row in range(3 * codes.groups):
        if known[row]:
            at = min(max(round(places[row]), 0), 3 * GROUPS - 1)
            semantic[row] = int(SOURCE.semantic[at])
    for slot in range(2 * codes.groups):
        middle = 1.5 * slot + 0.25  # in rows
        low = int(middle)
        place = places[low]
        if middle > low:
            place += (middle - low) * (places[low + 1] - places[low])
        if known[round(middle)]:
            at = min(max(round((place - 0.25) / 1.5), 0), 2 * GROUPS - 1)
            linguistic[slot] = int(SOURCE.linguistic[at])
    return DualCodes(
        linguistic=torch.tensor(linguistic), semantic=torch.tensor(semantic), codebook="tiny-1"
    )


@torch.no_grad()
def by_the_formula(
    bundle: Bundle,
    codes: DualCodes,
    *,
    strength: float,
    steps: int,
    guidance: float = 0.7,
    order: int = 1,
) -> Tensor:
    """One velocity after the other, as the module's text says it."""
    flow = bundle.flow
    c = flow.config
    guide = Guide(bundle.linguistic.codebook, bundle.semantic.codebook)
    path = time_path(guide, SOURCE, codes, VOICE.mel, VOICE.lead)
    assert path is not None
    known = path.known_frames()
    src = path.mel(VOICE.mel, VOICE.lead)
    theirs = pairs(codes.linguistic, codes.semantic)
    ours = pairs(SOURCE.linguistic, SOURCE.semantic)
    own = laid_codes(path, codes)
    laid = pairs(own.linguistic, own.semantic)
    prompt = 6 * GROUPS
    front = torch.nn.functional.interpolate(VOICE.mel[None], size=prompt, mode="nearest")[0]
    noise = c.noise_scale * torch.randn(
        1, 80, prompt + 6 * codes.groups, generator=stage_generator(4, "flow", 2)
    )
    cond = torch.zeros_like(noise)
    cond[0, :, :prompt] = front
    if c.prompt_guide:
        cond[0, :, prompt:] = src * known
    speaker = flow.project_speaker(VOICE.speaker[None])
    mu_e = flow.encode(torch.cat((ours, theirs))[None])
    mu_s = flow.encode(torch.cat((ours, laid))[None])
    full = torch.cat((front, src), dim=1)[None]
    z = full.clone()
    new = torch.nn.functional.pad(~known, (prompt, 0), value=False)
    z[..., new] = noise[..., new]
    t, moves = 0.0, []
    for step in range(1, steps + 1):
        z_s = (1 - t) * noise + t * full
        z_s[..., new] = z[..., new]
        z_e = z_s + (z - full)
        z_e[..., new] = z[..., new]
        time = torch.tensor([t])
        v_e = flow.decoder.estimator(z_e, time, mu_e, speaker, cond)
        v_s = flow.decoder.estimator(z_s, time, mu_s, speaker, cond)
        v_0 = flow.decoder.estimator(
            z_e, time, torch.zeros_like(mu_e), torch.zeros_like(speaker), torch.zeros_like(cond)
        )
        move = strength * (v_e - v_s)
        move[..., :prompt] = 0
        w = guidance * c.guidance_scale
        move[..., new] = ((1 + w) * v_e - w * v_0)[..., new]
        after = 1 - math.cos(step / steps * math.pi / 2)
        moves.append(move)
        two = order == 2 and step > 1
        z = z + (after - t) * (1.5 * move - 0.5 * moves[-2] if two else move)
        t = after
    return z[0, :, prompt:]


@pytest.mark.parametrize("codes", [ANSWER, LAUGH], ids=["same words", "a laugh"])
@pytest.mark.parametrize("strength", [1.0, 0.4, 1.5])
def test_the_mel_is_that_of_the_formula(model: Bundle, codes: DualCodes, strength: float) -> None:
    got = decoded(
        model,
        codes,
        VOICE,
        draws=Draws(seed=4, round=2),
        decoding=Decoding(steps=4, strength=strength),
    )
    want = by_the_formula(model, codes, strength=strength, steps=4)
    assert got.shape == (80, 6 * codes.groups)
    # float32 sums in another order, values of size 1 to 10 over four steps
    torch.testing.assert_close(got, want, atol=2e-4, rtol=1e-4)


def test_order_2_takes_half_the_steps_and_the_last_change_of_the_velocity_into_account(
    model: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.flow, "config", replace(model.flow.config, difference_order=2))
    for steps in (7, 8):
        got = decoded(
            model, ANSWER, VOICE, draws=Draws(seed=4, round=2), decoding=Decoding(steps=steps)
        )
        want = by_the_formula(model, ANSWER, strength=1.0, steps=4, order=2)
        # as above
        torch.testing.assert_close(got, want, atol=2e-4, rtol=1e-4)


def test_what_is_drawn_from_noise_has_all_steps(
    model: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = {"draws": Draws(seed=4, round=2), "decoding": Decoding(steps=6)}
    want = decoded(model, LAUGH, VOICE, **how)
    monkeypatch.setattr(model.flow, "config", replace(model.flow.config, difference_order=2))
    assert torch.equal(decoded(model, LAUGH, VOICE, **how), want)


def test_strength_0_is_the_recording_bit_for_bit(model: Bundle) -> None:
    got = decoded(model, ANSWER, VOICE, draws=Draws(seed=1), decoding=STILL)
    assert torch.equal(got, VOICE.mel[:, 3 : 3 + 6 * GROUPS])


def test_codes_that_say_nothing_new_leave_the_recording_as_it_is(model: Bundle) -> None:
    got = decoded(model, SOURCE, VOICE, draws=Draws(seed=1))
    torch.testing.assert_close(got, VOICE.mel[:, 3 : 3 + 6 * GROUPS], atol=1e-4, rtol=0)


def test_what_lies_under_an_answer_is_the_recording_in_its_time(model: Bundle) -> None:
    along = difference_decode(model, LAUGH, VOICE, draws=Draws(seed=1)).along
    assert along is not None
    assert along.known[:36].all()
    assert not along.known[40:60].any()
    assert along.known[-30:].all()
    assert along.frames[:30].tolist() == [3.0 + frame for frame in range(30)]
    assert torch.equal(along.source[:, :30], VOICE.mel[:, 3:33])
    part = along.cut(70, 90)
    assert part.source.shape == (80, 20)
    assert part.frames.tolist() == along.frames[70:90].tolist()
    assert difference_decode(model, drawn(GROUPS, 9), VOICE, draws=Draws(seed=1)).along is None


@pytest.mark.parametrize("strength", [0.4, 1.7])
def test_where_the_recordings_own_wave_is_moved_the_change_is_multiplied_afterwards(
    model: Bundle, strength: float
) -> None:
    voice = replace(VOICE, wave=torch.zeros(480 * VOICE.mel.shape[1]))
    how = {"draws": Draws(seed=4, round=2), "decoding": Decoding(steps=4, strength=strength)}
    got = difference_decode(model, ANSWER, voice, **how)
    assert got.more == strength
    assert torch.equal(
        got.mel, decoded(model, ANSWER, VOICE, **how | {"decoding": Decoding(steps=4)})
    )
    part = difference_part(model, ANSWER, voice, (2, 9), **how)
    assert part.more == strength
    torch.testing.assert_close(part.mel, got.mel)
    laugh = difference_decode(model, LAUGH, voice, **how)
    assert laugh.more == 1
    assert torch.equal(laugh.mel, decoded(model, LAUGH, VOICE, **how))


def test_in_the_network_the_strength_goes_up_to_1_5(model: Bundle) -> None:
    how = {"draws": Draws(seed=4, round=2)}
    most = decoded(model, ANSWER, VOICE, decoding=Decoding(steps=4, strength=2.0), **how)
    assert torch.equal(
        most, decoded(model, ANSWER, VOICE, decoding=Decoding(steps=4, strength=1.5), **how)
    )


def test_strength_0_keeps_the_recording_around_a_laugh(model: Bundle) -> None:
    got = decoded(model, LAUGH, VOICE, draws=Draws(seed=1), decoding=STILL)
    assert torch.equal(got[:, :30], VOICE.mel[:, 3:33])
    assert torch.equal(got[:, -24:], VOICE.mel[:, 3 + 6 * GROUPS - 24 : 3 + 6 * GROUPS])
    other = decoded(model, LAUGH, VOICE, draws=Draws(seed=2), decoding=STILL)
    assert not torch.allclose(got[:, 40:60], other[:, 40:60])  # the laugh is drawn


def test_it_depends_on_seed_and_round_alone(model: Bundle) -> None:
    first = decoded(model, ANSWER, VOICE, draws=Draws(seed=1, round=2))
    assert torch.equal(first, decoded(model, ANSWER, VOICE, draws=Draws(seed=1, round=2)))
    assert not torch.equal(first, decoded(model, ANSWER, VOICE, draws=Draws(seed=1, round=3)))
    assert not torch.equal(first, decoded(model, ANSWER, VOICE, draws=Draws(seed=2, round=2)))


def test_other_words_are_decoded_as_ever(model: Bundle) -> None:
    other = drawn(GROUPS, 9)
    got = decoded(model, other, VOICE, draws=Draws(seed=3, round=2))
    assert torch.equal(got, flow_decode(model, other, VOICE, draws=Draws(seed=3, round=2)))


def test_the_network_sees_two_rows_and_three_beside_a_laugh(
    model: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    estimator = model.flow.decoder.estimator
    velocity = estimator.velocity
    monkeypatch.setattr(
        estimator, "velocity", lambda x, *a, **k: seen.append(x.shape[0]) or velocity(x, *a, **k)
    )
    decoded(model, ANSWER, VOICE, draws=Draws(seed=1), decoding=Decoding(steps=2))
    decoded(model, LAUGH, VOICE, draws=Draws(seed=1), decoding=Decoding(steps=2))
    decoded(model, LAUGH, VOICE, draws=Draws(seed=1), decoding=Decoding(steps=2, guidance=0.0))
    assert seen == [2, 2, 3, 3, 2, 2]


def test_hooks_hear_every_step_and_can_cancel(model: Bundle) -> None:
    class Stop(SilentHooks):
        def __init__(self) -> None:
            self.steps: list[tuple[str, int, int]] = []

        def progress(self, stage: str, done: int, total: int) -> None:
            self.steps.append((stage, done, total))

        def check(self) -> None:
            if len(self.steps) == 2:
                raise InterruptedError

    hooks = Stop()
    with pytest.raises(InterruptedError):
        decoded(model, ANSWER, VOICE, draws=Draws(seed=1), decoding=Decoding(steps=5), hooks=hooks)
    assert hooks.steps == [("flow", 1, 5), ("flow", 2, 5)]


def test_codes_of_another_bundle_are_refused(bundle: Bundle) -> None:
    foreign = replace(ANSWER, codebook="other-1")
    with pytest.raises(ValueError, match="codebook 'other-1'"):
        decoded(bundle, foreign, VOICE, draws=Draws(seed=1))
    with pytest.raises(ValueError, match="codebook 'other-1'"):
        decoded(bundle, ANSWER, replace(VOICE, codes=foreign), draws=Draws(seed=1))


def test_it_runs_in_half_precision_and_strength_0_is_still_exact(bundles: Path) -> None:
    exact = Registry([bundles], {}).load("tiny", device="cpu")
    half = Registry([bundles], {}).load("tiny", device="cpu", precision="bf16")
    want = decoded(exact, LAUGH, VOICE, draws=Draws(seed=1), decoding=Decoding(steps=4))
    got = decoded(half, LAUGH, VOICE, draws=Draws(seed=1), decoding=Decoding(steps=4))
    assert got.dtype == torch.float32
    # 8 bits of mantissa through two blocks and four steps, values of size 1 to 10
    assert float((got - want).abs().mean()) < 0.1
    still = decoded(half, ANSWER, VOICE, draws=Draws(seed=1), decoding=STILL)
    assert torch.equal(still, VOICE.mel[:, 3 : 3 + 6 * GROUPS])


def differing(source: DualCodes, first: int, end: int) -> DualCodes:
    """Codes that say something else in every other of groups first to end."""
    other = drawn(source.groups, 7)
    groups = range(source.groups)
    return joined(
        *(part(other if first <= g < end and g % 2 else source, g, g + 1) for g in groups)
    )


def test_a_part_of_a_short_clip_is_decoded_as_the_whole(model: Bundle) -> None:
    answer, how = differing(SOURCE, 4, 8), {"draws": Draws(seed=2), "decoding": Decoding(steps=2)}
    mel, along, _ = difference_part(model, answer, VOICE, (4, 8), **how)
    assert along is not None
    assert along.known.all()
    assert torch.equal(mel, decoded(model, answer, VOICE, **how))


def test_a_part_of_a_long_clip_is_decoded_with_its_neighbours_alone(
    model: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = drawn(60, 1)
    voice, answer = voice_with(source), differing(source, 30, 34)
    how = {"draws": Draws(seed=2), "decoding": Decoding(steps=2)}
    whole = decoded(model, answer, voice, **how)
    seen = []
    estimator = model.flow.decoder.estimator
    velocity = estimator.velocity
    monkeypatch.setattr(
        estimator, "velocity", lambda x, *a, **k: seen.append(x.shape[2]) or velocity(x, *a, **k)
    )
    mel, along, _ = difference_part(model, answer, voice, (30, 34), **how)
    # 4 groups, 16 beside them in the prompt and 8 in the answer, on both sides
    assert seen == [6 * (4 + 32 + 4 + 16)] * 2
    assert along is not None
    kept = along.source
    near = slice(6 * 22, 6 * 42)
    assert torch.equal(mel[:, : near.start], kept[:, : near.start])
    assert torch.equal(mel[:, near.stop :], kept[:, near.stop :])
    inside = slice(6 * 30, 6 * 34)
    moved = (whole - kept)[:, inside].abs().mean()
    assert (mel - whole)[:, inside].abs().mean() < 0.25 * moved


def test_a_part_at_strength_0_is_the_recording_bit_for_bit(model: Bundle) -> None:
    answer = differing(SOURCE, 4, 8)
    mel, *_ = difference_part(model, answer, VOICE, (4, 8), draws=Draws(seed=1), decoding=STILL)
    assert torch.equal(mel, VOICE.mel[:, 3 : 3 + 6 * GROUPS])


def test_a_part_with_a_laugh_at_the_end_of_a_long_clip(model: Bundle) -> None:
    source = drawn(40, 1)
    answer = joined(source, drawn(5, 3))
    how = {"draws": Draws(seed=2), "decoding": Decoding(steps=2)}
    mel, along, _ = difference_part(model, answer, voice_with(source), (39, 45), **how)
    assert along is not None
    assert mel.shape == (80, 6 * 45)
    assert not along.known[-18:].any()
    # drawn, not digital silence
    assert mel[:, 6 * 41 : 6 * 44].mean() > -6
    # from the noise of the whole answer's last frames, with guidance
    other, *_ = difference_part(
        model, answer, voice_with(source), (39, 45), **how | {"draws": Draws(seed=3)}
    )
    assert not torch.allclose(mel[:, 6 * 41 :], other[:, 6 * 41 :])
    whole = decoded(model, answer, voice_with(source), **how)
    moved = (whole - along.source)[:, 6 * 41 :].abs().mean()
    assert (mel - whole)[:, 6 * 41 :].abs().mean() < 0.25 * moved
