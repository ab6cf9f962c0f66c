"""A toy release that the tests of this folder share, and a copy of it to damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from torch import nn

from tests import fake_release


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, nn.Module]]:
    """A toy release and its networks."""
    folder = tmp_path_factory.mktemp("release")
    return folder, fake_release.write(folder)


@pytest.fixture
def copy(release: tuple[Path, dict[str, nn.Module]], tmp_path: Path) -> Path:
    """The toy release to damage."""
    target = tmp_path / "copy"
    shutil.copytree(release[0], target)
    return target
