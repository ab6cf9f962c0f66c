"""The command that a sentence about a missing package gives."""

from __future__ import annotations

import ast
import sys

import pytest

from stepedit_core.files.missing import pip_line
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("python", "line"),
    [
        ("/opt/python", '/opt/python -m pip install "a" "b>=1"'),
        ("C:\\Comfy UI\\python.exe", '"C:\\Comfy UI\\python.exe" -m pip install "a" "b>=1"'),
        ("", 'python -m pip install "a" "b>=1"'),
    ],
)
def test_the_command_names_the_python_that_misses_the_package(
    monkeypatch: pytest.MonkeyPatch, python: str, line: str
) -> None:
    monkeypatch.setattr(sys, "executable", python)
    assert pip_line("a", "b>=1") == line


def test_no_other_sentence_gives_a_pip_line_of_its_own() -> None:
    for folder in ("nodes", "stepedit_core"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            if path.name == "missing.py":
                continue
            for item in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(item, ast.Constant) and isinstance(item.value, str):
                    assert "pip install" not in item.value, f"{path.name}:{item.lineno}"
