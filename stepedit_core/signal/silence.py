"""Pauses found and shortened, by level alone or by the package silero-vad.

By level: frames of 20 ms every 5 ms. Speech begins above one threshold and lasts until the level
falls below a lower one (hysteresis), both placed between the level of the quietest frames and that
of the loudest; the quiet end of a word, a fading "s", is kept by the lower threshold and by a
hang-over of 120 ms. Where quiet and loud frames are not clearly apart, there is no pause.
"""

from __future__ import annotations

import importlib
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..audio.resample import resample
from ..files.missing import pip_line
from ..printable import shown
from .flagged import stretches
from .waves import channels_of

Backend = Literal["level", "silero"]
BACKENDS: tuple[Backend, ...] = ("level", "silero")
PACKAGE = "silero-vad"
FRAME_SECONDS, HOP_SECONDS = 0.02, 0.005
BEGIN_SHARE, END_SHARE = 0.45, 0.2
"""Both thresholds, as shares of the way from the quiet level to the loud one, in dB."""
BEGIN_DB, END_DB = 15.0, 6.0
"""Most that the thresholds lie above the quiet level: in a clean recording speech begins early."""
LEAST_SPAN_DB = 12.0
"""Least distance of the two levels: below it nothing is called a pause."""
RANGE_DB = 60.0
"""What is this far below the loudest frames is silence, however quiet the recording can be."""
BEFORE_SECONDS, HANG_OVER_SECONDS = 0.06, 0.12
KEEP_SECONDS = 0.2
SHORTEST_PAUSE = 0.25
FADE_SECONDS = 0.01
SILERO_HZ = 16_000


def speech_spans(wave: Tensor, rate: int, *, backend: Backend = "level") -> list[tuple[int, int]]:
    """Stretches of speech as first and one-past-last sample, in order, of wave (N,) or (C, N).

    Their margins are inside: 60 ms before and 120 ms after. A channel that speaks is enough. Empty
    for a clip without any; the whole clip where quiet and loud cannot be told apart. Raises
    ValueError for an unknown backend or one that is not installed, and a bad wave.
    """
    rows = channels_of(wave, rate)
    if backend not in BACKENDS:
        raise ValueError(
            f"backend is '{shown(backend)}'; allowed are {', '.join(BACKENDS)}. Choose one of "
            "these."
        )
    count = rows.shape[1]
    spans = _by_silero(rows, rate) if backend == "silero" else _by_level(rows.numpy(), rate)
    before, after = round(BEFORE_SECONDS * rate), round(HANG_OVER_SECONDS * rate)
    wide = [(max(0, a - before), min(count, b + after)) for a, b in spans]
    joined: list[tuple[int, int]] = []
    for a, b in wide:
        if joined and a <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(b, joined[-1][1]))
        else:
            joined.append((a, b))
    return joined


def shorten_silence(
    wave: Tensor,
    rate: int,
    *,
    keep_seconds: float = KEEP_SECONDS,
    shortest_pause: float = SHORTEST_PAUSE,
    backend: Backend = "level",
) -> Tensor:
    """Wave (N,) or (C, N) whose longer pauses are keep_seconds long, also before and after speech.

    Args:
        wave: the recording.
        rate: in Hz.
        keep_seconds: what stays of a pause, half of it at each side; 0 removes it. The margins of
            speech_spans, 180 ms, are not part of a pause and always stay.
        shortest_pause: seconds of quiet beyond the margins below which a pause is left as it is.
        backend: "level", or "silero" with the package silero-vad.

    Cuts are faded into each other over 10 ms at constant power. A clip without speech, or without
    pauses, is returned as it is. Raises ValueError for a negative time, and as speech_spans.
    """
    for name, value in (("keep_seconds", keep_seconds), ("shortest_pause", shortest_pause)):
        if not 0 <= value <= 10:
            raise ValueError(
                f"{shown(name)} is {shown(value)}; allowed are 0 to 10 s. Choose a length in "
                "between."
            )
    rows = channels_of(wave, rate)
    spans = speech_spans(wave, rate, backend=backend)
    kept = _kept(spans, rows.shape[1], rate, keep_seconds, shortest_pause)
    if kept in ([], [(0, rows.shape[1])]):
        return wave
    fade = round(FADE_SECONDS * rate)
    made = rows[:, slice(*kept[0])].clone()
    for a, b in kept[1:]:
        made = _faded(made, rows[:, a:b], fade)
    count = rows.shape[1]
    if kept[0][0] > 0:
        made[:, :fade] *= torch.linspace(0, 1, fade)[: made.shape[1]]
    if kept[-1][1] < count:
        made[:, -fade:] *= torch.linspace(1, 0, fade)[-made.shape[1] :]
    return made.reshape(*wave.shape[:-1], -1).to(wave)


