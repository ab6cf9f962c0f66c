"""Band-limited resampling with a Hann-windowed sinc.

Source: J. O. Smith, "Digital Audio Resampling"; the constants are the defaults of
torchaudio.functional.resample (6 zero crossings, roll-off 0.99), which the release uses for every
rate change (spec 2.1). Another resampler changes the codes.
"""

from __future__ import annotations

from math import ceil, gcd, pi

import torch
from torch import Tensor
from torch.nn import functional as F

ZERO_CROSSINGS = 6
ROLLOFF = 0.99
_BLOCK = 65_536  # output samples a step: limits its memory to a few tens of MB


def sinc_taps(from_hz: int, to_hz: int) -> tuple[Tensor, Tensor]:
    """The filter of every output phase, for rates without a common divisor.

    Returns starts (to_hz,) int64, the first input sample under each phase, counted from the start
    of its period of from_hz inputs, and taps (to_hz, K) float64.
    """
    cutoff = min(from_hz, to_hz) * ROLLOFF
    reach = ceil(ZERO_CROSSINGS * from_hz / cutoff)
    phase = torch.arange(to_hz)
    centre = torch.div(phase * from_hz, to_hz, rounding_mode="floor")
    offset = torch.arange(-reach, reach + 2)
    # torchaudio rounds the time of an output to float32; at 44.1 kHz that moves samples by 1e-5
    instant = (phase / to_hz).double()
    seconds = (centre[:, None] + offset).double() / from_hz - instant[:, None]
    # distance from each tap to the output, in zero crossings; beyond the window the tap is 0
    t = (seconds * cutoff).clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS)
    window = torch.cos(t * pi / (2 * ZERO_CROSSINGS)).square()
    return centre - reach, torch.sinc(t) * window * (cutoff / from_hz)


def resample(wave: Tensor, from_hz: int, to_hz: int) -> Tensor:
    """Change the rate of wave (..., N) float32 from from_hz to to_hz.

    Returns (..., ceil(N * to_hz / from_hz)) on the same device in the same dtype, or the wave
    itself where the rates are equal. Beyond its ends the wave counts as silent.
    """
    if from_hz < 1 or to_hz < 1:
        raise ValueError(
            f"rates are {from_hz} and {to_hz} Hz; both must be at least 1. Pass rates in Hz."
        )
    if from_hz == to_hz or wave.shape[-1] == 0:
        return wave
    divisor = gcd(from_hz, to_hz)
    old, new = from_hz // divisor, to_hz // divisor
    starts, taps = sinc_taps(old, new)
    starts, taps = starts.to(wave.device), taps.to(wave.device, wave.dtype)
    flat = wave.reshape(-1, wave.shape[-1])
    count = -(-flat.shape[-1] * new // old)
    left = -int(starts.min())
    right = int(starts.max()) + taps.shape[1] + old
    windows = F.pad(flat, (left, right)).unfold(-1, taps.shape[1], 1)  # (B, positions, K), a view
    parts = []
    for first in range(0, count, _BLOCK):
        index = torch.arange(first, min(first + _BLOCK, count), device=wave.device)
        phase = index % new
        at = torch.div(index, new, rounding_mode="floor") * old + starts[phase] + left
        parts.append((windows[:, at] * taps[phase]).sum(-1))
    return torch.cat(parts, dim=-1).reshape(*wave.shape[:-1], count)
