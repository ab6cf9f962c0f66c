"""The tiny bundle and a speech-like clip for the tests of bundles, pipelines and the command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from stepedit_core.types import Clip

if TYPE_CHECKING:
    from stepedit_core.registry.handle import Bundle


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Toy sizes are faster on one thread, three times so when the machine is busy."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the bundles `tiny` and `other`, which has another codebook, no scorer."""
    from tests import tiny_bundle  # here, so that tests of the parts need no bundle

    folder = tmp_path_factory.mktemp("bundles")
    tiny_bundle.write(folder)
    tiny_bundle.write(folder, "other", scorer=False, codebook="other-1", seed=1)
    return folder


@pytest.fixture(scope="session")
def bundle(bundles: Path) -> Bundle:
    """A handle on `tiny`, shared by all tests that only use it."""
    from stepedit_core.registry.registry import Registry

    return Registry([bundles], {}).load("tiny", device="cpu")


@pytest.fixture(scope="session")
def exact_bundle(bundles: Path) -> Bundle:
    """`tiny` in float32 also where the processor has units for bfloat16, to compare with sums."""
    from stepedit_core.registry.registry import Registry

    return Registry([bundles], {}).load("tiny", device="cpu", precision="fp32")


@pytest.fixture
def every_round_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrong with any round: the tiny model keeps no word, and its answers never end."""
    from stepedit_core.pipelines import best, rounds, verdict

    for module in (best, verdict):
        monkeypatch.setattr(module, "faults_of", lambda made: ())
    for module in (rounds, verdict):
        monkeypatch.setattr(module, "why_last", lambda plan, made: "")


def voiced(seconds: float, rate: int, pitch_hz: float = 140.0) -> torch.Tensor:
    """A buzz with syllables: harmonics of a moving pitch, four bursts a second."""
    time = torch.arange(int(seconds * rate)) / rate
    phase = 2 * torch.pi * pitch_hz * (time + 0.02 * torch.sin(2 * torch.pi * 2 * time))
    wave = sum(torch.sin(k * phase) / k for k in range(1, 12))
    return 0.2 * wave * (0.55 + 0.45 * torch.sin(2 * torch.pi * 4 * time))


@pytest.fixture(scope="session")
def clip() -> Clip:
    """Half a second at 24 kHz."""
    return Clip(wave=voiced(0.6, 24_000), sample_rate=24_000)
