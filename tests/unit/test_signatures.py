"""Signatures: a function takes at most six things, more travel as one object."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST = 6
FOLDERS = ("stepedit_core", "nodes", "recipes", "tools")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
CALLED_BY_COMFYUI = ("execute", "validate_inputs", "fingerprint_inputs")
"""Methods of nodes: every input of the node is a parameter, by name."""


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Names of all parameters but self and cls, `*more` and `**more` among them."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    named += [one for one in (given.vararg, given.kwarg) if one is not None]
    return [one.arg for one in named if one.arg not in ("self", "cls")]


def too_many(path: Path) -> list[str]:
    """Functions of a file that take more than MOST things."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    exempt = CALLED_BY_COMFYUI if "nodes" in path.relative_to(ROOT).parts[:1] else ()
    return [
        f"{node.name}, line {node.lineno}: {', '.join(parameters(node))}"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name not in exempt
        and len(parameters(node)) > MOST
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_takes_more_than_six_things(path: Path) -> None:
    assert not too_many(path)


def test_self_does_not_count_and_keywords_do() -> None:
    (node,) = ast.parse("def f(self, a, /, b, *c, d=1, **e): ...").body
    assert isinstance(node, ast.FunctionDef)
    assert parameters(node) == ["a", "b", "d", "c", "e"]
