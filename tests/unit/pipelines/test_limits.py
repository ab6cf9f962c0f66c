"""The longest answer, against the figures of the specification."""

from __future__ import annotations

import torch

from stepedit_core.pipelines.limits import longest_answer
from stepedit_core.types import DualCodes, EditRequest


def codes(groups: int) -> DualCodes:
    return DualCodes(
        linguistic=torch.zeros(2 * groups, dtype=torch.int64),
        semantic=torch.zeros(3 * groups, dtype=torch.int64),
        codebook="a",
    )


def test_an_edit_may_be_longer_than_its_source_by_the_documented_factor() -> None:
    slower = EditRequest(kind="speed", option="more slower", text="hello")
    assert longest_answer(slower, codes(50)) == 525
    longest = longest_answer(slower, codes(250))
    assert longest * 0.024 > 1.5 * 30.0  # the longest clip at its slowest fits


def test_cloned_words_get_the_documented_time_whatever_the_source() -> None:
    for groups in (5, 250):
        for letters, most in ((10, int(41.6666 * 6.5)), (100, 625), (1000, 2500)):
            clone = EditRequest(kind="clone", text="a", new_text="x" * letters)
            assert longest_answer(clone, codes(groups)) == most
