"""What the registry and a user's installation look at: requirements, quiet import, no tricks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stepedit_core import __version__
from tests.conftest import REPOSITORY

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    tomllib = None

SHIPPED = sorted(
    path
    for part in ("__init__.py", "nodes", "stepedit_core")
    for path in ([REPOSITORY / part] if part.endswith(".py") else (REPOSITORY / part).rglob("*.py"))
)
BANNED_CALLS = ("eval", "exec", "compile", "__import__")
BANNED_MODULES = ("subprocess", "ctypes", "socket", "urllib", "http", "requests", "pip")
HEAVY = re.compile(r"^(torch|transformers|torchaudio|onnx|funasr|modelscope|librosa)")

pytestmark = pytest.mark.skipif(tomllib is None, reason="reads pyproject.toml")


def project() -> dict[str, object]:
    return dict(tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"])


def test_requirements_are_the_dependencies() -> None:
    lines = (REPOSITORY / "requirements.txt").read_text("utf-8").split()
    assert lines == project()["dependencies"]


def test_dependencies_are_few_light_and_without_upper_bounds() -> None:
    lines = project()["dependencies"]
    assert len(lines) <= 5
    assert not [line for line in lines if HEAVY.match(line) or re.search(r"==|<|~=", line)]


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    versions = re.findall(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert versions[0] == project()["version"] == __version__


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_shipped_code_runs_no_text_and_no_other_program_and_opens_no_connection(
    path: Path,
) -> None:
    for item in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Name):
            assert item.func.id not in BANNED_CALLS, f"line {item.lineno}: {item.func.id}"
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute):
            assert item.func.attr not in ("system", "popen"), f"line {item.lineno}"
            if isinstance(item.func.value, ast.Name):
                called = f"{item.func.value.id}.{item.func.attr}"
                assert called not in ("pickle.load", "pickle.loads"), f"line {item.lineno}"
        names = []
        if isinstance(item, ast.Import):
            names = [alias.name for alias in item.names]
        if isinstance(item, ast.ImportFrom) and not item.level:
            names = [item.module or ""]
        for name in names:
            assert name.split(".")[0] not in BANNED_MODULES, f"line {item.lineno}: {name}"
        if isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name):
            assert (item.value.id, item.attr) != ("sys", "path"), f"line {item.lineno}"


def test_torch_load_reads_weights_only_and_nothing_trusts_remote_code() -> None:
    for path in SHIPPED:
        text = path.read_text("utf-8")
        assert "trust_remote_code" not in text, path.name
        for call in re.findall(r"torch\.load\([^)]*\)", text):
            assert "weights_only=True" in call, f"{path.name}: {call}"


WITHOUT_PACKAGE = """
import sys, types, importlib
from unittest.mock import MagicMock
for name in ("comfy", "comfy.model_management", "comfy.model_patcher", "comfy.utils", "server",
             "comfy_execution", "comfy_execution.utils", "folder_paths", "comfy_api",
             "comfy_api.latest"):
    sys.modules[name] = MagicMock()
sys.modules["folder_paths"].get_folder_paths.return_value = []
sys.modules[sys.argv[2]] = None
pack = types.ModuleType("pack"); pack.__path__ = [sys.argv[1]]; sys.modules["pack"] = pack
host = importlib.import_module("pack.nodes.host")
print(host.bundle_names()[0])
try:
    host.find_bundle("nano")
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize("package", ["soundfile", "sentencepiece", "einops"])
def test_a_missing_package_is_named_with_its_pip_line_and_the_import_goes_on(package: str) -> None:
    command = [sys.executable, "-c", WITHOUT_PACKAGE, str(REPOSITORY), package]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    first, sentence = run.stdout.strip().splitlines()
    assert first == "nano", run.stderr
    assert f"the Python package {package} is missing" in sentence
    assert f'pip install "{package}' in sentence
