"""Families of training data: shards and the plans they are built by."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch

from stepedit_core.data.build import parse_order, tasks_of
from stepedit_core.data.records import Example
from stepedit_core.data.select import by_prompt
from stepedit_core.data.shards import Dataset, Writer
from stepedit_core.data.stats import stats_table
from stepedit_core.types import DualCodes, EditRequest
from tests.fuzz.changes import (
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


SHARDS = (
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
        drawn=(partial(of_lines_file, "plan.jsonl", free=("speaker", "margin")),),
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
)
