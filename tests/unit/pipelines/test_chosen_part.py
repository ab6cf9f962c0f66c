"""Which part was chosen, the words of its window, and which of them are lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from stepedit_core.audio.patches import Patch
from stepedit_core.audio.recordings import Recording
from stepedit_core.measure.timeline import Word
from stepedit_core.pipelines.chosen_part import (
    check_seconds,
    chosen_seconds,
    part_entry,
    unheard_words,
    window_text,
)
from stepedit_core.pipelines.inside import Part
from stepedit_core.pipelines.range_edit import check_keeps
from stepedit_core.types import EditRequest

RATE = 8_000
SAID = "I was so happy to be here"
WORDS = tuple(Word(text, k + 0.1, k + 0.9, 1.0) for k, text in enumerate(SAID.split()))
PART = Part(start=2 * RATE, end=4 * RATE, window_start=RATE, window_end=6 * RATE)


def recording(seconds: float = 7.0) -> Recording:
    return Recording(samples=torch.zeros(2, int(seconds * RATE)), sample_rate=RATE)


def test_a_phrase_comes_before_seconds_and_nothing_is_a_choice_too() -> None:
    assert chosen_seconds(WORDS, "SO happy", 0.0, 1.0) == (2.1, 3.9)
    assert chosen_seconds(WORDS, "  ", 0.5, 1.5) == (0.5, 1.5)
    assert chosen_seconds(WORDS, "", 0.0, 0.0) is None
    assert chosen_seconds((), "", 3.0, 3.0) is None


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (2.0, 1.0, "starts at 2 s and ends at 1 s"),
        (-1.0, 1.0, "start is -1.0"),
        (0.0, float("nan"), "end is nan"),
        (float("inf"), float("inf"), "start is inf"),
        ("1", 2.0, "start is 1;"),
        (True, 2.0, "start is True"),
    ],
)
def test_seconds_that_no_recording_has(start: Any, end: Any, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        check_seconds(start, end)


@pytest.mark.parametrize(
    ("kind", "option", "found"),
    [("denoise", "", "whole sound"), ("speed", "fit to seconds", "is for a whole clip")],
)
def test_edits_that_a_part_cannot_have(kind: str, option: str, found: str) -> None:
    fine = EditRequest(kind="emotion", option="happy")
    check_keeps(fine)
    with pytest.raises(ValueError, match=found):
        check_keeps(EditRequest(kind=kind, option=option))


def test_the_words_of_a_window_are_those_inside_of_it() -> None:
    assert window_text(recording(), PART, WORDS, "another transcript") == "was so happy to be"
    assert window_text(recording(), PART, (), "") == ""
    whole = replace(PART, window_start=0, window_end=7 * RATE)
    assert window_text(recording(), whole, WORDS, "as it is typed") == "as it is typed"
    assert window_text(recording(), whole, (), "as it is typed") == "as it is typed"


def test_a_transcript_of_more_than_the_window_needs_ears() -> None:
    with pytest.raises(ValueError, match=r"1\.0 to 6\.0 s around it.*Transcribe"):
        window_text(recording(), PART, (), "I was so happy to be here")


@pytest.mark.parametrize(
    ("heard", "lost"),
    [
        ("was so happy to be", ()),
        ("was So, HAPPY! to be", ()),
        ("was so to be", (3,)),
        ("was to be", (2, 3)),
        ("so happy", ()),  # words outside of the part are not asked for
        ("", (2, 3)),
    ],
)
def test_chosen_words_that_are_not_heard_any_more_are_lost(
    heard: str, lost: tuple[int, ...]
) -> None:
    found = [Word(text, 0.0, 1.0, 1.0) for text in heard.split()]
    assert unheard_words(WORDS, found, (2.0, 4.0), (1.0, 6.0)) == lost


def test_a_report_counts_what_stays_and_names_what_is_lost() -> None:
    patch = Patch(start=15_990, stop=32_020, samples=torch.zeros(2, 20_000))
    entry = part_entry(recording(), PART, patch, WORDS, (3,))
    assert entry["words"] == "so happy"
    assert entry["words_lost"] == ["happy"]
    assert entry["samples_kept"] == 56_000 - (32_020 - 15_990)
    assert entry["changed"]["first_sample"] == 15_990
    assert entry["changed"]["end_sample"] == 35_990
    assert entry["changed"]["end_before"] == 32_020 / RATE
    assert part_entry(recording(), PART, patch, (), None)["words_lost"] is None
