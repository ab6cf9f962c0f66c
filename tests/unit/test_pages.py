"""What the pages at the door say can be done: links lead somewhere, commands parse, Python runs."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest

import stepedit_core
from stepedit_core import cli
from stepedit_core.audio.files import write_wav
from stepedit_core.types import Clip

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "stepedit_core/README.md"]
)
README = (ROOT / "README.md").read_text("utf-8")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"")
ACTION = re.compile(r"^\s*-? *uses: *(\S+)", re.M)


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_to_files(page: Path) -> None:
    targets = [first or second for first, second in LINK.findall(page.read_text("utf-8"))]
    lost = [
        target
        for target in targets
        if "://" not in target and not (page.parent / target).resolve().exists()
    ]
    assert not lost


def test_commands_of_the_readme_fit_a_terminal_and_the_parser() -> None:
    shell = blocks(README, "bash")
    assert max(len(line) for block in shell for line in block.splitlines()) <= 100
    lines = [line for block in shell for line in block.replace("\\\n", " ").splitlines()]
    ours = [shlex.split(line)[1:] for line in lines if line.startswith(".venv/bin/stepedit ")]
    assert ours
    for arguments in ours:
        cli._parser().parse_args(arguments)
        assert (ROOT / arguments[1]).is_file()
    assert (ROOT / "tests/run").stat().st_mode & 0o111
    assert "tests/run" in lines


@pytest.mark.usefixtures("every_round_holds")
@pytest.mark.parametrize(
    ("page", "made"),
    [("README.md", ("happier.wav", "fitting.wav")), ("stepedit_core/README.md", ("out.wav",))],
)
def test_python_of_a_readme_runs(
    page: str,
    made: tuple[str, ...],
    bundle: Any,
    clip: Clip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_wav(tmp_path / "in.wav", clip)
    said = "".join(blocks((ROOT / page).read_text("utf-8"), "python"))
    (tmp_path / "said.py").write_text(said, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stepedit_core, "load", lambda name, device=None: bundle, raising=False)
    left = runpy.run_path("said.py")
    assert len(left["result"].rounds) == 4
    assert all((tmp_path / name).is_file() for name in made)


@pytest.mark.parametrize(
    "workflow", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name
)
def test_actions_are_pinned_by_commit(workflow: Path) -> None:
    used = ACTION.findall(workflow.read_text("utf-8"))
    assert used
    assert not [action for action in used if not re.search(r"@[0-9a-f]{40}$", action)]
