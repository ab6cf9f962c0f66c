"""The pack beside other transformers than the installed one, as other packs pin them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import REPOSITORY, cannot_run
from tests.server.comfyui import cache_folder

INSTALLED = "installed"
PINNED = {
    "4.50.3": ("tokenizers==0.21.4", "huggingface_hub==0.36.2"),
    "4.57.6": ("tokenizers==0.22.2", "huggingface_hub==0.36.2"),
}
"""What a version wants other than the newest of; all else is there."""

EDIT = """
import hashlib, sys
version = ""
if sys.argv[1] != "without":
    import transformers
    from transformers import LlamaConfig, LlamaModel
    LlamaModel(LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                           num_attention_heads=2, num_key_value_heads=2, vocab_size=8))
    version = transformers.__version__
import torch
torch.set_num_threads(1)
from stepedit_core.audio.files import read_clip
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.registry.registry import ASSETS, Registry
from stepedit_core.types import EditRequest, Sampling
bundle = Registry([]).load("nano", device="cpu")
clip = read_clip(ASSETS / "samples" / "walking_home.wav")
words = (ASSETS / "samples" / "walking_home.txt").read_text("utf-8").strip()
edit = EditRequest(kind="emotion", option="happy", text=words)
plan = make_plan(bundle, clip, [edit], seed=7, sampling=Sampling(max_ids=25))
made = iterate(bundle, clip, plan).final
print(version, hashlib.sha256(made.clip.wave.numpy().tobytes()).hexdigest(),
      sum(name.startswith("transformers") for name in sys.modules))
"""


def edited(folder: str, how: str) -> list[str]:
    """Version of transformers, digest of an edit's samples, modules of transformers."""
    environment = {**os.environ, "PYTHONPATH": folder, "PYTHONWARNINGS": "ignore"}
    run = subprocess.run(
        [sys.executable, "-c", EDIT, how],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split(" ")


def fetched(version: str) -> Path:
    """Folder with this transformers, whole or not at all; RuntimeError with pip's reason."""
    target = cache_folder() / f"transformers-{version}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / "made"
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(made)]
        command += [f"transformers=={version}", *PINNED[version]]
        got = subprocess.run(command, capture_output=True, text=True, check=False)
        if got.returncode:
            raise RuntimeError((got.stderr.strip().splitlines() or ["no message"])[-1])
        made.rename(target)
    return target


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """An edit in a process without transformers."""
    return edited("", "without")


@pytest.mark.parametrize("version", [*PINNED, INSTALLED])
def test_an_edit_is_the_same_beside_any_transformers(
    request: pytest.FixtureRequest, alone: list[str], version: str
) -> None:
    try:
        folder = "" if version == INSTALLED else str(fetched(version))
    except RuntimeError as reason:
        cannot_run(request.config, f"transformers {version}", str(reason))
    found, digest, _ = edited(folder, "beside")
    assert found == version or (version == INSTALLED and found)
    assert digest == alone[1]


def test_an_edit_imports_no_transformers(alone: list[str]) -> None:
    assert alone[2].strip() == "0"
