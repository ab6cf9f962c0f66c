"""A run beside what it began from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stepedit_core.train import ppo
from stepedit_core.train.compare import compare, rewards_table
from stepedit_core.train.config import ModelConfig
from stepedit_core.train.reward_terms import RewardWeights
from tests.trainings import (
    ppo_config,
)


def test_a_run_is_compared_with_what_it_began_from_on_the_same_draws(
    data: dict[str, str], model: ModelConfig, start: str, judge: str, tmp_path: Path, sevens: Any
):
    still = replace(
        ppo_config(data, model, start, judge),
        steps=1,
        critic_warmup=1,  # the actor does not move
        rewards=RewardWeights(model=2.0, words=0.5, length=1.0),
    )
    ppo.train(still, tmp_path / "still")
    found = compare(tmp_path / "still", answers=2)
    assert sorted(found.before) == ["length", "model", "score", "words"]
    for name, values in found.before.items():
        assert values.shape == (10,)
        assert torch.equal(values, found.after[name])
    expected = 2 * found.before["model"] + 0.5 * found.before["words"] + found.before["length"]
    assert torch.allclose(found.before["score"], expected, atol=1e-5)
    ppo.train(replace(still, steps=8, critic_warmup=2), tmp_path / "moved", total=sevens)
    moved = compare(tmp_path / "moved", answers=2)
    assert torch.equal(moved.before["score"], found.before["score"])
    assert not torch.equal(moved.after["words"], moved.before["words"])
    said = rewards_table(moved).splitlines()
    gain = float((moved.after["words"] - moved.before["words"]).mean())
    (line,) = [line for line in said if line.startswith("words")]
    assert f" {gain:.3g} [" in line


def test_only_a_run_of_ppo_or_grpo_can_be_compared(judge: str, tmp_path: Path):
    for run, kind in ((Path(judge), "reward"), (tmp_path, "nothing")):
        with pytest.raises(
            ValueError, match=f"is a run of '{kind}'; one of ppo or grpo is expected"
        ):
            compare(run)
