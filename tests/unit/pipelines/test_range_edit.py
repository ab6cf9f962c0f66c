"""An edit of a part: its window, its codes, and every sample outside of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stepedit_core.audio.patches import Patch, patched
from stepedit_core.audio.recordings import Recording
from stepedit_core.pipelines import range_edit
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.range_edit import (
    composed,
    edit_range,
    part_of,
    patch_of,
)
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Clip, Decoding, DualCodes, EditRequest, EditResult, Round
from tests.rounds import finished
from tests.unit.conftest import voiced

RATE = 44_100
HAPPY = EditRequest(kind="emotion", option="happy", text="hello there")
DIFFERENCE = Decoding(way="difference", steps=2)


def stereo(seconds: float, rate: int = RATE) -> Recording:
    """16-bit speech in two channels, with a pause of 0.3 s around every full second."""
    wave = voiced(seconds, rate)
    time = torch.arange(len(wave)) / rate
    wave = wave * ((time % 1.0 - 0.5).abs() < 0.35)
    samples = torch.stack((wave, -0.4 * wave)) * 2**15
    return Recording(samples=samples.round().short(), sample_rate=rate, subtype="PCM_16")


def drawn(groups: int, seed: int) -> DualCodes:
    generator = torch.Generator().manual_seed(seed)
    return DualCodes(
        linguistic=torch.randint(0, 1024, (2 * groups,), generator=generator),
        semantic=torch.randint(0, 4096, (3 * groups,), generator=generator),
        codebook="tiny-1",
    )


def made_of(codes: DualCodes, request: EditRequest | None = None) -> Round:
    clip = Clip(wave=torch.zeros(2880 * codes.groups), sample_rate=24_000)
    return Round(clip=clip, codes=codes, request=request, score=None, seconds_elapsed=0.0)


def changed(codes: DualCodes, first: int, end: int) -> DualCodes:
    semantic = codes.semantic.clone()
    semantic[3 * first : 3 * end] = (semantic[3 * first : 3 * end] + 7) % 4096
    return replace(codes, semantic=semantic)


def test_a_window_is_ten_seconds_and_begins_and_ends_in_pauses() -> None:
    recording = stereo(40.0, 8_000)
    part = part_of(recording, 20.3, 21.2)
    assert (part.start, part.end) == (162_400, 169_600)
    assert 7.0 <= (part.window_end - part.window_start) / 8_000 <= 10.0
    for border in (part.window_start, part.window_end):
        assert abs((border / 8_000 + 0.5) % 1.0 - 0.5) < 0.06  # the middle of a pause


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.6), (39.2, 40.0), (3.0, 25.0)])
def test_a_window_stays_inside_and_has_room_for_the_part(start: float, end: float) -> None:
    part = part_of(stereo(40.0, 8_000), start, end)
    assert 0 <= part.window_start <= part.start < part.end <= part.window_end <= 320_000
    assert part.window_end - part.window_start >= 8_000 * 7


def test_a_short_recording_is_its_own_window() -> None:
    part = part_of(stereo(3.0), 1.2, 1.8)
    assert (part.window_start, part.window_end) == (0, 3 * RATE)


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (2.0, 1.0, "Choose a start before its end"),
        (-0.5, 1.0, "Choose a start before its end"),
        (float("nan"), 1.0, "Choose a start before its end"),
        (5.0, 6.0, "the recording has 0 to 3.00 s"),
        (2.0, 3.5, "the recording ends at 3.00 s"),
        (1.2, 1.25, "0.05 s long"),
        (0.9, 1.1, "nothing is heard"),
    ],
)
def test_ranges_that_cannot_be_edited(start: float, end: float, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        part_of(stereo(3.0), start, end)


def test_a_range_longer_than_a_window() -> None:
    with pytest.raises(ValueError, match="in parts"):
        part_of(stereo(40.0, 8_000), 1.0, 35.0)


def test_the_answer_stands_only_in_the_part(bundle: Bundle) -> None:
    source = drawn(20, 1)
    answer = changed(source, 0, 20)
    codes, count = composed(bundle, source, answer, (5, 9))
    assert count == 4
    expected = source.semantic.clone()
    expected[15:27] = answer.semantic[15:27]
    assert torch.equal(codes.semantic, expected)
    assert torch.equal(codes.linguistic, source.linguistic)


def test_an_answer_that_says_something_else(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="another seed"):
        composed(bundle, drawn(20, 1), drawn(20, 2), (5, 9))


def test_a_pause_that_grew_beside_the_part_stays_outside(bundle: Bundle) -> None:
    source = drawn(20, 1)
    still = DualCodes(  # its first group ten times, then the rest
        linguistic=torch.cat((source.linguistic[:2].repeat(9), source.linguistic)),
        semantic=torch.cat((source.semantic[:3].repeat(9), source.semantic)),
        codebook="tiny-1",
    )
    _, count = composed(bundle, source, still, (0, 6))
    assert 6 <= count <= 7


def test_a_part_that_lost_its_words_is_not_put_in(bundle: Bundle) -> None:
    source = drawn(30, 1)
    short = DualCodes(
        linguistic=torch.cat((source.linguistic[:20], source.linguistic[38:])),
        semantic=torch.cat((source.semantic[:30], source.semantic[57:])),
        codebook="tiny-1",
    )
    with pytest.raises(ValueError, match=r"for the 1\.08 s of the part"):
        composed(bundle, source, short, (10, 19))


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize(("start", "end"), [(1.2, 1.8), (0.0, 0.8), (2.2, 3.0)])
def test_every_sample_outside_stays(bundle: Bundle, rate: int, start: float, end: float) -> None:
    recording = stereo(3.0, rate)
    part = part_of(recording, start, end)
    clip = recording.clip(part.window_start, part.window_end)
    plan = make_plan(bundle, clip, [HAPPY], decoding=DIFFERENCE)
    source = drawn(20, 1)
    rounds = (made_of(source), made_of(changed(source, 0, 20), HAPPY))
    result = EditResult(rounds=rounds, best_number=1)
    out = patch_of(bundle, recording, part, plan, result, number=1)
    old, new = recording.samples, patched(recording, [out]).samples
    after = new.shape[1] - out.end
    assert new.dtype == old.dtype
    assert torch.equal(new[:, : out.first], old[:, : out.first])
    assert torch.equal(new[:, out.end :], old[:, old.shape[1] - after :])
    # groups of 120 ms, a fade within 80 ms of their border
    assert part.start - out.first <= 0.205 * rate
    assert after >= old.shape[1] - part.end - 0.205 * rate
    inside = slice(out.first, out.end)
    assert not torch.equal(new[:, inside], old[:, inside][:, : new[:, inside].shape[1]])


@pytest.mark.parametrize(("start", "end"), [(1.2, 1.8), (0.0, 0.8), (2.2, 3.0)])
def test_a_whisper_by_signal_is_the_parts_own_time_at_every_channel(
    bundle: Bundle, start: float, end: float
) -> None:
    recording = stereo(3.0, 16_000)
    old = recording.samples
    request = EditRequest(kind="style", option="whisper", engine="signal")
    part = part_of(recording, start, end)
    out = edit_range(bundle, recording, part, [request], settings={"rounds": 2})
    new = out.recording.samples
    assert (out.first, out.end) == (part.start, part.end)
    assert new.shape == old.shape
    assert torch.equal(new[:, : part.start], old[:, : part.start])
    assert torch.equal(new[:, part.end :], old[:, part.end :])
    inside = slice(part.start, part.end)
    # the second channel is -0.4 of the first, as in the recording
    assert (new[1, inside].double() + 0.4 * new[0, inside].double()).abs().max() <= 2
    again = edit_range(bundle, recording, part, [request], settings={"rounds": 2})
    assert torch.equal(again.recording.samples, new)
    assert not torch.equal(new[:, inside], old[:, inside])


def test_a_whisper_of_a_part_follows_the_model(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = stereo(3.0)
    old = recording.samples
    part = part_of(recording, 1.2, 1.8)
    begin, stop, longer = part.start - 90, part.end + 70, 500
    samples = old[:, begin : stop + longer].flip(1)
    spoken = Patch(start=begin, stop=stop, samples=samples)
    monkeypatch.setattr(range_edit, "_moved", lambda *_: None)
    monkeypatch.setattr(range_edit, "put_in", lambda *_, **how: spoken)
    whisper = EditRequest(kind="style", option="whisper", engine="signal")
    clip = recording.clip(part.window_start, part.window_end)
    plan = make_plan(bundle, clip, [HAPPY, whisper])
    done = finished("happy", 5.0), replace(finished("whisper", 5.0), request=whisper)
    first = iterate(bundle, clip, make_plan(bundle, clip, [whisper])).rounds[0]
    result = EditResult(rounds=(first, *done), best_number=2)
    made = patch_of(bundle, recording, part, plan, result, number=2)
    assert (made.first, made.stop) == (begin, stop)
    new, model = patched(recording, [made]).samples, patched(recording, [spoken]).samples
    inside = slice(part.start, part.end + longer)
    assert new.shape == model.shape
    assert torch.equal(new[:, : part.start], model[:, : part.start])
    assert torch.equal(new[:, part.end + longer :], model[:, part.end + longer :])
    assert not torch.equal(new[:, inside], model[:, inside])


@pytest.mark.usefixtures("every_round_holds")
def test_the_same_codes_and_strength_0_give_the_recording_back(bundle: Bundle) -> None:
    recording = stereo(3.0)
    part = part_of(recording, 1.2, 1.8)
    still = {"decoding": replace(DIFFERENCE, strength=0.0), "rounds": 2}
    out = edit_range(bundle, recording, part, [HAPPY], settings=still)
    assert torch.equal(out.recording.samples, recording.samples)
    assert out.first == out.end
    assert len(out.rounds.rounds) == 3


def test_edits_that_keep_no_recording_are_of_the_whole_clip(bundle: Bundle) -> None:
    recording = stereo(3.0)
    with pytest.raises(ValueError, match="Edit the whole clip"):
        edit_range(bundle, recording, part_of(recording, 1.2, 1.8), [EditRequest(kind="denoise")])


@pytest.mark.parametrize(("option", "rounds", "tempo"), [("faster", 1, 1.25), ("slower", 2, 0.64)])
@pytest.mark.parametrize(("start", "end"), [(1.2, 1.8), (0.0, 0.8), (2.2, 3.0)])
def test_another_speed_by_signal_is_the_parts_own_sound(
    bundle: Bundle, option: str, rounds: int, tempo: float, start: float, end: float
) -> None:
    recording = stereo(3.0, 16_000)
    old = recording.samples
    request = EditRequest(kind="speed", option=option, text="hello there", engine="signal")
    part = part_of(recording, start, end)
    clip = recording.clip(part.window_start, part.window_end)
    plan = make_plan(bundle, clip, [request], rounds=rounds)
    made = patch_of(bundle, recording, part, plan, iterate(bundle, clip, plan), number=rounds)
    new, count = patched(recording, [made]).samples, made.end - made.first
    assert made.first == part.start
    assert count == pytest.approx((part.end - part.start) / tempo, abs=2)
    assert torch.equal(new[:, : made.first], old[:, : made.first])
    assert torch.equal(new[:, made.end :], old[:, part.end :])
    # the second channel is -0.4 of the first, as in the recording, and no step is at a border
    inside = new[:, made.first : made.end].double()
    assert (inside[1] + 0.4 * inside[0]).abs().max() <= 2
    steps, most = new[0].double().diff().abs(), old[0].double().diff().abs().max()
    assert steps.max() <= 1.3 * most
