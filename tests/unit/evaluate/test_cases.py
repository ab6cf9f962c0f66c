"""Cases: the benchmark's lines, and what is wrong in others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepedit_core.evaluate.cases import read_cases

from .material import LINE, cases_file


def test_the_benchmarks_lines_become_cases(tmp_path: Path):
    path = cases_file(
        tmp_path,
        {},
        {"task": "paralingustic", "task_sub": "Sigh"},
        {"task": "style", "task_sub": "act_cute"},
    )
    one, two, three = read_cases(path)
    assert (one.name, two.name) == ("emotion:1", "emotion:2")  # ids repeat in the published file
    assert one.prompt_audio == tmp_path / "p.wav"
    assert (one.request.kind, one.request.option, one.request.text) == (
        "emotion",
        "happy",
        "hello world",
    )
    assert (two.kind, two.request.new_text, two.request.text) == (
        "sounds",
        "hello [Sigh] world",
        "hello world",
    )
    assert (three.kind, three.label, three.request.option) == ("style", "act_coy", "act_coy")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "line 1 of x.jsonl is not JSON"),
        ("[]", "line 1 of x.jsonl is a list; an object is expected"),
        ("{}", "line 1 of x.jsonl lacks the text 'speaker'; needed are speaker, gen_text"),
        (json.dumps({**LINE, "lang": 3}), "lacks the text 'lang'"),
        (
            json.dumps({**LINE, "task": "denoise"}),
            "has the task 'denoise'; known are emotion, style",
        ),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, text: str, words: str):
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(ValueError, match=r"line 1 of x\.jsonl") as error:
        read_cases(tmp_path / "x.jsonl")
    assert words in str(error.value)
