"""Speech that the silence trim would cut: quieter than the loudest frame, but not silence.

The release cuts whatever lies 20 dB under the loudest frame at either end (`trim.py`), so a last
word that fades out, or all words beside one loud click, would be lost without a word. Here a quiet
stretch counts as speech where it is well above the clip's own floor and has a pitch; in a clip that
has none at all, a whisper, where it is well above the floor for long enough.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .trim import LEAD_IN, TAIL, speech_bounds

RATE = 16_000
FRAME, HOP = 640, 160
"""40 ms every 10 ms."""
LOW_HZ, HIGH_HZ = 70, 450
"""Pitch of speech; what is below is rumble and does not count."""
VOICED = 0.6
"""Least normalised autocorrelation of a frame with a pitch, 0..1."""
FLOOR_SHARE = 0.01
"""The floor is the level that this share of the frames stays under."""
LOWEST_DB = -80.0
"""Below it is digital silence, whatever is above."""
ABOVE_DB = 12.0
"""Least level over the floor of a frame of speech."""
SHORTEST_VOICED = 6
"""Frames in a row: 60 ms of pitch make a stretch speech."""
SHORTEST_WHISPER = 20
"""Frames in a row of a stretch in a clip without any pitch: 200 ms."""
SHORTEST_LOST = 1_600
"""Samples, 100 ms: less than that the release's margins may cut, as they always did."""


def wide_bounds(wave: Tensor) -> tuple[int, int, float]:
    """First sample and last + 1 of the speech in wave (N,) at 16 kHz, and seconds that were saved.

    They are those of the release, `speech_bounds`, but where 100 ms or more of quiet speech lie
    outside of what these keep; then they reach over it. The wave is normalised as for trimming.
    """
    first, last = speech_bounds(wave)
    speech = quiet_speech(wave)
    if speech is None:
        return first, last, 0.0
    before, after = first - LEAD_IN - speech[0], speech[1] - (last + TAIL)
    lost = [samples for samples in (before, after) if samples >= SHORTEST_LOST]
    if before >= SHORTEST_LOST:
        first = speech[0]
    if after >= SHORTEST_LOST:
        last = speech[1]
    return first, last, sum(lost) / RATE


def quiet_speech(wave: Tensor) -> tuple[int, int] | None:
    """First sample and last + 1 of everything in wave (N,) at 16 kHz that sounds like speech.

    None where nothing does.
    """
    if wave.shape[0] < FRAME:
        return None
    frames = wave.float().unfold(0, FRAME, HOP)
    frames = frames - frames.mean(dim=1, keepdim=True)
    power = frames.double().square().mean(1).clamp(min=1e-12)
    level = 10 * torch.log10(power)
    floor = max(float(level.quantile(FLOOR_SHARE)), LOWEST_DB)
    above = level > floor + ABOVE_DB
    voiced = above & (periodicity(frames) > VOICED)
    runs = runs_of(above)
    if bool(voiced.any()):
        speech = [(a, b) for a, b in runs if _longest(voiced[a:b]) >= SHORTEST_VOICED]
    else:
        speech = [(a, b) for a, b in runs if b - a >= SHORTEST_WHISPER]
    if not speech:
        return None
    return speech[0][0] * HOP, min(wave.shape[0], (speech[-1][1] - 1) * HOP + FRAME)


def periodicity(frames: Tensor) -> Tensor:
    """Highest autocorrelation (B,) of frames (B, FRAME) at a lag of a voice's pitch, 0..1."""
    window = torch.hann_window(FRAME)
    size = 2 * FRAME
    spectrum = torch.fft.rfft(frames * window, n=size).abs().square()
    spectrum[:, : LOW_HZ * size // RATE] = 0
    same = torch.fft.irfft(spectrum)[:, :FRAME]
    shape = torch.fft.irfft(torch.fft.rfft(window, n=size).abs().square())[:FRAME]
    same = same / same[:, :1].clamp(min=1e-12) / (shape / shape[0]).clamp(min=1e-3)
    highest: Tensor = same[:, RATE // HIGH_HZ : RATE // LOW_HZ + 1].amax(dim=1)
    return highest


def runs_of(flags: Tensor) -> list[tuple[int, int]]:
    """First and one-past-last index of every run of True in flags (N,)."""
    ends = torch.nn.functional.pad(flags.to(torch.int8), (1, 1)).diff()
    firsts, lasts = torch.nonzero(ends == 1)[:, 0], torch.nonzero(ends == -1)[:, 0]
    return [(int(a), int(b)) for a, b in zip(firsts, lasts, strict=True)]


def _longest(flags: Tensor) -> int:
    """Length of the longest run of True."""
    return max((b - a for a, b in runs_of(flags)), default=0)
