"""Imports point one way, and importing does nothing else."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "stepedit_core"
LEVELS = (
    ("printable",),
    ("types",),
    ("vocab",),
    ("files",),
    ("audio", "text"),
    ("signal",),
    ("models",),
    ("bundle",),
    ("release",),
    ("registry",),
    ("measure",),
    ("pipelines",),
    ("output",),
    ("calls",),
    ("api",),
    ("engines",),
    ("data",),
    ("evaluate",),
    ("train",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
FILES = sorted(path for path in CORE.rglob("*.py") if path != CORE / "__init__.py")


def unit(path: Path, root: Path = CORE) -> str:
    """The first folder or file name below the core."""
    return path.relative_to(root).parts[0].removesuffix(".py")


def imported(path: Path, root: Path = CORE) -> list[tuple[str, int]]:
    """Units of the core that a file imports, with the line."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].relative_to(root)
            parts = [*base.parts, *(node.module or "").split(".")]
            named = [part for part in parts if part][:1] or [alias.name for alias in node.names]
            found += [(name, node.lineno) for name in named if name != "__version__"]
    return found


def backwards(path: Path, root: Path = CORE) -> list[str]:
    """Imports of a unit that comes later, or of the other of audio and text."""
    own = unit(path, root)
    wrong = []
    for name, line in imported(path, root):
        beside = LEVEL[name] == LEVEL[own] == LEVEL["audio"] and name != own
        if LEVEL[name] > LEVEL[own] or beside:
            wrong.append(f"line {line}: {name}")
    return wrong


def absolute(path: Path) -> list[str]:
    """Absolute imports of the core's own modules; ComfyUI loads the pack under another name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    names += [
        n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and not n.level
    ]
    return [name for name in names if name.split(".")[0] == "stepedit_core"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_imports_point_one_way(path: Path):
    assert not backwards(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_imports_inside_the_pack_are_relative(path: Path):
    assert not absolute(path)


@pytest.mark.parametrize(
    ("name", "line", "wrong"),
    [
        ("models/a.py", "from ..pipelines.edit import edit", True),
        ("models/a.py", "from ..registry import registry", True),
        ("audio/a.py", "from ..text import edits", True),
        ("vocab.py", "from .audio.trim import cap_peak", True),
        ("models/a.py", "from .layers import sinusoids", False),
        ("pipelines/a.py", "from ..models import llm", False),
        ("cli.py", "from . import __version__", False),
    ],
)
def test_the_direction_test_sees_what_it_should(tmp_path: Path, name: str, line: str, wrong: bool):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"def f():\n    {line}\n")
    assert bool(backwards(path, tmp_path)) == wrong


def test_every_required_package_is_imported_by_the_pack():
    lines = (CORE.parent / "requirements.txt").read_text("utf-8").split()
    required = {re.split(r"[<>=!~\[]", line)[0] for line in lines}
    names = set()
    for path in (*FILES, *(CORE.parent / "nodes").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add((node.module or "").split(".")[0])
    assert required <= names


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=CORE.parent,
    )


def test_importing_the_package_imports_no_torch_and_says_nothing():
    done = run("import sys, stepedit_core; print('torch' in sys.modules, 'numpy' in sys.modules)")
    assert done.stdout.split() == ["False", "False"]
    assert done.stderr == ""


def test_the_command_without_work_imports_no_torch():
    done = run(
        "import sys, stepedit_core.cli as c\n"
        "try: c._parser().parse_args(['--version'])\n"
        "except SystemExit: pass\n"
        "print('torch' in sys.modules)"
    )
    assert done.stdout.split()[-1] == "False"


def test_importing_everything_leaves_the_process_as_it_was():
    done = run(
        "import json, logging, sys, torch\n"
        "state = lambda: (torch.get_rng_state().tolist(), torch.get_num_threads(),\n"
        "    str(torch.get_default_dtype()), len(logging.root.handlers), list(sys.path))\n"
        "before = state()\n"
        "import stepedit_core.cli, stepedit_core.pipelines.rounds, stepedit_core.pipelines.clone\n"
        "import stepedit_core.pipelines.resynthesize, stepedit_core.output.report\n"
        "foreign = [m for m in ('comfy', 'transformers', 'torchaudio', 'librosa', 'onnxruntime',\n"
        "    'scipy') if m in sys.modules]\n"
        "print(json.dumps([before == state(), foreign]))"
    )
    assert json.loads(done.stdout) == [True, []]
    assert done.stderr == ""


def test_building_an_empty_module_does_not_import_the_compiler():
    done = run(
        "import sys\n"
        "from torch import nn\n"
        "from stepedit_core.bundle.weights import build_empty\n"
        "build_empty(lambda: nn.Sequential(nn.Embedding(8, 8), nn.Conv1d(2, 2, 3)))\n"
        "print('torch._dynamo' in sys.modules)"
    )
    assert done.stdout.split() == ["False"]  # 4 to 8 seconds of the two a bundle may take
