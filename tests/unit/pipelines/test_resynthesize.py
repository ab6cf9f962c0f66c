"""A clip through tokens and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepedit_core.pipelines.resynthesize import resynthesize
from stepedit_core.registry.registry import Registry
from stepedit_core.types import (
    Clip,
)


def test_resynthesizing_does_not_load_the_language_model(bundles: Path, clip: Clip):
    handle = Registry([bundles], {}).load("tiny", device="cpu")
    made = resynthesize(handle, clip, seed=3)
    assert "llm" not in handle.loaded
    assert "scorer" not in handle.loaded
    assert made.clip.seconds == pytest.approx(made.codes.seconds)
    assert set(made.stage_seconds) == {"tokenize", "flow", "vocode"}
