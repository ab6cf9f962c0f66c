"""The time path: whole where it may be, never backwards, pauses and new sounds beside the words."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stepedit_core.measure.alignment import Guide
from stepedit_core.measure.time_path import (
    SILENCE,
    TimePath,
    monotone_spline,
    quiet_stretches,
    time_path,
)
from stepedit_core.types import DualCodes

CODES = 300
EVEN = torch.zeros(80, 180)
"""A recording without pauses."""
# rows at right angles: two codes are equal or have nothing in common
GUIDE = Guide(torch.eye(CODES), torch.eye(CODES))


def codes(rows: list[int]) -> DualCodes:
    """Each row of 40 ms says its number; the linguistic stream has two of three."""
    at = torch.tensor(rows, dtype=torch.int64)
    return DualCodes(
        linguistic=at.view(-1, 3)[:, :2].reshape(-1), semantic=at.clone(), codebook="test"
    )


def ramp(frames: int) -> Tensor:
    """Mel (80, F) whose every frame contains its own number, plus one so that none is zero."""
    return (torch.arange(frames, dtype=torch.float32) + 1).expand(80, -1)


def path(source: list[int], answer: list[int], mel: Tensor | None = None) -> TimePath:
    found = time_path(GUIDE, codes(source), codes(answer), EVEN if mel is None else mel)
    assert found is not None
    return found


WORDS = list(range(90))


@pytest.mark.parametrize("lead", [0.0, 7.4, 2.6])
def test_an_edit_of_equal_length_keeps_every_frame_bit_for_bit(lead: float) -> None:
    noisy = torch.randn(80, 200, generator=torch.Generator().manual_seed(0))
    # some sounds changed, none moved
    answer = [w if w % 7 else 200 + w for w in WORDS]
    found = path(WORDS, answer)
    first = round(lead)
    assert found.known.all()
    assert torch.equal(found.mel(noisy, lead), noisy[:, first : first + 180])


def test_a_single_sound_that_slips_by_two_rows_moves_nothing() -> None:
    answer = list(WORDS)
    answer[40:44] = [40, 40, 40, 41]  # 120 ms of one sound, as long as before at the end
    assert np.array_equal(path(WORDS, answer).places, np.arange(90))


def test_a_recording_in_the_middle_of_silence_is_silent_outside_itself() -> None:
    found = path(WORDS, WORDS)
    got = found.mel(ramp(150), -10.0)
    assert torch.equal(got[:, 10:160], ramp(150))
    assert (got[:, :10] == SILENCE).all()
    assert (got[:, 160:] == SILENCE).all()


def test_a_slower_answer_is_an_even_stretch() -> None:
    slow = [w for w in WORDS for _ in range(2)]
    found = path(WORDS, slow)
    straight = np.arange(180) / 2
    assert np.abs(found.places - straight).max() < 1.0  # rows of 40 ms
    pace = np.diff(found.places)
    assert pace.min() > 0.5 / 1.6
    assert pace.max() < 0.5 * 1.6


def test_a_pause_that_the_edit_drops_takes_nothing_from_the_words() -> None:
    # 24 quiet rows in the middle, of which the answer has 6
    mel = torch.zeros(80, 180)
    mel[:, 66:114] = -8.0
    answer = WORDS[:36] + WORDS[54:]
    found = path(WORDS, answer, mel)
    assert quiet_stretches(mel, 0.0, 90) == [(33, 57)]
    assert np.abs(found.places[:33] - np.arange(33)).max() < 0.3
    assert np.abs(found.places[40:] - np.arange(58, 90)).max() < 0.3
    pace = np.diff(found.places)
    assert np.sum(np.abs(pace - 1) > 0.3) == 1  # the one jump, in the middle of the pause


def test_a_longer_pause_holds_its_middle_and_the_words_keep_their_pace() -> None:
    mel = torch.zeros(80, 180)
    mel[:, 66:114] = -8.0
    answer = [*WORDS[:45], *[45] * 30, *WORDS[45:]]
    found = path(WORDS, answer, mel)
    assert np.abs(found.places[:44] - np.arange(44)).max() < 0.3
    assert np.abs(found.places[78:] - np.arange(48, 90)).max() < 0.3
    assert np.ptp(found.places[46:74]) < 1.0


def test_a_recording_without_quiet_rows_has_no_pauses() -> None:
    noise = 0.1 * torch.randn(80, 200, generator=torch.Generator().manual_seed(0))
    assert quiet_stretches(noise, 0.0, 100) == []
    assert quiet_stretches(noise, 900.0, 100) == []  # the codes begin after the recording's end


def test_an_inserted_sound_is_unknown_and_what_follows_is_moved_whole() -> None:
    laugh = WORDS[:45] + [200 + i for i in range(18)] + WORDS[45:]
    found = path(WORDS, laugh)
    assert not found.known[48:60].any()  # well inside the laugh
    assert found.known[:43].all()
    assert found.known[66:].all()
    assert np.array_equal(found.places[:43], np.arange(43))
    assert np.array_equal(found.places[66:], np.arange(48, 90))


def test_other_words_have_no_path() -> None:
    other = [w + 150 for w in WORDS]
    assert time_path(GUIDE, codes(WORDS), codes(other), ramp(180)) is None
    assert time_path(GUIDE, codes([]), codes(WORDS), ramp(180)) is None


@pytest.mark.parametrize(("rows", "slots"), [(3.0, 2), (4.0, 3), (1.5, 1), (-1.0, -1)])
def test_both_streams_are_laid_at_their_own_rate(rows: float, slots: int) -> None:
    # a row is 40 ms, a linguistic code 60 ms: four rows are two codes and two thirds
    found = TimePath(np.arange(90), np.ones(90, bool), np.arange(90) + rows)
    source = DualCodes(
        linguistic=torch.arange(60), semantic=torch.arange(90) + 100, codebook="test"
    )
    laid = found.codes(source, codes(WORDS))
    at = torch.tensor([round(r + rows) for r in range(90)]).clamp(0, 89)
    assert torch.equal(laid.semantic, at + 100)
    assert torch.equal(laid.linguistic, (torch.arange(60) + slots).clamp(0, 59))


def test_where_the_recording_has_nothing_alike_the_codes_are_the_answers() -> None:
    laugh = WORDS[:45] + [200 + i for i in range(18)] + WORDS[45:]
    found = path(WORDS, laugh)
    laid = found.codes(codes(WORDS), codes(laugh))
    assert torch.equal(laid.semantic[48:60], codes(laugh).semantic[48:60])
    assert torch.equal(laid.linguistic[32:40], codes(laugh).linguistic[32:40])
    assert torch.equal(laid.semantic[66:], codes(laugh).semantic[66:])


def test_codes_that_are_not_moved_are_the_recordings_own() -> None:
    answer = [w if w % 7 else 200 + w for w in WORDS]
    laid = path(WORDS, answer).codes(codes(WORDS), codes(answer))
    assert torch.equal(laid.semantic, codes(WORDS).semantic)
    assert torch.equal(laid.linguistic, codes(WORDS).linguistic)


@settings(deadline=None)  # warping costs time on a busy machine
@given(st.lists(st.sampled_from([0, 1, 1, 1, 1, 2, 3]), min_size=90, max_size=90))
def test_the_path_never_falls_and_stays_inside(repeats: list[int]) -> None:
    answer = [w for w, n in zip(WORDS, repeats, strict=True) for _ in range(n)]
    answer = answer[: len(answer) // 3 * 3]
    found = time_path(GUIDE, codes(WORDS), codes(answer), EVEN) if answer else None
    if found is None:
        return
    assert found.places.shape == found.known.shape == (len(answer),)
    assert (np.diff(found.places) >= 0).all()
    # moved whole it may begin or end up to the nearness of the diagonal outside
    assert found.places.min() >= -3
    assert found.places.max() <= 92


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 20), st.floats(0, 30)), min_size=1, max_size=12),
)
def test_the_spline_passes_its_points_and_never_falls(steps: list[tuple[int, float]]) -> None:
    x = np.cumsum([0] + [s for s, _ in steps])
    y = np.cumsum([0.0] + [v for _, v in steps])
    at = np.linspace(0, x[-1], 8 * int(x[-1]) + 1)
    got = monotone_spline(x, y, at)
    np.testing.assert_allclose(got[::8][x], y, atol=1e-9)
    assert (np.diff(got) >= -1e-9).all()
