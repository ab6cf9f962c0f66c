"""What all recognisers share: borders at quiet places, pieces, and the times of a transcript."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from stepedit_core.measure.pieces import quiet_pieces
from stepedit_core.measure.timeline import (
    Word,
    find_phrase,
    fit_transcript,
    snap_borders,
    words_between,
)
from stepedit_core.types import Clip

RATE = 16_000


def clip_with_gaps(seconds: float, *gaps: tuple[float, float]) -> Clip:
    """Noise of even loudness that is silent in the gaps."""
    wave = torch.randn(int(seconds * RATE), generator=torch.Generator().manual_seed(1)).sign()
    for start, end in gaps:
        wave[int(start * RATE) : int(end * RATE)] = 0.0
    return Clip(wave=0.1 * wave, sample_rate=RATE)


class TestSnap:
    """Borders move to the quietest place near them."""

    def test_a_border_moves_into_the_pause_beside_it(self):
        clip = clip_with_gaps(1.0, (0.54, 0.57))
        made = snap_borders([Word("a", 0.1, 0.5, 1.0), Word("b", 0.5, 0.9, 1.0)], clip)
        assert 0.55 <= made[0].end <= 0.56
        assert made[1].start == made[0].end  # a shared border stays shared

    def test_a_pause_farther_than_60_ms_is_not_reached(self):
        clip = clip_with_gaps(1.0, (0.60, 0.63))
        made = snap_borders([Word("a", 0.1, 0.5, 1.0)], clip)
        assert abs(made[0].end - 0.5) <= 0.06

    def test_in_even_sound_borders_stay(self):
        words = (Word("a", 0.1, 0.5, 0.7), Word("b", 0.5, 0.9, 0.8))
        assert snap_borders(words, clip_with_gaps(1.0)) == words

    def test_short_words_keep_their_order_and_some_time(self):
        clip = clip_with_gaps(1.0, (0.5, 0.52))
        words = [Word(str(i), 0.46 + 0.02 * i, 0.48 + 0.02 * i, 1.0) for i in range(5)]
        made = snap_borders(words, clip)
        times = [t for word in made for t in (word.start, word.end)]
        assert times == sorted(times)
        assert all(word.end > word.start for word in made)

    def test_the_ends_of_the_clip_are_not_passed(self):
        made = snap_borders([Word("a", 0.0, 1.0, 1.0)], clip_with_gaps(1.0))
        assert made[0].start == 0.0
        assert made[0].end <= 1.0

    def test_no_words_are_no_words(self):
        assert snap_borders([], clip_with_gaps(1.0)) == ()


class TestPieces:
    """A long clip is cut where it is quiet."""

    def test_a_short_clip_is_one_piece(self):
        assert list(quiet_pieces(torch.ones(19 * RATE), RATE)) == [(0, 19 * RATE)]

    def test_cuts_lie_in_pauses_and_pieces_cover_the_clip(self):
        clip = clip_with_gaps(50.0, (14.0, 14.4), (18.0, 18.05), (29.0, 29.3))
        pieces = list(quiet_pieces(clip.wave, RATE))
        assert pieces[0][0] == 0
        assert pieces[-1][1] == len(clip.wave)
        assert all(a[1] == b[0] for a, b in pairwise(pieces))
        assert all(end - first <= 20 * RATE for first, end in pieces)
        assert 14.0 <= pieces[0][1] / RATE <= 14.4
        assert 29.0 <= pieces[1][1] / RATE <= 29.3


class TestFitTranscript:
    """Times of a transcript by what was heard."""

    HEARD = (
        Word("i", 0.1, 0.2, 0.9),
        Word("am", 0.2, 0.4, 0.8),
        Word("soap", 0.5, 0.9, 0.4),
        Word("today", 1.2, 1.6, 0.95),
    )

    def test_the_same_words_keep_their_times_and_take_our_spelling(self):
        made = fit_transcript(self.HEARD, "I am, soap: today!", 2.0)
        assert [word.text for word in made] == ["I", "am,", "soap:", "today!"]
        assert [(w.start, w.end, w.confidence) for w in made] == [
            (w.start, w.end, w.confidence) for w in self.HEARD
        ]

    def test_words_that_differ_divide_the_time_of_what_was_heard_there(self):
        made = fit_transcript(self.HEARD, "I am so happy today", 2.0)
        so, happy = made[2:4]
        assert (so.start, happy.end) == (0.5, 0.9)
        assert so.end == happy.start == pytest.approx(0.5 + 0.4 * 2 / 7)
        assert 0.0 < so.confidence == happy.confidence < 0.4

    def test_words_that_were_not_heard_lie_between_their_neighbours_without_confidence(self):
        made = fit_transcript(self.HEARD, "well I am soap now today", 2.0)
        assert made[0] == Word("well", 0.0, 0.1, 0.0)
        assert made[4] == Word("now", 0.9, 1.2, 0.0)

    def test_words_heard_too_much_are_left_out(self):
        made = fit_transcript(self.HEARD, "I am today", 2.0)
        assert [word.text for word in made] == ["I", "am", "today"]
        assert made[2].start == 1.2

    def test_where_nothing_was_heard_the_clip_is_divided(self):
        made = fit_transcript((), "one two", 2.0)
        assert [(w.start, w.end, w.confidence) for w in made] == [(0.0, 1.0, 0.0), (1.0, 2.0, 0.0)]

    def test_an_empty_transcript_has_no_words(self):
        assert fit_transcript(self.HEARD, " ", 2.0) == ()


SAID = tuple(
    Word(text, 0.5 * place, 0.5 * place + 0.4, 1.0)
    for place, text in enumerate(["So", "happy,", "he", "said", "—", "and", "so", "it", "was."])
)


def test_a_phrase_has_the_time_of_its_words_whatever_their_case_and_marks() -> None:
    assert find_phrase(SAID, "HAPPY he said") == (0.5, 1.9)
    assert find_phrase(SAID, "said and") == (1.5, 2.9)  # the dash is not a word


def test_a_phrase_that_is_not_there_or_there_twice_says_so() -> None:
    with pytest.raises(ValueError, match=r"its words are: So happy, he said .* it was\. Choose"):
        find_phrase(SAID, "happy said")
    with pytest.raises(ValueError, match=r"2 times, at 0\.00 to 0\.40 s, 3\.00 to 3\.40 s"):
        find_phrase(SAID, "so")
    with pytest.raises(ValueError, match="has no word"):
        find_phrase(SAID, " , ")


def test_words_of_a_window_are_those_with_their_middle_in_it() -> None:
    assert words_between(SAID, 0.3, 1.8) == "happy, he said"
    assert words_between(SAID, 9.0, 10.0) == ""
    chinese = tuple(Word(t, 0.1 * i, 0.1 * i + 0.1, 1.0) for i, t in enumerate("我们go走。"))
    assert words_between(chinese[:2], 0, 1) == "我们"
