"""Edits of the tiny bundle for tests of pipelines."""

from __future__ import annotations

from pathlib import Path

import torch

from stepedit_core.bundle.manifest import Manifest
from stepedit_core.bundle.write import write_bundle
from stepedit_core.pipelines.memory import RoundMemory
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.types import (
    Clip,
    DualCodes,
    EditRequest,
    EditResult,
    Hooks,
    Sampling,
)
from tests import tiny_bundle

HAPPY = EditRequest(kind="emotion", option="happy", text="hello world")


WHISPER = EditRequest(kind="style", option="whisper", text="hello world")


SIGH = EditRequest(kind="sounds", text="hello world", new_text="hello [Sigh] world")


SHORT = Sampling(max_ids=15)
"""Three groups a round: the tiny model seldom ends by itself."""


def same(first: DualCodes, second: DualCodes) -> bool:
    return torch.equal(first.linguistic, second.linguistic) and torch.equal(
        first.semantic, second.semantic
    )


def run_of(
    bundle: Bundle,
    clip: Clip,
    requests: list[EditRequest],
    *,
    hooks: Hooks | None = None,
    memory: RoundMemory | None = None,
    **settings: object,
) -> EditResult:
    plan = make_plan(bundle, clip, requests, **settings)
    return iterate(bundle, clip, plan, hooks=hooks, memory=memory)


def written(folder: Path, about: Manifest) -> Bundle:
    """A bundle of random weights that this manifest describes."""
    (folder / "t.model").write_bytes(tiny_bundle.tokenizer_model())
    parts = {part: tiny_bundle.random_part(about, part) for part in about.parts}
    write_bundle(folder / about.name, about, parts, folder / "t.model")
    return Registry([folder], {}).load(about.name, device="cpu")
