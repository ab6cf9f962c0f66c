"""The pack's modules without ComfyUI: loaded by path, under a name of their own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from tests.conftest import REPOSITORY

PACK = "stepedit_pack"


@pytest.fixture(scope="session")
def pack_module() -> Callable[[str], ModuleType]:
    """A function that imports a module of nodes/ which needs no ComfyUI."""
    for name, folder in ((PACK, REPOSITORY), (f"{PACK}.nodes", REPOSITORY / "nodes")):
        module = ModuleType(name)  # without running __init__.py, which needs ComfyUI
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    return lambda name: importlib.import_module(f"{PACK}.nodes.{name}")
