"""Answers cut short, so that a case takes no time."""

from __future__ import annotations

import pytest

from stepedit_core.pipelines import generate as generate_module


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_module, "longest_answer", lambda request, source: 15)
