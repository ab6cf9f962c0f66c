"""Functionals and the acoustic judge that learns from them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from stepedit_core.evaluate import functionals as functionals_module
from stepedit_core.evaluate.functionals import frames_of, functionals, load_judge, train_judge
from stepedit_core.types import Clip

from .material import tone


@pytest.mark.parametrize("hz", [90.0, 150.0, 240.0, 400.0])
def test_the_pitch_track_finds_a_known_pitch(hz: float):
    pitch = frames_of(tone(hz))[10:-10, 1]
    # a lag is a whole number of samples: at 400 Hz, one of 40
    assert float(pitch.median()) == pytest.approx(12 * math.log2(hz / 60), abs=0.25)


def test_noise_is_unvoiced_and_flat():
    wave = torch.randn(16_000, generator=torch.Generator().manual_seed(0)) * 0.1
    tracks = frames_of(Clip(wave=wave, sample_rate=16_000))
    assert (tracks[:, 1] == 0).float().mean() > 0.9
    assert tracks[:, 5].mean() > frames_of(tone(150))[:, 5].mean() + 2


def test_functionals_do_not_hear_the_level_of_the_recording():
    loud = tone(150, noise=0.01)
    soft = Clip(wave=loud.wave * 0.01, sample_rate=16_000)
    # rounding of float32 before logarithms
    torch.testing.assert_close(functionals(loud), functionals(soft), atol=1e-3, rtol=1e-3)


def test_a_judge_learns_high_and_low_voices_and_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rng = np.random.default_rng(0)
    pairs = [("low", hz) for hz in rng.uniform(80, 140, 10)]
    pairs += [("high", hz) for hz in rng.uniform(220, 350, 10)]
    features = torch.stack([functionals(tone(hz, 0.6, noise=0.01)) for _, hz in pairs])
    held_out = [k % 3 == 0 for k in range(20)]
    judge = train_judge(features, [name for name, _ in pairs], held_out)
    assert judge.accuracy == 1.0
    judge.save(tmp_path / "judge.safetensors")
    again = load_judge(tmp_path / "judge.safetensors")
    assert (again.labels, again.accuracy) == (("high", "low"), 1.0)
    # the features of this test are the clips' own, so the source is one without any
    monkeypatch.setattr(functionals_module, "changes", lambda source, result: functionals(result))
    low, high = tone(100, 0.6, noise=0.01), tone(300, 0.6, noise=0.01)
    assert again.label(high, low) == "low"
    assert again.score(low, high, "high") == 1.0
    assert again.score(low, high, "low") == 0.0


def test_a_judge_hears_changes_not_voices():
    low, high = tone(100, noise=0.01), tone(200, noise=0.01)
    raised = [
        functionals_module.changes(c, tone(hz, noise=0.01)) for c, hz in ((low, 200), (high, 400))
    ]
    assert torch.equal(functionals_module.changes(low, low), torch.zeros_like(raised[0]))
    # an octave up from either voice; at 400 Hz a lag is one of 40 samples
    assert raised[0][0] == pytest.approx(12, abs=0.3)
    assert raised[1][0] == pytest.approx(12, abs=0.3)


def test_accuracy_is_that_of_clips_the_judge_never_saw():
    features = torch.randn(60, 4, generator=torch.Generator().manual_seed(1))
    labels = [("a", "b")[k % 2] for k in range(60)]
    judge = train_judge(features, labels, [k >= 30 for k in range(60)], decay=0.0)
    expected = judge.probabilities(features[30:]).argmax(1)
    right = sum(judge.labels[int(i)] == n for i, n in zip(expected, labels[30:], strict=True))
    assert judge.accuracy == pytest.approx(right / 30)
    assert judge.accuracy < 0.8  # labels are noise


def test_one_label_is_nothing_to_judge():
    with pytest.raises(ValueError, match="has 1 labels to tell apart"):
        train_judge(torch.zeros(3, 2), ["a", "a", "b"], [False, False, True])
