"""Families of evaluation: cases, judges, labelled clips, plans of runs."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from stepedit_core.commands.evaluate import _judge as judge_command
from stepedit_core.commands.evaluate import _sound_judge
from stepedit_core.evaluate.cases import read_cases
from stepedit_core.evaluate.evaluation import class_table, read_rows, summary, summary_table
from stepedit_core.evaluate.functionals import AcousticJudge, functionals, load_judge
from stepedit_core.evaluate.labelled import read_labelled as read_labelled_file
from stepedit_core.pipelines.plan import plan_from_json
from stepedit_core.types import Clip
from tests.fuzz.changes import (
    Change,
    line_at,
    named,
    of_bytes,
    of_json_file,
    of_lines_file,
    text_of,
)
from tests.fuzz.family import Family
from tests.fuzz.models import tensors


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
    read_labelled_file(folder / "clips.jsonl")
    arguments = argparse.Namespace(
        clips=folder / "clips.jsonl",
        also=[],
        sounds=False,
        out=folder / "o.safetensors",
        overwrite=True,
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


EVALUATIONS = (
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
