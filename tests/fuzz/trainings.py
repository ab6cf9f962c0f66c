"""Families of training: settings and run folders."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stepedit_core.train import dpo, grpo, ppo, reward_model, sft
from stepedit_core.train.compare import compare
from stepedit_core.train.config import read_config
from stepedit_core.train.run_folder import Run
from stepedit_core.train.team import Team
from tests.fuzz.changes import (
    Change,
    named,
    of_bytes,
    of_json_file,
    of_lines_file,
    text_of,
)
from tests.fuzz.family import Family

TEAM = Team(rank=0, world=1, device=torch.device("cpu"))


RECIPES: dict[str, Any] = {
    "sft": sft.SFTConfig,
    "reward": reward_model.RewardConfig,
    "ppo": ppo.PPOConfig,
    "dpo": dpo.DPOConfig,
    "grpo": grpo.GRPOConfig,
}


def make_yaml(folder: Path) -> None:
    """Settings of every recipe, every field named."""
    import yaml

    from stepedit_core.files.strict import to_json

    for name, cls in RECIPES.items():
        value = json.loads(json.dumps(to_json(read_config(cls, name, "nano"))))
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(value), encoding="utf-8")


def read_yaml(folder: Path) -> object:
    """The settings of every recipe."""
    return [read_config(cls, name, str(folder / f"{name}.yaml")) for name, cls in RECIPES.items()]


def yaml_value(recipe: str, key: str, value: str) -> Change:
    """One setting replaced by a YAML text."""

    def spoil(folder: Path) -> None:
        import yaml

        path = folder / f"{recipe}.yaml"
        data = yaml.safe_load(path.read_text("utf-8"))
        inside = data
        *outer, last = key.split(".")
        for name in outer:
            inside = inside[name]
        inside[last] = "PLACE"
        path.write_text(yaml.safe_dump(data).replace("PLACE", value), encoding="utf-8")

    return named(f"{recipe} {key}: {value[:20]}", spoil)


def drawn_yaml(rng: random.Random) -> Change:
    """Any number of any recipe out of range, or the bytes spoilt."""
    recipe = rng.choice(list(RECIPES))
    if rng.random() < 0.3:
        return of_bytes(f"{recipe}.yaml", rng)
    keys = {
        "sft": ("batch", "epochs", "longest"),
        "reward": ("batch", "epochs", "longest"),
        "ppo": (
            "batch",
            "steps",
            "passes",
            "longest",
            "clip",
            "rollout.max_ids",
            "rollout.temperature",
            "gamma",
            "lam",
        ),
        "dpo": ("batch", "epochs", "beta", "longest"),
        "grpo": (
            "batch",
            "steps",
            "answers",
            "passes",
            "clip",
            "rollout.max_ids",
            "rollout.temperature",
        ),
    }[recipe]
    shared = (
        "optimizer.lr",
        "optimizer.last_lr",
        "optimizer.warmup",
        "optimizer.weight_decay",
        "optimizer.beta1",
        "optimizer.beta2",
        "optimizer.clip_norm",
        "model.micro_ids",
        "run.save_every",
        "model.lora.rank",
        "model.lora.alpha",
    )
    value = rng.choice(
        (
            "-1",
            ".inf",
            ".nan",
            "-1.0",
            "1e400",
            "-.inf",
            "text",
            "[]",
            "{}",
            "true",
            "null",
            "99999999999999999999",
            "1.0e300",
        )
    )
    return yaml_value(recipe, rng.choice((*keys, *shared)), value)


YAMLS = (
    ("sft", "batch", "0"),
    ("sft", "epochs", ".inf"),
    ("sft", "epochs", "-1"),
    ("sft", "longest", "0"),
    ("sft", "run.save_every", "0"),
    ("sft", "run.seed", "99999999999999999999999"),
    ("sft", "run.device", '"\\e[31m"'),
    ("sft", "optimizer.lr", ".inf"),
    ("sft", "optimizer.lr", ".nan"),
    ("sft", "optimizer.beta1", "1.0"),
    ("sft", "optimizer.warmup", "2.0"),
    ("sft", "model.micro_ids", "0"),
    ("sft", "model.lora.rank", "0"),
    ("sft", "model.lora.rank", "1000000000"),
    ("sft", "model.lora.targets", "[]"),
    ("sft", "data", "['']"),
    ("sft", "data", '["a\\0b"]'),
    ("ppo", "steps", "1000000000000"),
    ("ppo", "rollout.temperature", "0.0"),
    ("ppo", "rollout.max_ids", "0"),
    ("ppo", "rewards", "{model: .nan}"),
    ("ppo", "rewards", "{nonsense: 1.0}"),
    ("grpo", "answers", "1"),
    ("grpo", "beta", "-0.1"),
    ("dpo", "beta", "0.0"),
)


DOUBLING = "a0: &a0 [x, x]\n" + "".join(f"a{k + 1}: &a{k + 1} [*a{k}, *a{k}]\n" for k in range(40))


class Toy(nn.Module):
    """What a state belongs to."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)


def toy_run(folder: Path) -> Run:
    """A run of the smallest module."""
    module = Toy()
    optimizer = torch.optim.AdamW(module.parameters())
    return Run(
        folder, "sft", sft.SFTConfig(), {"bundle": "0"}, TEAM, {"policy": (module, optimizer)}
    )


def make_run(folder: Path) -> None:
    """A run that was stopped after three steps."""
    run = toy_run(folder)
    module, optimizer = run.learned["policy"]
    for step in range(3):
        module.a(torch.ones(4)).sum().backward()
        optimizer.step()
        run.end_step(step, 3, loss=1.0)


def read_run(folder: Path) -> object:
    """As a run that resumes."""
    return toy_run(folder).first


