"""Data and a start for trainings at toy sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stepedit_core.bundle.saving import save_module
from stepedit_core.data.shards import Writer
from stepedit_core.models.llm import Step1LM
from stepedit_core.registry.registry import Registry
from stepedit_core.train import reward_model
from stepedit_core.train.attempts import Attempt
from stepedit_core.train.config import ModelConfig, RunConfig
from stepedit_core.train.items import LLM
from tests.trainings import (
    FAVOURITES,
    codes,
    triplet,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Ten triplets, and ten pairs of which two are held out."""
    root = tmp_path_factory.mktemp("data")
    with Writer(root / "triplets", "tiny-1") as writer:
        writer.add_all(triplet(n) for n in range(10))
    with Writer(root / "pairs", "tiny-1") as writer:
        writer.add_all(
            replace(
                triplet(n),
                kind="pair",
                rejected=codes(200 + n),
                split="dev" if n > 7 else "train",
            )
            for n in range(10)
        )
    return {name: str(root / name) for name in ("triplets", "pairs")}


@pytest.fixture(scope="module")
def model(bundles: Path) -> ModelConfig:
    return ModelConfig(
        bundle=str(bundles / "tiny"), precision="fp32", checkpointing=False, micro_ids=200
    )


@pytest.fixture(scope="module")
def start(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run folder; its policy draws each of four linguistic codes about a fifth of the time."""
    lm = Registry([bundles], {}).load("tiny", device="cpu").llm
    folder = tmp_path_factory.mktemp("start")
    fresh = Step1LM(lm.config)
    fresh.initialise(torch.Generator().manual_seed(0))
    direction = torch.ones(lm.config.hidden_size)
    offset = lm.config.vocab_size - 5120
    with torch.no_grad():
        fresh.model.embed_tokens.weight += direction
        for code in FAVOURITES:
            fresh.lm_head.weight[offset + code] = 6.8 / len(direction)
    save_module(fresh, folder / LLM, torch.float32)
    return str(folder)


@pytest.fixture(scope="module")
def judge(data: dict[str, str], model: ModelConfig, start: str, tmp_path_factory: Any) -> str:
    """A run of the reward model, one step long."""
    out = tmp_path_factory.mktemp("judge")
    config = reward_model.RewardConfig(
        data=(data["pairs"],),
        batch=8,
        model=replace(model, start=start),
        run=RunConfig(device="cpu"),
    )
    reward_model.train(config, out)
    return str(out)


@pytest.fixture(scope="module")
def sevens(bundles: Path) -> Callable[[Sequence[Attempt]], tuple[Tensor, dict[str, Tensor]]]:
    """The toy reward: the share of linguistic ids that are the code 7."""
    seven = 7 + Registry([bundles], {}).load("tiny", device="cpu").manifest.audio_offset

    def total(attempts: Sequence[Attempt]) -> tuple[Tensor, dict[str, Tensor]]:
        lines = [[i for t, i in enumerate(a.answer.ids) if t % 5 < 2] for a in attempts]
        return torch.tensor([ids.count(seven) / max(1, len(ids)) for ids in lines]), {}

    return total
