"""Loudness of a recording of any length, in LUFS: ITU-R BS.1770-4 with both gates.

The recording is given part by part; what is remembered is the power of every 100 ms. pyloudnorm
does the same with the whole recording in memory, and brings scipy along.
"""

from __future__ import annotations

import math

import numpy as np

STEP_S = 0.1
"""Blocks of 400 ms begin every 100 ms."""
BLOCK_STEPS = 4
ABSOLUTE_LUFS = -70.0
"""Blocks below it never count."""
RELATIVE_LU = -10.0
"""Blocks so far below the mean of the others do not count."""
OFFSET_LUFS = -0.691
RESPONSE_S = 0.2
"""Length of the filter's response: after it 10 to the power of -15 is left."""
HIGH_SHELF = (1681.974450955533, 3.999843853973347, 0.7071752369554196)
"""Hz, dB and Q of the first stage of the ear filter, at any rate."""
HIGH_PASS = (38.13547087602444, 0.5003270373238773)
"""Hz and Q of the second."""


class LoudnessMeter:
    """Receives a recording part by part and says how loud it is."""

    def __init__(self, rate: int) -> None:
        self._step = round(STEP_S * rate)
        self._response = ear_response(rate)
        self._before: np.ndarray | None = None
        self._waiting: np.ndarray | None = None
        self._powers: list[float] = []

    def add(self, samples: np.ndarray) -> None:
        """The next samples (C, N), floats -1..1; the sum of the channels' powers counts."""
        if not samples.shape[1]:
            return
        reach = len(self._response) - 1
        if self._before is None:
            self._before = np.zeros((samples.shape[0], reach))
            self._waiting = np.zeros((samples.shape[0], 0))
        whole = np.concatenate([self._before, samples.astype(np.float64)], axis=1)
        self._before = whole[:, whole.shape[1] - reach :]
        assert self._waiting is not None
        heard = np.concatenate([self._waiting, _convolved(whole, self._response)], axis=1)
        count = heard.shape[1] // self._step
        steps = heard[:, : count * self._step].reshape(len(heard), count, self._step)
        self._powers += np.square(steps).mean(axis=2).sum(axis=0).tolist()
        self._waiting = heard[:, count * self._step :]

    def integrated(self) -> float | None:
        """Loudness of all that was added, in LUFS; None where nothing is above the gate."""
        steps = np.array(self._powers)
        if len(steps) < BLOCK_STEPS:
            return None
        blocks = np.convolve(steps, np.full(BLOCK_STEPS, 1 / BLOCK_STEPS), "valid")
        loud = blocks[blocks > _power(ABSOLUTE_LUFS)]
        if not len(loud):
            return None
        loud = loud[loud > loud.mean() * 10 ** (RELATIVE_LU / 10)]
        return OFFSET_LUFS + 10 * math.log10(float(loud.mean()))


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - OFFSET_LUFS) / 10))


def _convolved(whole: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Each channel (C, R - 1 + N) filtered by a response (R,): (C, N)."""
    size = 1 << (whole.shape[1] + len(response) - 1).bit_length()
    made = np.fft.irfft(np.fft.rfft(whole, size) * np.fft.rfft(response, size), size)
    filtered: np.ndarray = made[:, len(response) - 1 : whole.shape[1]]
    return filtered


def ear_response(rate: int) -> np.ndarray:
    """(R,) what both stages of the ear filter make of one sample of 1."""
    hz, gain, q = HIGH_SHELF
    k, high = math.tan(math.pi * hz / rate), 10 ** (gain / 20)
    middle, scale = high**0.4996667741545416, 1 + k / q + k * k
    shelf = (
        [(high + middle * k / q + k * k), 2 * (k * k - high), (high - middle * k / q + k * k)],
        [scale, 2 * (k * k - 1), 1 - k / q + k * k],
    )
    hz, q = HIGH_PASS
    k = math.tan(math.pi * hz / rate)
    scale = 1 + k / q + k * k
    # the numerator of the standard is 1, -2, 1 and is not divided by the scale
    high_pass = ([scale, -2 * scale, scale], [scale, 2 * (k * k - 1), 1 - k / q + k * k])
    one = np.zeros(round(RESPONSE_S * rate))
    one[0] = 1.0
    return _filtered(_filtered(one, *shelf), *high_pass)


def _filtered(x: np.ndarray, b: list[float], a: list[float]) -> np.ndarray:
    """X (N,) through a filter of second order."""
    out, (x1, x2, y1, y2) = np.empty_like(x), (0.0, 0.0, 0.0, 0.0)
    for n, value in enumerate(x.tolist()):
        y = (b[0] * value + b[1] * x1 + b[2] * x2 - a[1] * y1 - a[2] * y2) / a[0]
        x1, x2, y1, y2 = value, x1, y, y1
        out[n] = y
    return out
