"""A batch shared by micro batches and processes is the same batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stepedit_core.train import sft
from stepedit_core.train.batches import parts_of
from stepedit_core.train.config import ModelConfig
from stepedit_core.train.team import Team
from tests.trainings import (
    RUN,
    curve,
    fast,
    run_by,
    settings,
)


def test_micro_batches_give_the_gradient_of_the_whole_batch(
    data: dict[str, str], model: ModelConfig, tmp_path: Path
):
    curves = []
    for micro_ids in (60, 10_000):
        config = sft.SFTConfig(
            data=(data["triplets"],),
            epochs=2,
            batch=5,
            optimizer=fast(1e-2),
            model=replace(model, micro_ids=micro_ids),
            run=RUN,
        )
        sft.train(config, tmp_path / str(micro_ids))
        curves.append([line["loss"] for line in curve(tmp_path / str(micro_ids))])
    # float32 sums in another order, carried through eight steps of Adam
    assert curves[0] == pytest.approx(curves[1], rel=1e-3)


def test_two_processes_follow_the_losses_of_one(
    data: dict[str, str], bundles: Path, tmp_path: Path
):
    changes = settings(
        f"data=[{data['triplets']}]",
        *("epochs=1.5", "batch=5", "optimizer.lr=1.0e-2", "run.device=cpu", "run.save_every=2"),
        f"model.bundle={bundles / 'tiny'}",
        "model.micro_ids=100",
    )
    arguments = ["sft", "--config", "nano", *changes]
    one, two = (run_by(n, arguments, tmp_path / str(n)) for n in (1, 2))
    assert len(one) == len(two) == 3
    for a, b in zip(one, two, strict=True):
        # float32 sums in another order, through Adam
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-3)
        assert a["norm"] == pytest.approx(b["norm"], rel=1e-2)
    for path in ("llm.safetensors", "state.pt", "bundle/bundle.json"):
        assert (tmp_path / "2" / path).is_file()


def test_two_processes_sample_and_learn_by_ppo_as_one_does(
    data: dict[str, str], bundles: Path, start: str, judge: str, tmp_path: Path
):
    changes = settings(
        *(f"data=[{data['triplets']}]", f"reward_run={judge}", f"model.start={start}"),
        *("steps=3", "critic_warmup=1", "batch=3", "rollout.max_ids=10", "run.device=cpu"),
        *("run.export=false", f"model.bundle={bundles / 'tiny'}"),
    )
    arguments = ["ppo", "--config", "nano", *changes]
    one, two = (run_by(n, arguments, tmp_path / str(n)) for n in (1, 2))
    assert len(one) == len(two) == 3
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        for name in ("value_loss", "score", "ids", "words", "length"):
            # the same answers; float32 sums in another order
            assert a[name] == pytest.approx(b[name], rel=1e-3, abs=1e-5)


def test_processes_share_a_batch_without_loss_or_double():
    teams = [Team(rank=r, world=3, device=torch.device("cpu")) for r in range(3)]
    shares = [team.share(range(8)) for team in teams]
    assert sorted(i for share in shares for i in share) == list(range(8))
    alone = Team(rank=0, world=1, device=torch.device("cpu"))
    assert parts_of([5, 5, 30], 12, alone) == [([0, 1], 1.0), ([2], 1.0)]
