"""JSON that is written: no NaN, in no file."""

from __future__ import annotations

import ast
import json
import math
from pathlib import Path

import pytest

from stepedit_core.files.strict import without_nan

ROOT = Path(__file__).parents[3]
WRITERS = [path for top in ("stepedit_core", "nodes") for path in (ROOT / top).rglob("*.py")]


def test_nan_becomes_null_wherever_it_stands() -> None:
    value = {"a": [1.0, math.nan, (math.inf, "x")], "b": {"c": -math.inf, "d": None}, "e": 3}
    plain = without_nan(value)
    assert plain == {"a": [1.0, None, [None, "x"]], "b": {"c": None, "d": None}, "e": 3}
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


@pytest.mark.parametrize("path", WRITERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_dump_refuses_nan(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in ("dump", "dumps") and getattr(node.func.value, "id", "") == "json":
            refuses = any(
                k.arg == "allow_nan" and isinstance(k.value, ast.Constant) and not k.value.value
                for k in node.keywords
            )
            assert refuses, f"line {node.lineno}: json.{node.func.attr} without allow_nan=False"
