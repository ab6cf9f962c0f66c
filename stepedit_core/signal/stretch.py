"""Another speed at the same pitch: time stretch.

Two backends. `wsola` is here and needs nothing: pieces of 40 ms are laid over each other at the new
pace, each shifted by up to 15 ms to where it continues the last one best (Verhelst and Roelands
1993, WSOLA). `signalsmith` is the package python-stretch (MIT), a spectral method that is smoother
on music and on several voices at once.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..files.missing import pip_line
from ..printable import shown
from .waves import channels_of

Backend = Literal["auto", "wsola", "signalsmith"]
BACKENDS: tuple[Backend, ...] = ("auto", "wsola", "signalsmith")
PACKAGE = "python-stretch"
TEMPO: Mapping[str, float] = {
    "faster": 1.25,
    "more faster": 1.55,
    "slower": 0.8,
    "more slower": 0.67,
}
"""Option of the edit `speed` -> tempo."""
SLOWEST, FASTEST = 0.25, 4.0
WINDOW_SECONDS = 0.04
SEARCH_SECONDS = 0.015
SEARCH_HZ = 12_000
"""Likeness is looked for on a wave thinned out to about this rate, then on every sample."""


def stretch(wave: Tensor, rate: int, tempo: float, *, backend: Backend = "auto") -> Tensor:
    """Wave (N,) or (C, N) at another tempo and the same pitch: round(N / tempo) samples.

    tempo 1.25 is a quarter faster, 0.25 to 4; at 1.0 the wave itself is returned. Raises ValueError
    for a tempo out of range, an unknown backend or one that is not installed, and a bad wave.
    """
    if not SLOWEST <= tempo <= FASTEST:
        raise ValueError(
            f"tempo is {tempo}; allowed are {SLOWEST} to {FASTEST}. Choose one in between."
        )
    rows = channels_of(wave, rate)
    return _to_length(wave, rows, rate, max(1, round(rows.shape[1] / tempo)), backend)


def fit_seconds(wave: Tensor, rate: int, seconds: float, *, backend: Backend = "auto") -> Tensor:
    """Wave (N,) or (C, N) of exactly round(seconds * rate) samples, at the same pitch.

    Raises ValueError where that asks for less than a quarter or more than four times the length.
    """
    rows = channels_of(wave, rate)
    check_tempo(rows.shape[1] / rate, seconds)
    return _to_length(wave, rows, rate, max(1, round(seconds * rate)), backend)


def check_tempo(now: float, seconds: float) -> None:
    """Raise ValueError where a clip that lasts `now` seconds cannot be made to last `seconds`."""
    if not now / FASTEST <= seconds <= now / SLOWEST:
        raise ValueError(
            f"length is {seconds:.2f} s; a clip of {now:.2f} s fits {now / FASTEST:.2f} to "
            f"{now / SLOWEST:.2f} s. Choose a length in between."
        )


def _to_length(wave: Tensor, rows: Tensor, rate: int, length: int, backend: Backend) -> Tensor:
    if backend not in BACKENDS:
        raise ValueError(
            f"backend is '{shown(backend)}'; allowed are {', '.join(BACKENDS)}. Choose one of "
            "these."
        )
    if length == rows.shape[1]:
        return wave
    if backend == "signalsmith":
        made = _signalsmith(rows.numpy(), rate, length)
    else:
        made = wsola(rows.numpy(), rate, length)
    return torch.from_numpy(made).reshape(*wave.shape[:-1], length).to(wave)


def wsola(x: np.ndarray, rate: int, length: int) -> np.ndarray:
    """Wave (C, N) float32 as (C, length) float32 at the same pitch, all channels shifted alike."""
    channels, count = x.shape
    half = max(round(WINDOW_SECONDS * rate / 2), 2)
    size = 2 * half
    reach = round(SEARCH_SECONDS * rate)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    # piece k of the result has its middle at k * half; so has the piece of x it is cut from
    margin = half + reach + size
    padded = np.pad(x, ((0, 0), (margin, margin + size)))
    mix = padded.mean(axis=0)
    pieces = length // half + 2
    out = np.zeros((channels, (pieces + 1) * half), np.float32)
    wish = np.minimum(np.round(np.arange(pieces) * half * (count / length)), count)
    taken = margin - half
    for k in range(pieces):
        ideal = int(wish[k]) + margin - half
        if k:
            # what would follow the last piece if nothing were moved
            goes_on = mix[taken + half : taken + half + size]
            taken = ideal + _best_shift(goes_on, mix, ideal, reach, rate)
        out[:, k * half : k * half + size] += padded[:, taken : taken + size] * window
    return out[:, half : half + length]


def _best_shift(pattern: np.ndarray, mix: np.ndarray, at: int, reach: int, rate: int) -> int:
    """Shift, -reach to reach, at which mix from `at` is most like the pattern; 0 in silence."""
    step = max(1, rate // SEARCH_HZ)
    at = min(max(at, reach), len(mix) - len(pattern) - reach)
    area = mix[at - reach : at + reach + len(pattern)]
    coarse = _likeness(pattern[::step], area[::step])
    if not coarse.any():
        return 0
    guess = int(np.argmax(coarse)) * step
    first, last = max(0, guess - step), min(2 * reach, guess + step)
    fine = _likeness(pattern, area[first : last + len(pattern)])
    return first + int(np.argmax(fine)) - reach


def _likeness(pattern: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Normalised correlation of a pattern (P,) with every place of an area (A,): (A - P + 1,)."""
    product = np.correlate(area, pattern, "valid")
    power = np.concatenate([[0.0], np.cumsum(np.square(area, dtype=np.float64))])
    energy = power[len(pattern) :] - power[: -len(pattern)]
    found: np.ndarray = product / np.sqrt(np.maximum(energy, 1e-9))
    return found


def _signalsmith(x: np.ndarray, rate: int, length: int) -> np.ndarray:
    try:
        package: Any = importlib.import_module("python_stretch")
    except ImportError as error:
        raise ValueError(
            f"the backend signalsmith needs {PACKAGE}, which is not installed. Run "
            f"`{pip_line(PACKAGE)}`, or take the backend wsola."
        ) from error
    machine = package.Signalsmith.Stretch(0)
    machine.preset(x.shape[0], float(rate))
    machine.setTimeFactor(x.shape[1] / length)
    # its length is rounded and its last block is short of input: silence behind, then the cut
    tail = 2 * machine.blockSamples()
    made = np.asarray(machine.process(np.ascontiguousarray(np.pad(x, ((0, 0), (0, tail))))))
    made = np.pad(made, ((0, 0), (0, max(0, length - made.shape[1]))))
    cut: np.ndarray = made[:, :length].astype(np.float32)
    return cut
