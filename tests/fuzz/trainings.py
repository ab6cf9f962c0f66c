"""Families of training and evaluation: data, plans, settings, run folders, cases, judges."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from stepedit_core.commands.evaluate import _judge as judge_command
from stepedit_core.commands.evaluate import _lines as labelled_lines
from stepedit_core.commands.evaluate import _sound_judge
from stepedit_core.data.build import parse_order, tasks_of
from stepedit_core.data.records import Example
from stepedit_core.data.select import by_prompt
from stepedit_core.data.shards import Dataset, Writer
from stepedit_core.data.stats import stats_table
from stepedit_core.evaluate.cases import read_cases
from stepedit_core.evaluate.evaluation import class_table, read_rows, summary, summary_table
from stepedit_core.evaluate.functionals import AcousticJudge, functionals, load_judge
from stepedit_core.pipelines.plan import plan_from_json
from stepedit_core.train import dpo, grpo, ppo, reward_model, sft
from stepedit_core.train.compare import compare
from stepedit_core.train.config import read_config
from stepedit_core.train.run_folder import Run
from stepedit_core.train.team import Team
from stepedit_core.types import Clip, DualCodes, EditRequest
from tests.fuzz.changes import (
    Change,
    json_at,
    line_at,
    named,
    of_bytes,
    of_json_file,
    of_lines_file,
    text_of,
)
from tests.fuzz.family import Family
from tests.fuzz.models import tensors

DATA, SHARD = "data-00000.jsonl", "data-00000.safetensors"
TEAM = Team(rank=0, world=1, device=torch.device("cpu"))
REQUEST = EditRequest(kind="emotion", option="happy", text="hello world")


def make_data(folder: Path) -> None:
    """Triplets, a pair and a sample."""
    rng = torch.Generator().manual_seed(0)

    def codes() -> DualCodes:
        return DualCodes(
            linguistic=torch.randint(1024, (4,), generator=rng),
            semantic=torch.randint(4096, (6,), generator=rng),
            codebook="tiny-1",
        )

    with Writer(folder, "tiny-1", {"plan": "p"}) as writer:
        for margin in (3.0, 8.5, None):
            writer.add(
                Example(
                    kind="triplet",
                    request=REQUEST,
                    source=codes(),
                    target=codes(),
                    margin=margin,
                    speaker="s1",
                    licence="CC0",
                    key="k" * 32,
                )
            )
        writer.add(
            Example(
                kind="pair",
                request=REQUEST,
                source=codes(),
                target=codes(),
                rejected=codes(),
                margin=4.0,
            )
        )


def read_data(folder: Path) -> object:
    """As stats, select and train read a folder, and as a build continues it."""
    data = Dataset(folder)
    examples = list(data)
    by_prompt(examples)
    Writer(folder, data.codebook)
    return stats_table(data.lines), data.sha256


def torn(folder: Path) -> None:
    """The last line without its end."""
    path = folder / DATA
    path.write_bytes(path.read_bytes()[:-20])


def without_shard(folder: Path) -> None:
    """Lines without codes."""
    (folder / SHARD).unlink()


SPANS: tuple[Any, ...] = (
    [-1, 1],
    [0, 10**9],
    [1, -1],
    [0.5, 1],
    [0],
    [0, 1, 2],
    "01",
    [1, 0],
    [True, 2],
    [0, 10**400],
)
FREE = ("speaker", "provenance", "licence", "language", "about", "key")


def make_plan(folder: Path) -> None:
    """Two orders."""
    order = {
        "source": {"audio": "a.wav", "seed": 3},
        "target": {"clone": "b.wav", "clone_text": "x"},
        "edit": {"kind": "emotion", "option": "happy"},
        "text": "words of the clip",
        "margin": 8.0,
        "scale": 10,
        "speaker": "s1",
    }
    lines = [json.dumps(order), json.dumps({**order, "speaker": "s2"})]
    (folder / "plan.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_plan(folder: Path) -> object:
    """Every order of a plan."""
    return [parse_order(task) for task in tasks_of(folder / "plan.jsonl", "0" * 64)]


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


def make_cases(folder: Path) -> None:
    """Cases, clips that were made, and labelled clips."""
    case = {
        "id": "1",
        "speaker": "s",
        "gen_text": "hello",
        "prompt_audio": "a.wav",
        "prompt_text": "hi",
        "lang": "en",
        "task": "emotion",
        "task_sub": "happy",
    }
    (folder / "cases.jsonl").write_text(2 * (json.dumps(case) + "\n"), "utf-8")
    about = {"bundle": "0", "seed": 0, "rounds": 1, "start": "clone"}
    rows = [
        {
            "case": "cases:1",
            "speaker": "s",
            "language": "en",
            "kind": "emotion",
            "label": "happy",
            "voice": "previous",
            "iteration": k,
            "last": k == 1,
            "accuracy": 1.0,
            "margin": 5.0,
            "seconds": 1.0,
            "real_time": 1.0,
            "about": about,
        }
        for k in range(2)
    ]
    (folder / "clips.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")


def read_evaluation(folder: Path) -> object:
    """Cases and clips as `evaluate run` reads them."""
    read_cases(folder / "cases.jsonl")
    rows = read_rows(folder / "clips.jsonl")
    entries = summary(rows, ("seconds", "real_time"))
    return summary_table(entries, ("seconds", "real_time")), class_table(entries)


def make_judge(folder: Path) -> None:
    """A judge of two labels."""
    width = functionals(Clip(wave=torch.ones(12_000) * 0.1, sample_rate=24_000)).shape[0]
    AcousticJudge(
        ("happy", "sad"), torch.zeros(width), torch.ones(width), torch.zeros(2, width + 1), 0.5
    ).save(folder / "j.safetensors")


def read_judge(folder: Path) -> object:
    """A judge that judges."""
    made = load_judge(folder / "j.safetensors")
    clip = Clip(wave=torch.ones(12_000) * 0.1, sample_rate=24_000)
    return made.score(clip, clip, "happy")


def judge_about(text: str) -> Change:
    """A judge with another description."""

    def spoil(folder: Path) -> None:
        path = folder / "j.safetensors"
        about = {"kind": "stepedit-judge-1", "about": text}
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            about["kind"] = file.metadata()["kind"]
        save_file(
            load_file(path), path, metadata=about if text != "absent" else {"kind": about["kind"]}
        )

    return named(f"about {text[:30]}", spoil)


def make_labelled(folder: Path) -> None:
    """Two labelled clips and their sounds."""
    import soundfile

    for name, pitch in (("a", 120), ("b", 200)):
        wave = 0.3 * torch.sin(torch.arange(16_000) * (6.283 * pitch / 16_000))
        soundfile.write(folder / f"{name}.wav", wave.numpy(), 16_000)
    rows = [
        {
            "source": "a.wav",
            "audio": "b.wav",
            "label": label,
            "start": 0.2,
            "end": 0.6,
            "split": "train",
        }
        for label in ("happy", "sad")
    ]
    (folder / "clips.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")


def read_labelled(folder: Path) -> object:
    """As `evaluate judge` learns from them, both kinds."""
    labelled_lines(folder / "clips.jsonl")
    arguments = argparse.Namespace(
        clips=folder / "clips.jsonl", also=[], sounds=False, out=folder / "o.safetensors"
    )
    judge_command(arguments)
    return _sound_judge(folder / "clips.jsonl", {}, folder / "s.safetensors")


def make_plan_json(folder: Path) -> None:
    """A plan of a run, as report.json has it."""
    value = {
        "clip": {"sha256": "0" * 64, "sample_rate": 24_000, "samples": 24_000},
        "requests": [
            {"kind": "emotion", "option": "happy", "text": "a", "new_text": "", "speaker": ""}
        ],
        "rounds": 2,
        "voice": "original",
        "seed": 0,
        "sampling": {
            "temperature": 0.7,
            "top_k": 0,
            "top_p": 1.0,
            "forbid_repeats": None,
            "max_ids": 0,
        },
        "decoding": {"steps": 10, "guidance": 0.7, "contrast": None, "way": None, "strength": 1.0},
    }
    (folder / "plan.json").write_text(json.dumps(value), "utf-8")


TRAININGS = (
    Family(
        name="data shards",
        make=make_data,
        read=read_data,
        drawn=(
            partial(of_lines_file, DATA, free=FREE),
            partial(of_lines_file, DATA, free=FREE),
            partial(of_bytes, SHARD),
            partial(of_json_file, "dataset.json", free=FREE),
        ),
        named=(
            line_at(DATA, 0, ("source",), [2, 2]),
            *(line_at(DATA, 0, (side,), span) for span in SPANS for side in ("source", "target")),
            line_at(DATA, 0, ("margin",), float("nan")),
            line_at(DATA, 0, ("margin",), -5.0),
            line_at(DATA, 0, ("scale",), 0),
            line_at(DATA, 0, ("kind",), "nonsense"),
            line_at(DATA, 0, ("kind",), "pair"),
            line_at(DATA, 0, ("split",), "test"),
            line_at(DATA, 0, ("text",), "other words"),
            line_at(DATA, 0, ("id",), "0" * 32),
            line_at(DATA, 0, ("edit",), "happy"),
            line_at(DATA, 3, ("rejected",), None),
            named("torn last line", torn),
            named("lines without a shard", without_shard),
            *(
                tensors(SHARD, change)
                for change in (
                    "float",
                    "two dimensions",
                    "scalar",
                    "empty",
                    "absent",
                    "another",
                    "negative",
                    "large",
                    "nan",
                    "short",
                )
            ),
            json_at("dataset.json", ("codebook",), ""),
            json_at("dataset.json", ("format",), True),
        ),
    ),
    Family(
        name="build plans",
        make=make_plan,
        read=read_plan,
        drawn=(partial(of_lines_file, "plan.jsonl", free=("speaker",)),),
        named=(
            line_at("plan.jsonl", 0, ("margin",), float("nan")),
            line_at("plan.jsonl", 0, ("margin",), 99.0),
            line_at("plan.jsonl", 0, ("scale",), 0),
            line_at("plan.jsonl", 0, ("source", "seed"), 10**30),
            line_at("plan.jsonl", 0, ("source", "audio"), "a\x00b"),
            line_at("plan.jsonl", 0, ("text",), "\ud800"),
            text_of("plan.jsonl", "[" * 100_000),
            text_of("plan.jsonl", '{"a": 1, "a": 2}\n'),
        ),
    ),
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
    Family(
        name="evaluate files",
        make=make_cases,
        read=read_evaluation,
        drawn=(
            partial(of_lines_file, "cases.jsonl", free=("id",)),
            partial(of_lines_file, "clips.jsonl"),
        ),
        named=(
            line_at("cases.jsonl", 0, ("prompt_audio",), "a\x00b"),
            line_at("cases.jsonl", 0, ("task_sub",), ""),
            line_at("cases.jsonl", 0, ("gen_text",), "\ud800"),
            line_at("clips.jsonl", 0, ("accuracy",), float("nan")),
            line_at("clips.jsonl", 0, ("accuracy",), "1"),
            line_at("clips.jsonl", 0, ("iteration",), "0"),
            line_at("clips.jsonl", 0, ("last",), None),
            text_of("cases.jsonl", ""),
        ),
    ),
    Family(
        name="judges",
        make=make_judge,
        read=read_judge,
        drawn=(partial(of_bytes, "j.safetensors"),),
        named=(
            *map(
                judge_about,
                (
                    "absent",
                    "",
                    "[]",
                    "{}",
                    "[" * 100_000,
                    '{"labels": ["a"], "accuracy": 1, "elsewhere": {}}',
                    '{"labels": ["a", "a"], "accuracy": 1, "elsewhere": {}}',
                    '{"labels": "ab", "accuracy": 1, "elsewhere": {}}',
                    '{"labels": ["a", 5], "accuracy": 1, "elsewhere": {}}',
                    '{"labels": ["a", "b"], "accuracy": "x", "elsewhere": {}}',
                    '{"labels": ["a", "b"], "accuracy": 1, "elsewhere": []}',
                    '{"labels": ["a", "b"], "accuracy": 1, "elsewhere": {"x": null}}',
                    '{"labels": ["\\ud800", "b"], "accuracy": 1, "elsewhere": {}}',
                ),
            ),
            *(
                tensors("j.safetensors", change)
                for change in (
                    "two dimensions",
                    "scalar",
                    "absent",
                    "another",
                    "nan",
                    "short",
                    "empty",
                )
            ),
        ),
    ),
    Family(
        name="labelled clips",
        make=make_labelled,
        read=read_labelled,
        drawn=(partial(of_lines_file, "clips.jsonl"),),
        named=(
            line_at("clips.jsonl", 0, ("start",), "0"),
            line_at("clips.jsonl", 0, ("end",), -1.0),
            line_at("clips.jsonl", 0, ("start",), float("nan")),
            line_at("clips.jsonl", 0, ("label",), None),
            line_at("clips.jsonl", 0, ("split",), "test"),
            line_at("clips.jsonl", 0, ("audio",), ""),
            line_at("clips.jsonl", 0, ("audio",), "a\x00b"),
            text_of("clips.jsonl", ""),
        ),
    ),
    Family(
        name="run plans",
        make=make_plan_json,
        read=lambda folder: plan_from_json(json.loads((folder / "plan.json").read_text("utf-8"))),
        drawn=(partial(of_json_file, "plan.json", torn=False),),
    ),
)
