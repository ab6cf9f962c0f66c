"""A new piece in the middle of a recording; every sample outside of it stays the recording's.

The piece brings a margin on both sides that sounds as the recording does there. Within the margin
it is moved by up to 5 ms to where the two waves agree best, its level follows the recording's, and
the two are faded over each other at the quietest place near the border; a piece without a margin
fades in within itself. At the recording's own beginning and end nothing fades.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..audio.channels import mixed
from ..audio.clips import float_samples, samples_as
from .limiter import limited

REACH_S = 0.08
"""How far from its border a fade may lie, in seconds."""
FADE_S = 0.02
"""Length of a fade where the margin has room."""
SHORTEST_FADE_S = 0.005
"""A margin shorter than this is none."""
SHIFT_S = 0.005
"""Most that a piece is moved to agree with the recording."""
STEP_S = 0.005
"""Distance of the places that are compared for a fade."""
MOST_GAIN = 2.0
"""Most by which the piece's level is raised or lowered, 6 dB."""
ALIKE = 0.5
"""Correlation above which two waves are faded by amplitude; below, by power."""
AROUND_S = 0.5
"""Time on each side of the range in which the channels' shares are measured."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """New sound for a part of a recording, at the recording's rate."""

    wave: Tensor
    """(M,) float32, one channel: margin, new sound, margin."""
    start: int
    """First sample of the recording that is replaced."""
    end: int
    """One past the last sample that is replaced."""
    head: int
    """Samples of the margin before the new sound: the recording's own speech up to `start`."""
    tail: int
    """Samples of the margin after it."""
    channels: Tensor | None = None
    """(C, M) float32: what each channel of the recording has of it. None gives each the share that
    it has of the mix around the range."""


@dataclass(frozen=True, kw_only=True)
class Spliced:
    """A recording with a piece in it."""

    wave: Tensor
    """(C, N) of the recording's type; longer or shorter by what the piece is."""
    first: int
    """First sample that may differ: wave[:, :first] is the recording's."""
    end: int
    """One past the last sample that may differ: wave[:, end:] is the recording's last samples."""


def splice(recording: Tensor, rate: int, piece: Piece) -> Spliced:
    """The recording (C, N), integer or float, with the piece in the place of start to end.

    Raises ValueError for a range outside the recording or a margin longer than the piece.
    """
    length = recording.shape[1]
    new = piece.wave.double().numpy()
    if not 0 <= piece.start < piece.end <= length:
        raise ValueError(
            f"samples {piece.start} to {piece.end} should be replaced; the recording has {length}. "
            "Choose a range inside of it."
        )
    if min(piece.head, piece.tail) < 0 or piece.head + piece.tail > len(new):
        raise ValueError(
            f"the margins have {piece.head} and {piece.tail} samples and the piece {len(new)}; the "
            "margins are part of the piece. Give shorter ones."
        )
    samples = float_samples(recording)
    mono = mixed(samples, rate).double().numpy()
    head = _join(mono, new, piece.start, piece.head, rate)
    # the same from the other side, with time reversed
    tail = _join(mono[::-1], new[::-1], length - piece.end, piece.tail, rate)
    if piece.channels is None:
        laid = _shares(samples.double().numpy(), mono, piece, rate)[:, None] * new
    else:
        laid = piece.channels.double().numpy()
    middle = laid[:, head.cut : len(new) - tail.cut] * _levels(head, tail, len(new))
    middle = limited(torch.from_numpy(middle), rate, float(samples.abs().max())).numpy()
    first, last = head.at, length - tail.at
    old = samples.double().numpy()
    _fade(middle, old[:, first : first + head.fade], head)
    _fade(middle[:, ::-1], old[:, last - tail.fade : last][:, ::-1], tail)
    inside = samples_as(torch.from_numpy(middle), recording.dtype)
    wave = torch.cat((recording[:, :first], inside, recording[:, last:]), dim=1)
    return Spliced(wave=wave, first=first, end=first + inside.shape[1])


@dataclass(frozen=True)
class _Join:
    """How the beginning of a piece meets a recording; its end is the same with time reversed."""

    at: int
    """Sample of the recording at which the fade begins."""
    cut: int
    """Samples of the piece that are left out before the fade."""
    fade: int
    """Length of the fade in samples; 0 where the piece begins the recording."""
    alike: float
    """Correlation of the two waves within the fade."""
    gain: float
    """Factor that gives the piece the recording's level."""


def _join(old: np.ndarray, new: np.ndarray, start: int, margin: int, rate: int) -> _Join:
    """Where and how old (N,) goes over into new (M,), whose sample `margin` lies at `start`."""
    room = min(margin, start)
    fade = min(round(FADE_S * rate), room)
    if fade < SHORTEST_FADE_S * rate:
        # no margin: inside of the piece, if the recording continues before it
        fade = min(round(FADE_S * rate), len(new) // 4, len(old) - start) if start else 0
        return _Join(start, margin, fade, 0.0, 1.0)
    shift = min(round(SHIFT_S * rate), (room - fade) // 2)
    step = max(1, round(STEP_S * rate))
    places = range(
        start - fade, max(start - min(room - shift, round(REACH_S * rate)) - 1, 0), -step
    )
    at = min(places, key=lambda p: round(float(np.square(old[p : p + fade]).mean()), 12), default=0)
    here = margin - start + at
    part = old[at : at + fade]
    scores = {d: _alike(part, new[here + d : here + d + fade]) for d in range(-shift, shift + 1)}
    best = max(sorted(scores, key=abs), key=lambda d: round(scores[d], 6))
    span = slice(start - room, start)
    loud = _level(old[span]), _level(new[margin - room : margin])
    gain = loud[0] / loud[1] if min(loud) > 1e-4 else 1.0
    gain = min(MOST_GAIN, max(1 / MOST_GAIN, gain))
    return _Join(at, here + best, fade, scores[best], gain)


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two waves, -1 to 1; 0 beside digital silence."""
    if len(one) != len(other):
        return -1.0
    norm = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / norm if norm > 1e-12 else 0.0


def _level(wave: np.ndarray) -> float:
    return math.sqrt(float(np.square(wave).mean())) if len(wave) else 0.0


def _levels(head: _Join, tail: _Join, length: int) -> np.ndarray:
    """Gain of every sample of a piece, from the head's to the tail's, straight in decibels."""
    count = length - head.cut - tail.cut
    levels: np.ndarray = np.exp(
        np.linspace(math.log(head.gain), math.log(tail.gain), max(count, 0))
    )
    return levels


def _shares(channels: np.ndarray, mono: np.ndarray, piece: Piece, rate: int) -> np.ndarray:
    """(C,) factor from the mix to each channel around the range, with its sign."""
    more = round(AROUND_S * rate)
    around = slice(max(0, piece.start - more), piece.end + more)
    power = float(mono[around] @ mono[around])
    if power < 1e-12:
        return np.ones(len(channels))
    shares: np.ndarray = channels[:, around] @ mono[around] / power
    return shares


def _fade(new: np.ndarray, old: np.ndarray, join: _Join) -> None:
    """Let the first samples of new (C, M) come out of old (C, fade), in place."""
    if not join.fade:
        return
    up = (np.arange(join.fade) + 1) / (join.fade + 1)
    rise, fall = up, 1 - up
    if join.alike < ALIKE:
        rise, fall = np.sin(up * math.pi / 2), np.cos(up * math.pi / 2)
    new[:, : join.fade] = rise * new[:, : join.fade] + fall * old