def _kept(
    spans: list[tuple[int, int]], count: int, rate: int, keep: float, shortest: float
) -> list[tuple[int, int]]:
    """Stretches of a clip that stay: speech, and of each longer pause its two ends."""
    if not spans:
        return []
    half, least = round(keep * rate / 2), max(round(shortest * rate), 2 * round(keep * rate / 2))
    fade = round(FADE_SECONDS * rate)
    first = spans[0][0] - half if spans[0][0] > max(least, half) else 0
    kept = []
    for (_, end), (begin, _) in pairwise(spans):
        # the fade is inside both ends, so that keep_seconds is what is left
        if begin - end > max(least, 2 * half + fade):
            kept.append((first, end + half + fade // 2))
            first = begin - half - (fade - fade // 2)
    rest = count - spans[-1][1]
    kept.append((first, spans[-1][1] + half if rest > max(least, half) else count))
    return [(max(0, a), min(count, b)) for a, b in kept]


def _faded(first: Tensor, second: Tensor, fade: int) -> Tensor:
    """(C, A) and (C, B) joined with an overlap of `fade` samples at constant power."""
    fade = min(fade, first.shape[1], second.shape[1])
    angle = (torch.arange(fade) + 0.5) / fade * (torch.pi / 2)
    middle = first[:, first.shape[1] - fade :] * angle.cos() + second[:, :fade] * angle.sin()
    return torch.cat((first[:, : first.shape[1] - fade], middle, second[:, fade:]), dim=1)


def _by_level(rows: np.ndarray, rate: int) -> list[tuple[int, int]]:
    count = rows.shape[1]
    size, hop = max(round(FRAME_SECONDS * rate), 1), max(round(HOP_SECONDS * rate), 1)
    power = np.square(rows, dtype=np.float64).max(axis=0)
    total = np.concatenate([[0.0], np.cumsum(power)])
    begin = np.arange(0, max(count - size, 0) + 1, hop)
    end = np.minimum(begin + size, count)
    level = 10 * np.log10(np.maximum((total[end] - total[begin]) / (end - begin), 1e-12))
    loud = float(np.quantile(level, 0.98))
    quiet = max(float(np.quantile(level, 0.05)), loud - RANGE_DB)
    span = loud - quiet
    if loud <= -100:
        return []
    if span < LEAST_SPAN_DB:
        return [(0, count)]
    starts = level > quiet + min(BEGIN_SHARE * span, BEGIN_DB)
    lasts = level > quiet + min(END_SHARE * span, END_DB)
    # a run above the lower threshold counts where it once reaches the higher one
    return [(int(begin[a]), int(end[b - 1])) for a, b in stretches(lasts) if starts[a:b].any()]


def _by_silero(rows: Tensor, rate: int) -> list[tuple[int, int]]:
    try:
        package: Any = importlib.import_module("silero_vad")
    except ImportError as error:
        raise ValueError(
            f"the backend silero needs {PACKAGE} ({shown(error)}). Run `{pip_line(PACKAGE)}`, or "
            "take the backend level."
        ) from error
    heard = resample(rows.mean(dim=0), rate, SILERO_HZ)
    found = package.get_speech_timestamps(
        heard, package.load_silero_vad(), sampling_rate=SILERO_HZ, speech_pad_ms=0
    )
    ratio = rate / SILERO_HZ
    return [
        (round(span["start"] * ratio), min(rows.shape[1], round(span["end"] * ratio)))
        for span in found
    ]
