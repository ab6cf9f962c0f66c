"""Files of other people come in through the gate: files/reading, tensors and states."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FILES = [
    path for folder in ("stepedit_core", "nodes") for path in (REPOSITORY / folder).rglob("*.py")
]
BARE = {"loads", "load_file", "safe_open", "splitlines"}
"""Calls by these names, whatever they belong to; and `load` of the modules below."""
METHODS = {"read_text", "read_bytes"}
"""Of a path; functions called so are the gate's."""
LOADERS = {"json", "torch", "np", "numpy", "pickle", "yaml", "onnx"}
MAY = {
    "stepedit_core/files/reading.py": {"loads"},
    "stepedit_core/files/tensors.py": {"safe_open"},
    "stepedit_core/files/states.py": {"load"},
    # within limits of their own, with every error of the library caught
    "stepedit_core/train/config.py": {"load"},
    "stepedit_core/release/sources.py": {"load"},
    # the system's own, and ours
    "stepedit_core/bundle/memory.py": {"read_text", "splitlines"},
    "stepedit_core/registry/registry.py": {"splitlines"},
    "stepedit_core/release/convert.py": {"read_text"},
    "nodes/host/folders.py": {"read_text"},
}


def bare(text: str) -> set[str]:
    """Names of readers that a module calls without the gate."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = getattr(function, "attr", getattr(function, "id", ""))
        owner = getattr(getattr(function, "value", None), "id", "")
        method = isinstance(function, ast.Attribute)
        if name in BARE or (method and name in METHODS) or (name == "load" and owner in LOADERS):
            found.add(name)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_module_reads_through_the_gate(path: Path):
    name = path.relative_to(REPOSITORY).as_posix()
    assert bare(path.read_text("utf-8")) <= MAY.get(name, set())


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("json.loads(text)", {"loads"}),
        ("json.load(file)", {"load"}),
        ("torch.load(path, weights_only=True)", {"load"}),
        ("load_file(path)", {"load_file"}),
        ("for line in path.read_text().splitlines(): pass", {"read_text", "splitlines"}),
        ("with safe_open(path, 'pt') as f: pass", {"safe_open"}),
        ("registry.load(name)", set()),
        ("read_text(path)", set()),
        ("read_json(path)", set()),
    ],
)
def test_the_test_sees_what_it_should(line: str, found: set[str]):
    assert bare(line) == found