def state(name: str, change: Callable[[dict[str, Any]], Any], *, wrong: bool = True) -> Change:
    """A changed state.pt."""

    def spoil(folder: Path) -> None:
        path = folder / "state.pt"
        value = torch.load(path, weights_only=True)
        torch.save(change(value) or value, path)

    return named(name, spoil, wrong=wrong)


def put(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    """Sets an inner value."""

    def change(inside: dict[str, Any]) -> None:
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = value

    return change


def cut(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Removes an inner value."""

    def change(inside: dict[str, Any]) -> None:
        for key in path[:-1]:
            inside = inside[key]
        del inside[path[-1]]

    return change


MODEL = ("policy", "model")


STATES = (
    state("no step", cut("step")),
    state("step of a billion", put("step", value=10**9)),
    state("step -1", put("step", value=-1)),
    state("step is text", put("step", value="3")),
    state("step 1.5", put("step", value=1.5)),
    state("step true", put("step", value=True)),
    state("no processes", cut("processes")),
    state("no policy", cut("policy")),
    state("no weights", put(*MODEL, value={})),
    state("one weight less", cut(*MODEL, "a.bias")),
    state("one weight more", put(*MODEL, "b", value=torch.zeros(2))),
    state("weights of nan", put(*MODEL, "a.bias", value=torch.full((4,), float("nan")))),
    state("weights of another shape", put(*MODEL, "a.bias", value=torch.zeros(5))),
    state("weights of another kind", put(*MODEL, "a.bias", value=[1, 2])),
    state("integer weights", put(*MODEL, "a.bias", value=torch.zeros(4, dtype=torch.int64))),
    state("no optimiser", cut("policy", "optimizer")),
    state("optimiser without groups", put("policy", "optimizer", "param_groups", value=[])),
    # a policy that waits for its critic has taken no step yet
    state("optimiser without state", put("policy", "optimizer", "state", value={}), wrong=False),
    state(
        "optimiser state of nan",
        put("policy", "optimizer", "state", 0, "exp_avg", value=torch.full((4, 4), float("nan"))),
    ),
    state(
        "optimiser state of another shape",
        put("policy", "optimizer", "state", 0, "exp_avg", value=torch.zeros(1)),
    ),
    state("optimiser step text", put("policy", "optimizer", "state", 0, "step", value="x")),
    state("a list", lambda value: [1]),
    state("a number", lambda value: 5),
)


RUNS = (
    text_of("run.json", "[]"),
    text_of("run.json", "{}"),
    text_of("run.json", "{"),
    text_of("run.json", "[" * 100_000),
    text_of("curve.jsonl", '{"step": 0}\n{"step": "x"}\n'),
    text_of("curve.jsonl", "{}\n"),
    text_of("curve.jsonl", "[1]\n{x}\n"),
    text_of("curve.jsonl", '{"step": 0, "a": NaN}\n'),
    named("curve.jsonl not UTF-8", lambda f: (f / "curve.jsonl").write_bytes(b"\xff\xfe{}\n")),
)


def make_rewards(folder: Path) -> None:
    """run.json of a PPO run."""
    from stepedit_core.files.strict import to_json

    about = {"recipe": "ppo", "config": to_json(ppo.PPOConfig())}
    (folder / "run.json").write_text(json.dumps(about), "utf-8")


def read_rewards(folder: Path) -> object:
    """As `evaluate rewards` reads its run; there is no such bundle, which it says."""
    try:
        return compare(folder)
    except ValueError as error:
        if "no bundle 'step-audio-editx'" in str(error):
            return None
        raise


TRAININGS = (
    Family(
        name="training YAML",
        make=make_yaml,
        read=read_yaml,
        drawn=(drawn_yaml,),
        named=(
            *(yaml_value(*row) for row in YAMLS),
            text_of("sft.yaml", "[]"),
            text_of("sft.yaml", "text"),
            text_of("sft.yaml", "5"),
            text_of("sft.yaml", "[" * 100_000, name="deep"),
            text_of(
                "sft.yaml",
                DOUBLING,
                name="lists that double",
            ),
            text_of("sft.yaml", "batch: 1\nbatch: 2\n", name="a key twice"),
            text_of("sft.yaml", "!!python/object/apply:os.getcwd []\n"),
            text_of("sft.yaml", "? [a]\n: 1\n", name="a list as key"),
            text_of("sft.yaml", "1: 2\n", name="a number as key"),
            text_of("sft.yaml", "batch: 2024-99-99\n"),
            text_of("sft.yaml", "batch: " + "1_" * 100_000 + "1\n", name="a long number"),
            text_of(
                "sft.yaml", "batch: 1:" + ":".join(["59"] * 30_000) + "\n", name="a sexagesimal"
            ),
            named("sft.yaml not UTF-8", lambda f: (f / "sft.yaml").write_bytes(b"batch: \xff\n")),
            named("50 MB of spaces", lambda f: (f / "sft.yaml").write_bytes(b" " * 5 * 10**7)),
        ),
    ),
    Family(
        name="run folders",
        make=make_run,
        read=read_run,
        drawn=(
            partial(of_bytes, "state.pt"),
            partial(of_json_file, "run.json", free=("stepedit", "torch", "processes")),
            partial(of_lines_file, "curve.jsonl"),
        ),
        named=(*STATES, *RUNS),
    ),
    Family(
        name="finished runs",
        make=make_rewards,
        read=read_rewards,
        drawn=(partial(of_json_file, "run.json"),),
        named=(
            text_of("run.json", "[]"),
            text_of("run.json", '{"recipe": []}'),
            text_of("run.json", '{"recipe": "ppo"}'),
        ),
    ),
)
