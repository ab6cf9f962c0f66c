"""A prompt's mel laid along a target: exact on equal codes, nothing where nothing is alike."""

import numpy as np
import pytest
import torch
from torch import Tensor

from stepedit_core.measure.alignment import Guide, warp
from stepedit_core.types import DualCodes

CODES = 40
# rows at right angles: two codes are equal or have nothing in common
GUIDE = Guide(torch.eye(CODES), torch.eye(CODES))


def codes(groups: list[int]) -> DualCodes:
    """Each group says one thing: its number in both streams."""
    at = torch.tensor(groups, dtype=torch.int64)
    return DualCodes(
        linguistic=at.repeat_interleave(2), semantic=at.repeat_interleave(3), codebook="test"
    )


def ramp(frames: int) -> Tensor:
    """Mel (80, F) whose every frame has its own number, plus one so that none is zero."""
    return (torch.arange(frames, dtype=torch.float32) + 1).expand(80, -1)


WORDS = list(range(10))


def test_equal_codes_give_the_prompt_back() -> None:
    got = GUIDE.mel(ramp(60), 0.0, codes(WORDS), codes(WORDS))
    # groups repeat their code, so a path may wander inside a group, but never out of it
    assert got.shape == (80, 60)
    torch.testing.assert_close(got, ramp(60), atol=6, rtol=0)
    distinct = torch.arange(30)
    plain = DualCodes(linguistic=distinct[:20], semantic=distinct, codebook="test")
    torch.testing.assert_close(GUIDE.mel(ramp(60), 0.0, plain, plain), ramp(60))


@pytest.mark.parametrize("lead", [7.0, 2.5])
def test_silence_before_the_first_code_is_stepped_over(lead: float) -> None:
    distinct = torch.arange(30)
    plain = DualCodes(linguistic=distinct[:20], semantic=distinct, codebook="test")
    got = GUIDE.mel(ramp(80), lead, plain, plain)
    torch.testing.assert_close(got, ramp(60) + lead)


def test_a_slower_target_stretches_the_prompt() -> None:
    slow = [w for w in WORDS for _ in range(2)]
    got = GUIDE.mel(ramp(60), 0.0, codes(WORDS), codes(slow))
    want = torch.nn.functional.interpolate(ramp(60)[None], size=120, mode="linear")[0]
    torch.testing.assert_close(got, want, atol=9, rtol=0)
    assert (got.diff() >= -1e-3).all()


def test_other_words_and_an_inserted_sound_get_nothing() -> None:
    other = [w + 20 for w in WORDS]
    other[3] = WORDS[3]  # one sound in common makes no sentence
    assert not GUIDE.mel(ramp(60), 0.0, codes(WORDS), codes(other)).any()
    laugh = WORDS[:5] + [30] * 4 + WORDS[5:]
    got = GUIDE.mel(ramp(60), 0.0, codes(WORDS), codes(laugh))
    assert not got[:, 36:48].any()  # well inside the laugh
    assert got[:, :24].all()
    assert got[:, 60:].all()


def test_an_empty_prompt_gives_nothing() -> None:
    assert GUIDE.lay(codes([]), codes(WORDS)) is None
    assert not GUIDE.mel(ramp(0), 0.0, codes([]), codes(WORDS)).any()


def test_the_prompts_rows_lie_under_what_says_the_same() -> None:
    slow = [w for w in WORDS for _ in range(2)]
    laid = GUIDE.lay(codes(WORDS), codes([*slow[:10], 30, 30, 30, *slow[10:]]))
    assert laid is not None
    said = torch.arange(10).repeat_interleave(3)[:, None].expand(-1, 2)
    under = laid.rows(said)[:, 0].view(-1, 3)
    assert under[:9, 1].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4]
    assert under[14:, 1].tolist() == [5, 6, 6, 7, 7, 8, 8, 9, 9]
    known = torch.from_numpy(laid.known).view(-1, 3)
    assert not known[11].any()  # well inside the laugh
    assert known[:9].all()
    assert known[14:].all()


def test_the_path_begins_and_ends_in_the_corners_and_its_cost_is_the_least() -> None:
    cost = np.random.default_rng(0).random((4, 5))
    mean, cells = warp(cost)
    assert tuple(cells[0]) == (0, 0)
    assert tuple(cells[-1]) == (3, 4)
    steps = np.diff(cells, axis=0)
    assert {tuple(s) for s in steps.tolist()} <= {(1, 0), (0, 1), (1, 1)}
    weight = 1 + (steps.sum(1) == 2)
    along = 2 * cost[0, 0] + (weight * cost[tuple(cells[1:].T)]).sum()
    assert along / 9 == pytest.approx(mean)
