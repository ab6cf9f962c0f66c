"""Speech as a whisper: noise in place of the voice's buzz; envelope, words and timing stay.

Frames of 20 ms every 5 ms. Where a voice is heard, the power of a frame is averaged over as many Hz
as its harmonics are apart, and noise from a seeded generator gets that envelope. What has no voice
(s, t, breath, pauses) keeps its own samples: a whisper has it too.

A whisper is more than a voice without its buzz (Ito, Takeda and Itakura 2005, Speech Communication
45, 139-152; Morris and Clements 2002, Medical Engineering and Physics 24, 515-520): little is left
below the first formant, the low half is weaker beside the high one, and the first formant lies
higher. Each is one rule on the envelope here. Their amounts were chosen on six LibriSpeech
recordings by the words that Whisper tiny.en reads.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..audio.channels import mixed
from .limiter import limited
from .periodicity import RATE_HZ, SHORTEST, SMALL, periodicity
from .waves import channels_of

HOP_SECONDS = 0.005
HOPS = 4
"""Hops in a frame."""
CUT_HZ = 250.0
"""Below it the envelope falls to 0 at 0 Hz."""
LOW_HZ, LOW_DB = 1200.0, -12.0
"""Below this frequency the envelope falls, by so many dB at 0 Hz."""
RAISED_HZ, RAISED_TO_HZ = 60.0, 2500.0
"""How much higher the envelope lies at the first formant; nothing at the second frequency."""
FORMANT_HZ = 300.0
"""From here on the envelope is raised in full."""
VOICED, SURELY_VOICED = 0.35, 0.5
"""Autocorrelation of a frame with no voice at all and with nothing else. Lower than where a pitch
is read (`measure/pitch.py`): a hiss that is taken for a voice sounds as before."""
LEAST_POWER = 1e-5
"""Of the loudest frame's: what is 50 dB below it has no voice."""
MARGIN = 2
"""Hops before and after a voice that it still fills."""
SHELF_HZ, SHELF = 1682.0, 10 ** (4 / 20)
"""Where the ear filter of BS.1770 rises, and the factor by which it does."""


def whisper(wave: Tensor, rate: int, *, generator: torch.Generator) -> Tensor:
    """Wave (N,) or (C, N) as a whisper of the same shape, length and loudness.

    The noise is as loud as the voice that it replaces, by the ear filter of BS.1770. Single peaks
    of it can be higher than a voice's: what would lie above 0.99, or above the recording's own
    peak where that is higher, is turned down for about 10 ms in all channels. All channels
    get the same noise, turned over where a channel is, so that a voice stays where it was between
    them. Raises ValueError for a bad wave, as `channels_of`.
    """
    rows = channels_of(wave, rate)
    count, hop = rows.shape[1], max(1, round(HOP_SECONDS * rate))
    size = HOPS * hop
    window = torch.hann_window(size).sqrt()
    own = _frames(rows, window, hop)
    drawn = _frames(torch.randn(1, count, generator=generator), window, hop)
    hz = torch.arange(own.shape[1]) * (rate / size)
    mix = mixed(rows, rate)
    voiced, pitch_hz = _voice(mix, rate, hop, own.shape[2])
    power = _without_harmonics(own.abs().square(), pitch_hz * size / rate)
    shape = _raised(power.sqrt(), hz) * _tilt(hz)[:, None]
    turned = torch.where(rows @ mix < 0, -1.0, 1.0)[:, None, None]
    breath = shape * drawn * turned / window.square().sum().sqrt()
    heard = (voiced * _ear(hz)[:, None]).square()
    before, after = (float((x.abs().square() * heard).sum()) for x in (own, breath))
    breath *= (before / max(after, SMALL)) ** 0.5
    made = own * (1 - voiced.square()).sqrt() + breath * voiced
    back = torch.istft(made, size, hop, window=window, length=count)
    # samples that no voice is near are not computed but kept
    near = voiced.repeat_interleave(hop)
    near = F.max_pool1d(F.pad(near, (0, size))[None, None], size + 1, 1, size // 2)[0, 0]
    whole = torch.where(near[:count] > 0, back, rows)
    return limited(whole, rate, float(rows.abs().max())).reshape(wave.shape).to(wave)


def _frames(rows: Tensor, window: Tensor, hop: int) -> Tensor:
    """Spectra (C, K, T) complex of rows (C, N), frame t around sample t * hop."""
    size = len(window)
    return torch.stft(rows, size, hop, window=window, pad_mode="constant", return_complex=True)


def _voice(mix: Tensor, rate: int, hop: int, frames: int) -> tuple[Tensor, Tensor]:
    """How much voice each of T frames has, 0 to 1, and its pitch in Hz, both (T,)."""
    found = periodicity(mix, rate, hop, frames)
    alike, power = found.alike, found.power
    strength = alike.amax(dim=1)
    # of equally good lags the earliest: later ones are multiples of the period
    lag = (alike >= 0.9 * strength[:, None]).to(torch.int8).argmax(dim=1) + SHORTEST
    voiced = ((strength - VOICED) / (SURELY_VOICED - VOICED)).clamp(0, 1)
    voiced = voiced * (power > (LEAST_POWER * power.max()).clamp(min=SMALL))
    wide = F.max_pool1d(voiced[None, None], 2 * MARGIN + 1, 1, MARGIN)[0, 0]
    return wide, RATE_HZ / lag


def _without_harmonics(power: Tensor, apart: Tensor) -> Tensor:
    """Power (C, K, T) averaged over frequency; harmonics lie `apart` (T,) bins from each other."""
    bins = power.shape[1]
    around = torch.cat([power.flip(1)[:, :-1], power, power.flip(1)[:, 1:]], dim=1)
    total = F.pad(around.double().cumsum(dim=1), (0, 0, 1, 0))
    middle = torch.arange(bins)[:, None] + bins - 0.5
    apart = apart.clamp(1, bins)

    def sum_up_to(place: Tensor) -> Tensor:
        low = place.floor().long().clamp(0, total.shape[1] - 2)
        part = place - low
        low = low[None].expand(len(total), -1, -1)
        return total.gather(1, low) * (1 - part) + total.gather(1, low + 1) * part

    mean = (sum_up_to(middle + apart / 2) - sum_up_to(middle - apart / 2)) / apart
    return mean.clamp(min=0).float()


def _raised(shape: Tensor, hz: Tensor) -> Tensor:
    """An envelope (C, K, T) whose first formant lies higher; hz (K,) are those of its bins."""
    up = RAISED_HZ * (1 - hz / RAISED_TO_HZ).clamp(min=0) * (hz / FORMANT_HZ).clamp(max=1)
    place = ((hz - up) / hz[1]).clamp(0, len(hz) - 1)
    low = place.floor().long()
    part = (place - low)[:, None]
    return shape[:, low] * (1 - part) + shape[:, (low + 1).clamp(max=len(hz) - 1)] * part


def _tilt(hz: Tensor) -> Tensor:
    """Factors (K,) by which a whisper is weaker where a voice is strongest."""
    low: Tensor = 10 ** (LOW_DB / 20 * (1 - hz / LOW_HZ).clamp(min=0))
    return low * (hz / CUT_HZ).clamp(max=1)


def _ear(hz: Tensor) -> Tensor:
    """How loud (K,) an amplitude of 1 is, by the shelf of BS.1770 (as an analog filter)."""
    x = hz / SHELF_HZ
    above = (1 - SHELF * x.square()).square() + 2 * SHELF * x.square()
    return (above / ((1 - x.square()).square() + 2 * x.square())).sqrt()
