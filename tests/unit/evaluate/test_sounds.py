"""The judge of inserted sounds."""

from __future__ import annotations

import numpy as np

from stepedit_core.evaluate.sounds import labelled_windows, train_sound_judge, windows

from .material import tone, with_sound


def test_a_sound_judge_scores_what_is_new():
    rng = np.random.default_rng(2)
    kinds = {"high": 420.0, "low": 70.0}
    clips, held_out = [], []
    for k in range(24):
        label, at = ("high", "low")[k % 2], float(rng.uniform(0, 1.1))
        clips.append((with_sound(rng.uniform(120, 220), at, kinds[label]), label, at, at + 0.5))
        held_out.append(k >= 16)
    judge = train_sound_judge(clips, held_out)
    assert judge.judge.accuracy > 0.9
    plain, high = with_sound(150, None), with_sound(150, 0.6)
    assert judge.score(plain, high, "high") == 3.0
    assert judge.score(plain, high, "low") == 2.0
    assert judge.score(plain, plain, "high") == 1.0
    assert judge.score(high, high, "high") == 1.0  # it was there before


def test_windows_that_only_touch_a_sound_have_no_label():
    found, names = labelled_windows(with_sound(150, 0.6), "high", 0.6, 1.1)
    # windows of 0.48 s begin every 0.06 s: three end by 0.6 s, none begins after 1.1 s
    assert names == ["high"] * 2 + ["speech"] * 3
    assert found.shape[0] == 5


def test_a_clip_shorter_than_a_window_has_one():
    assert windows(tone(150, 0.1)).shape[0] >= 1
