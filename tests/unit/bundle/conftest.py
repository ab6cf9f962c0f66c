from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copy(bundles: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundles / "tiny", tmp_path / "copy"))
