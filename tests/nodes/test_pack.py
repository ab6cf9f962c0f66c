"""The pack as ComfyUI imports it: thin, lazy, and without ComfyUI outside host/."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

FILES = sorted((REPOSITORY / "nodes").glob("*.py"))
MOST_LINES = 25
SCHEMA_ONLY = "comfy_api.latest"
HEAVY = ("transformers", "torchaudio", "librosa", "onnxruntime", "scipy", "matplotlib")


def trees() -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text("utf-8"))) for path in FILES]


def test_every_execute_is_short() -> None:
    for path, tree in trees():
        for item in ast.walk(tree):
            if isinstance(item, ast.FunctionDef) and item.name == "execute":
                body = item.end_lineno - item.body[0].lineno + 1
                assert body <= MOST_LINES, f"{path.name}:{item.lineno} has {body} lines"


def test_only_host_knows_more_of_comfyui_than_the_schema() -> None:
    for path, tree in trees():
        for item in ast.walk(tree):
            names = []
            if isinstance(item, ast.Import):
                names = [alias.name for alias in item.names]
            if isinstance(item, ast.ImportFrom) and not item.level:
                names = [item.module or ""]
            for name in names:
                if re.match(r"(comfy\w*|folder_paths|server|execution)\b", name):
                    assert path.name == "host.py" or name == SCHEMA_ONLY, f"{path.name}: {name}"


def test_models_and_pipelines_are_imported_only_where_they_are_used() -> None:
    for path, tree in trees():
        for item in tree.body:
            if isinstance(item, ast.ImportFrom) and item.level:
                assert not re.search(r"pipelines|registry|models", item.module or ""), path.name


@pytest.fixture(scope="module")
def imported() -> str:
    """What a fresh process says after importing all of nodes/ beside stand-ins for ComfyUI."""
    code = """
import sys, types, importlib
from unittest.mock import MagicMock
import torch, PIL.Image, PIL.ImageDraw, PIL.ImageFont
class Io(types.ModuleType):
    ComfyNode = type("ComfyNode", (), {})
    Schema = type("Schema", (), {"__init__": lambda self, **k: None})
    def __getattr__(self, name): return MagicMock()
api = types.ModuleType("comfy_api.latest"); api.io = Io("io")
api.ComfyExtension = type("ComfyExtension", (), {})
for name in ("comfy", "comfy.model_management", "comfy.model_patcher", "comfy.utils",
             "comfy_execution", "comfy_execution.utils", "folder_paths", "server", "comfy_api"):
    sys.modules[name] = MagicMock()
sys.modules["comfy_api.latest"] = api
pack = types.ModuleType("pack"); pack.__path__ = [sys.argv[1]]; sys.modules["pack"] = pack
before, threads = set(sys.modules), torch.get_num_threads()
state = torch.random.get_rng_state()
importlib.import_module("pack.nodes")
assert torch.equal(state, torch.random.get_rng_state()) and threads == torch.get_num_threads()
print(*sorted(set(sys.modules) - before))
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(REPOSITORY)], capture_output=True, text=True, check=False
    )
    assert not run.stderr, run.stderr
    return run.stdout


def test_the_import_says_nothing_and_brings_few_modules(imported: str) -> None:
    # a tenth of a second on two idle cores; torch and Pillow are ComfyUI's
    foreign = [name for name in imported.split() if not name.startswith("pack.")]
    assert len(foreign) <= 8, foreign
    assert len(imported.split()) - len(foreign) <= 40


def test_the_import_loads_no_model_and_no_heavy_library(imported: str) -> None:
    names = imported.split()
    assert "pack.nodes.host" in names
    assert not [n for n in names if n.startswith(("pack.stepedit_core.models", *HEAVY))]
