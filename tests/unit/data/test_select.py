"""Selection: margins, pairs, the hardest prompts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stepedit_core.data.select import by_prompt, hardest, keeps, preference_pairs, why_no_pairs
from stepedit_core.data.shards import Dataset, Writer

from .examples import codes, example, line, run, same_codes, samples


def test_selection_keeps_holds_and_no_other_small_margin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    hold = replace(example(1, margin=1.0), source=codes(4, 1))
    with Writer(tmp_path / "all", "tiny-1") as writer:
        writer.add_all([hold, example(2, margin=5.9), example(3, margin=6.0)])
    kept = tmp_path / "kept"
    run(capsys, "select", tmp_path / "all", "--out", kept, "--least", 6)
    assert {e.id for e in Dataset(kept)} == {hold.id, example(3).id}


@pytest.mark.parametrize(
    ("margin", "kind", "option", "kept"),
    [
        (6.0, "triplet", "happy", True),
        (5.99, "triplet", "happy", False),
        (6.5, "triplet", "sad", False),
        (7.0, "triplet", "sad", True),
        (6.5, "triplet", "fear", True),
        (None, "triplet", "happy", False),
        (None, "quadruplet", "", True),
        (3.0, "quadruplet", "", False),
    ],
)
def test_margins_of_6_are_kept_and_classes_may_ask_for_more(
    margin: float | None, kind: str, option: str, kept: bool
):
    assert keeps(line(margin, kind, option), classes={"emotion sad": 7.0, "style": 9.0}) == kept


def test_a_kind_may_have_a_threshold_for_all_its_options():
    assert not keeps(line(8.0), classes={"emotion": 8.5})
    assert keeps(line(8.0), classes={"emotion": 8.5, "emotion happy": 5.0})


def test_pairs_differ_by_3_of_5_or_8_of_10_points_and_the_widest_come_first():
    five = preference_pairs(samples([5, 2, 1.5, 3], 5))
    assert [pair.margin for pair in five] == [3.5, 3.0]
    assert all(same_codes(pair.target, codes(4, 0)) for pair in five)
    assert [same_codes(p.rejected, codes(4, n)) for p, n in zip(five, (2, 1), strict=True)] == [
        True
    ] * 2
    ten = preference_pairs(samples([9.5, 1.2, 2.0], 10))
    assert [pair.margin for pair in ten] == [8.3]
    assert preference_pairs(samples([9.5, 1.2, 2.0], 10), most=0) == []
    assert len(preference_pairs(samples([9.5, 1.2, 2.0], 10), margin=0.5)) == 3


@pytest.mark.parametrize(
    ("scores", "scale", "margin", "words"),
    [
        (
            [5.1, 6.9, 6.0],
            10,
            None,
            "1.80 points at most, and the margin is 8. Set the margin to 1.5 ",
        ),
        (
            [4.0, 2.0],
            5,
            None,
            "2.00 points at most, and the margin is 3. Set the margin to 2 or less",
        ),
        ([5.1, 5.3], 10, 8.0, "0.20 points at most, and the margin is 8. Draw more answers at a "),
        ([5.1], 10, 8.0, "0.00 points at most, and the margin is 8. Draw more answers at a "),
    ],
)
def test_where_no_pair_is_kept_the_sentence_tells_the_widest_margin_and_what_to_set(
    scores: list[float], scale: int, margin: float | None, words: str
):
    made = samples(scores, scale)
    assert preference_pairs(made, margin=margin) == []
    said = why_no_pairs([made, made[:1]], margin)
    assert words in said
    assert said.startswith("no pair is kept: ")
    assert said.endswith(" at a higher temperature.")


def test_pairs_do_not_depend_on_the_order_of_the_samples():
    made = samples([9.5, 1.2, 1.2, 9.5], 10)
    forth, back = (preference_pairs(s, most=2) for s in (made, made[::-1]))
    assert [p.id for p in forth] == [p.id for p in back]


def test_an_unknown_scale_needs_a_margin():
    with pytest.raises(ValueError, match=r"scale of 7; pair margins are known for 5, 10. Give"):
        preference_pairs(samples([7, 1], 7))


def test_samples_are_grouped_by_the_prompt_they_answer():
    made = [example(0), example(1, source=5), example(2)]
    assert [len(group) for group in by_prompt(made).values()] == [2, 1]


def test_the_hardest_prompts_have_the_lowest_mean():
    difficulty = {"a": [3.0, 1.0], "b": [1.0], "c": [9.0], "d": [1.5, 1.7], "e": []}
    assert hardest(difficulty, 3) == ["b", "d", "a"]
    labels = {"a": "sad", "b": "happy", "c": "sad", "d": "happy", "e": "sad"}
    assert hardest(difficulty, 3, labels) == ["b", "a", "d"]
