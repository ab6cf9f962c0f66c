"""What the registry and a user's installation look at: requirements, quiet import, no tricks."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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
NATIVE = REPOSITORY / "stepedit_core/signal/denoise.py"
"""Calls the library of an installed package that has no Python module of its own."""
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


def test_versions_of_the_changelog_fall_and_only_the_newest_may_be_unreleased() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    found = [re.fullmatch(r"## (\d+)\.(\d+)\.(\d+)( \(unreleased\))?", line) for line in headings]
    assert all(found), headings
    versions = [tuple(map(int, heading.groups()[:3])) for heading in found]
    assert versions == sorted(set(versions), reverse=True)
    assert not any(heading[4] for heading in found[1:])


@pytest.mark.parametrize(
    ("heading", "released"),
    [("## 1.2.3", "true"), ("## 1.2.3 (unreleased)", "false"), ("## 1.2.30", "false")],
)
def test_the_registry_gets_a_version_when_its_heading_says_it_is_released(
    tmp_path: Path, heading: str, released: str
) -> None:
    publish = yaml.safe_load((REPOSITORY / ".github/workflows/publish.yml").read_text("utf-8"))
    asks, last = publish["jobs"]["publish"]["steps"][-2:]
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n\n## 1.2.2\n")
    environment = {**os.environ, "GITHUB_OUTPUT": str(tmp_path / "said")}
    subprocess.run(["bash", "-ec", asks["run"]], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "said").read_text() == f"released={released}\n"
    assert last["if"] == f"steps.{asks['id']}.outputs.released == 'true'"
    assert last["with"]["personal_access_token"] == "${{ secrets.REGISTRY_ACCESS_TOKEN }}"


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
            allowed = path == NATIVE and name == "ctypes"
            assert allowed or name.split(".")[0] not in BANNED_MODULES, (
                f"line {item.lineno}: {name}"
            )
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
folders = importlib.import_module("pack.nodes.host.folders")
print(folders.bundle_names()[0])
try:
    folders.find_bundle("nano")
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize("package", ["soundfile", "sentencepiece", "safetensors"])
def test_a_missing_package_is_named_with_its_pip_line_and_the_import_goes_on(package: str) -> None:
    command = [sys.executable, "-c", WITHOUT_PACKAGE, str(REPOSITORY), package]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    first, sentence = run.stdout.strip().splitlines()
    assert first == "nano", run.stderr
    assert f"the Python package {package} is missing" in sentence
    assert f'{sys.executable} -m pip install "{package}' in sentence


def test_torch_is_one_whose_weights_only_can_be_relied_on() -> None:
    standalone = project()["optional-dependencies"]["standalone"]
    assert standalone == ["torch>=2.6"]  # CVE-2025-32434 is mended in 2.6


def test_actions_are_named_by_the_digest_of_their_commit() -> None:
    files = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
    used = [line for path in files for line in path.read_text().splitlines() if "uses:" in line]
    assert used
    assert all(re.search(r"uses: [\w./-]+@[0-9a-f]{40}\s+# v", line) for line in used), used


def test_the_wheel_of_the_test_server_is_the_one_that_was_published(tmp_path: Path) -> None:
    from tests.server.comfyui import NoServer, check_wheel

    (tmp_path / "x.whl").write_bytes(b"another one")
    with pytest.raises(NoServer, match=r"has the sha256 .* is expected"):
        check_wheel(tmp_path / "x.whl")
