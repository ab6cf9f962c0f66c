"""Margin scores against labels: ranks, intervals, reliability and calibration, by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stepedit_core import cli
from stepedit_core.data.records import Example
from stepedit_core.data.shards import Dataset, Writer
from stepedit_core.evaluate.scorer import (
    ScoredPair,
    calibration_of,
    class_table,
    cross_fitted,
    figures_of,
    judge_scorer,
    rank_correlation,
    ranks,
    reliability,
)
from stepedit_core.measure.margin import score
from stepedit_core.models.scorer import calibrated
from stepedit_core.registry.registry import Registry
from stepedit_core.types import DualCodes, EditRequest

HAPPY = EditRequest(kind="emotion", option="happy", text="hello")


def judged(*rows: tuple[float, float], speaker: str = "a", label: str = "speed faster") -> list:
    """(score, label) of pairs of one speaker."""
    return [ScoredPair(label=label, speaker=speaker, found=f, wanted=w) for f, w in rows]


def test_equal_values_share_the_mean_of_their_ranks():
    assert ranks([3.0, 1.0, 3.0, 2.0]).tolist() == [2.5, 0.0, 2.5, 1.0]


@given(st.permutations(range(6)))
def test_the_rank_correlation_is_spearmans_formula(order: list[int]):
    apart = sum((i - v) ** 2 for i, v in enumerate(order))
    expected = 1 - 6 * apart / (6 * (36 - 1))
    # any rising function of the values leaves it as it is
    assert rank_correlation([math.exp(v) for v in order], range(6)) == pytest.approx(expected)


def test_the_rank_correlation_of_a_constant_is_not_a_number():
    assert math.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))


def test_whole_speakers_are_drawn_for_the_interval():
    rows = [(1.0, 1.0), (2.0, 4.0), (3.0, 2.0)]
    alike = [row for name in "abcd" for row in judged(*rows, speaker=name)]
    found = figures_of(alike, draws=50)
    # every draw of these speakers holds the same rows, so nothing varies
    assert found.low == pytest.approx(found.rank)
    assert found.high == pytest.approx(found.rank)
    assert found[:2] == (12, 4)
    assert found.error == pytest.approx((0 + 2 + 1) / 3)
    other = judged((1.0, 4.0), (2.0, 2.0), (3.0, 1.0), speaker="e")
    wide = figures_of([*alike, *other], draws=200)
    assert wide.low < wide.rank < wide.high


def test_two_speakers_have_no_interval():
    found = figures_of([*judged((1, 1), (2, 2)), *judged((1, 2), (2, 1), speaker="b")])
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_a_class_of_one_label_has_neither_rank_nor_interval():
    found = figures_of([row for name in "abc" for row in judged((1, 1), (2, 1), speaker=name)])
    assert math.isnan(found.rank)
    assert math.isnan(found.low)
    assert found.error == 0.5


def test_bins_hold_about_equal_counts_and_equal_scores_stay_together():
    rows = judged((1, 1), (2, 3), (2, 5), (2, 1), (3, 4), (4, 6))
    first, second, *rest = reliability(rows, 3)
    assert (first.pairs, first.found, first.wanted) == (4, 1.75, 2.5)
    assert (second.pairs, second.found, second.wanted) == (2, 3.5, 5.0)
    assert not rest
    # deviation of 1, 3, 5, 1 about their mean, over the root of 4, twice
    assert first.high - first.wanted == pytest.approx(2 * math.sqrt(2.75) / 2)


def test_a_calibration_pools_what_falls_and_goes_on_at_the_ends():
    rows = judged((2, 3), (4, 7), (6, 5), (8, 9))
    # bins of one pair; 7 and 5 fall, so they become (5, 6); the slopes of the ends are both 1
    assert calibration_of(rows, 4) == ((1, 2), (2, 3), (5, 6), (8, 9), (10, 10))


def test_a_calibration_of_one_block_is_a_shift():
    assert calibration_of(judged((4, 6), (6, 4)), 2) == ((1, 1), (5, 5), (10, 10))


scores = st.floats(1, 10).map(lambda v: round(v, 2))


@given(st.lists(st.tuples(scores, scores), min_size=1, max_size=40))
def test_a_calibration_never_changes_an_order(rows: list[tuple[float, float]]):
    knots = calibration_of(judged(*rows))
    assert knots[0][0] == 1
    assert knots[-1][0] == 10
    for (x, y), (u, v) in pairwise(knots):
        assert x < u
        assert y <= v
    assert all(1 <= y <= 10 for _, y in knots)


def test_a_score_lies_on_the_line_between_the_knots():
    assert calibrated(3.0, ()) == 3.0
    assert calibrated(3.0, ((1, 1), (5, 9), (10, 10))) == pytest.approx(5.0)


def test_a_speaker_is_calibrated_by_the_map_of_others():
    rows = [
        *judged(*((x, x / 2) for x in range(2, 10)), speaker="a"),
        *judged(*((x, 1 + x / 3) for x in range(2, 10)), speaker="b"),
    ]
    before = cross_fitted(rows)
    changed = [replace(r, wanted=9.0) if r.speaker == "a" else r for r in rows]
    after = cross_fitted(changed)
    assert [r.found for r in before[:8]] == [r.found for r in after[:8]]
    assert [r.found for r in before[8:]] != [r.found for r in after[8:]]
    assert [r.found for r in before[:8]] == pytest.approx(
        [1 + x / 3 for x in range(2, 10)],
        abs=1e-4,  # knots have four digits
    )


def test_the_table_has_a_row_a_class_a_kind_and_all():
    rows = [*judged((1, 1), (2, 2)), *judged((1, 2), (2, 1), label="speed slower")]
    names = [line.split("  ")[0] for line in class_table(rows).splitlines()]
    assert names == ["class", "speed faster", "speed slower", "all speed", "all"]


def codes(seed: int) -> DualCodes:
    generator = torch.Generator().manual_seed(seed)
    return DualCodes(
        linguistic=torch.randint(0, 1024, (4,), generator=generator),
        semantic=torch.randint(0, 4096, (6,), generator=generator),
        codebook="tiny-1",
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six labelled held-out pairs of three speakers, one to learn from, one without a label."""
    with Writer(tmp_path / "data", "tiny-1") as writer:
        for n in range(8):
            writer.add(
                Example(
                    kind="triplet",
                    request=HAPPY,
                    source=codes(n),
                    target=codes(50 + n),
                    margin=None if n == 7 else 1.0 + n,
                    speaker="xyz"[n % 3],
                    split="train" if n == 6 else "dev",
                )
            )
    return tmp_path / "data"


