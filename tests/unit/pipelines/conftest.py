"""One clip as codes and a voice, by the tiny bundle."""

from __future__ import annotations

import pytest

from stepedit_core.pipelines.tokenize import tokenize
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import (
    Clip,
    DualCodes,
    Voice,
)


@pytest.fixture(scope="module")
def spoken(bundle: Bundle, clip: Clip) -> tuple[DualCodes, Voice]:
    return tokenize(bundle, clip)


@pytest.fixture(scope="module")
def codes(spoken: tuple[DualCodes, Voice]) -> DualCodes:
    return spoken[0]


@pytest.fixture(scope="module")
def voice(spoken: tuple[DualCodes, Voice]) -> Voice:
    return spoken[1]
