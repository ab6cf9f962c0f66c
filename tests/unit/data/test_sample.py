"""Sampling: which prompts are drawn, and how an answer is marked."""

from __future__ import annotations

import pytest

from stepedit_core.data import sample as sampling
from stepedit_core.data.sample import chosen
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import EditRequest

from .examples import codes, example


def test_the_prompts_that_are_drawn_stay_when_data_is_added_to():
    made = [example(0, source=100 * k) for k in range(9)]
    ids = sorted(e.prompt_id for e in made)
    assert len(set(ids)) == 9
    assert [e.prompt_id for e in chosen(iter(made), 3)] == ids[:3]
    assert {e.prompt_id for e in chosen(iter(made[:5]), 2)} <= {e.prompt_id for e in made[:5]}
    assert list(chosen(iter(made), None)) == made


@pytest.mark.parametrize(
    ("kind", "distance", "wanted"),
    # score 9: what it has above 1 falls to nothing at a distance of 0.5
    [
        ("emotion", 0.0, 9.0),
        ("style", 0.25, 5.0),
        ("speed", 0.5, 1.0),
        ("emotion", 0.9, 1.0),
        ("clone", 0.9, 9.0),
    ],
)
def test_lost_words_take_marks_off(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, kind: str, distance: float, wanted: float
):
    monkeypatch.setattr(sampling, "score", lambda *_: 9.0)
    monkeypatch.setattr(sampling, "word_distance", lambda book, source, made: distance)
    request = EditRequest(kind=kind, option="happy", text="hello")
    assert sampling.mark(bundle, codes(3, 0), codes(4, 1), request) == pytest.approx(wanted)
