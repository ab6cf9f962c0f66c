"""Texts with characters that other programs take for line ends: written well, read again."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from stepedit_core import cli
from stepedit_core.data.build import tasks_of
from stepedit_core.data.shards import Dataset, Writer
from stepedit_core.train.run_folder import append_curve, cut_curve

from .examples import example

ROOT = Path(__file__).parents[3]
ENDS = ("\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r")


@pytest.mark.parametrize("end", ENDS, ids=ascii)
def test_an_example_with_any_separator_is_read_back(
    tmp_path: Path, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = replace(example(0), speaker=f"s{end}1", licence=f"CC0{end}", provenance=f"a{end}b")
    made = replace(made, request=replace(made.request, text=f"hello{end}world"))
    with Writer(tmp_path / "d", "tiny-1") as writer:
        writer.add(made)
        writer.add(example(1))
    found = list(Dataset(tmp_path / "d"))
    assert [(e.request.text, e.speaker, e.licence) for e in found] == [
        (e.request.text, e.speaker, e.licence) for e in (made, example(1))
    ]
    assert cli.main(["data", "stats", str(tmp_path / "d")]) == 0
    assert "2" in capsys.readouterr().out


@pytest.mark.parametrize("end", ENDS, ids=ascii)
def test_a_plan_and_a_curve_with_any_separator_keep_their_lines(tmp_path: Path, end: str) -> None:
    plan = tmp_path / "plan.jsonl"
    line = '{"text": "a' + ("\\r" if end == "\r" else end) + 'b"}'
    plan.write_text(f"{line}\n{line.replace('b', 'c')}\n", encoding="utf-8", newline="")
    assert [task.number for task in tasks_of(plan, "0")] == [1, 2]
    append_curve(tmp_path, 0, {f"loss{end}": 1.0}, 0.1)
    append_curve(tmp_path, 1, {"loss": 1.0}, 0.2)
    cut_curve(tmp_path, 1)
    assert (tmp_path / "curve.jsonl").read_text(encoding="utf-8").count('"step": 0') == 1


def test_no_code_splits_files_at_other_ends_than_line_feeds() -> None:
    allowed = {"stepedit_core/bundle/memory.py"}  # the system's own table of memory
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in ("stepedit_core", "nodes", "recipes")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in allowed
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "splitlines"
    ]
    assert found == []
