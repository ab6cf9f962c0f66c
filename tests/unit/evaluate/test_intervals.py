"""Intervals: of a mean, and of a mean of classes."""

from __future__ import annotations

import numpy as np
import pytest

from stepedit_core.evaluate.intervals import class_interval, interval


def test_an_interval_holds_the_mean_and_has_the_width_of_the_normal_one():
    rng = np.random.default_rng(3)
    values = rng.normal(5.0, 2.0, 400)
    found = interval(values.tolist())
    assert found.mean == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    # 2,000 draws leave the edges uncertain by a few percent
    assert found.high - found.mean == pytest.approx(half, rel=0.12)
    assert found.mean - found.low == pytest.approx(half, rel=0.12)
    assert interval([3.0] * 9)[:3] == (3.0, 3.0, 3.0)


def test_accuracy_is_the_mean_of_the_classes_not_of_the_clips():
    found = class_interval({"happy": [1.0] * 9, "sad": [0.0]})
    assert (found.mean, found.clips) == (0.5, 10)
    with pytest.raises(ValueError, match="no figures to average"):
        class_interval({"happy": []})