def test_the_scorer_is_asked_about_labelled_pairs_of_the_split(bundles: Path, data: Path):
    bundle = Registry([bundles], {}).load("tiny", device="cpu")
    found = judge_scorer(bundle, Dataset(data))
    assert [j.wanted for j in found] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert found[2].found == score(bundle, codes(2), codes(52), HAPPY)
    assert {j.speaker for j in found} == set("xyz")
    with pytest.raises(ValueError, match="no labelled pair of the split dev"):
        judge_scorer(Registry([bundles], {}).load("other", device="cpu"), Dataset(data))


def test_a_score_follows_the_bundles_calibration(bundles: Path, monkeypatch: pytest.MonkeyPatch):
    bundle = Registry([bundles], {}).load("tiny", device="cpu")
    raw = score(bundle, codes(1), codes(2), HAPPY)
    knots = ((1.0, 2.0), (10.0, 6.5))
    monkeypatch.setattr(bundle.scorer, "config", replace(bundle.scorer.config, calibration=knots))
    assert score(bundle, codes(1), codes(2), HAPPY) == pytest.approx(2 + (raw - 1) / 2)


def test_the_command_writes_table_picture_and_map(
    bundles: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    words = ["evaluate", "scorer", str(data), "--bundle", str(bundles / "tiny"), "--out", str(out)]
    assert cli.main([*words, "--device", "cpu"]) == 0
    assert "emotion happy" in capsys.readouterr().out
    assert (out / "reliability.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "scorer.json").read_text())["calibrated"]["pairs"] == 6
    assert json.loads((out / "calibration.json").read_text())[0][0] == 1


def test_pairs_of_one_speaker_cannot_be_calibrated():
    with pytest.raises(ValueError, match="are of 1 speakers; a calibration needs 2 or more"):
        cross_fitted(judged((1.0, 1.0), (2.0, 4.0)))
