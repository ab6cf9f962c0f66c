"""Settings and examples of trainings at toy sizes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from stepedit_core.data.records import Example
from stepedit_core.train import dpo, grpo, ppo, reward_model, sft
from stepedit_core.train.attempts import RolloutConfig
from stepedit_core.train.config import ModelConfig, OptimizerConfig, RunConfig
from stepedit_core.types import DualCodes, EditRequest

RECIPES: dict[str, Any] = {
    "sft": sft.SFTConfig,
    "reward": reward_model.RewardConfig,
    "ppo": ppo.PPOConfig,
    "dpo": dpo.DPOConfig,
    "grpo": grpo.GRPOConfig,
}


ROOT = Path(__file__).parents[1]


FAVOURITES = (7, 11, 500, 900)
"""Linguistic codes that the toy policy likes from the start."""


def codes(seed: int, groups: int = 2) -> DualCodes:
    generator = torch.Generator().manual_seed(seed)
    return DualCodes(
        linguistic=torch.randint(0, 1024, (2 * groups,), generator=generator),
        semantic=torch.randint(0, 4096, (3 * groups,), generator=generator),
        codebook="tiny-1",
    )


def triplet(number: int) -> Example:
    return Example(
        kind="triplet",
        request=EditRequest(kind="emotion", option="happy", text="hello world"),
        source=replace(codes(number), linguistic=torch.tensor(FAVOURITES)),
        target=replace(codes(100 + number), linguistic=torch.tensor(FAVOURITES)),
        margin=7.0,
    )


def fast(lr: float) -> OptimizerConfig:
    return OptimizerConfig(lr=lr, last_lr=lr)


def curve(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


RUN = RunConfig(device="cpu", export=False, save_every=2)


def ppo_config(data: dict[str, str], model: ModelConfig, start: str, judge: str) -> ppo.PPOConfig:
    return ppo.PPOConfig(
        data=(data["triplets"],),
        reward_run=judge,
        steps=16,
        critic_warmup=2,
        batch=10,
        beta=0.01,
        rollout=RolloutConfig(max_ids=10),
        optimizer=fast(1e-2),
        critic_optimizer=fast(1e-2),
        model=replace(model, start=start, micro_ids=1000),
        run=RUN,
    )


def run_by(processes: int, arguments: Sequence[str], out: Path) -> list[dict[str, float]]:
    """The curve of `stepedit train` in fresh processes, more than one under torchrun."""
    runner = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = ["-m", "stepedit_core", "train", *arguments, "--out", str(out)]
    done = subprocess.run(
        [sys.executable, *(runner if processes > 1 else []), *command],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return curve(out)


def settings(*changes: str) -> list[str]:
    return [part for change in changes for part in ("--set", change)]
