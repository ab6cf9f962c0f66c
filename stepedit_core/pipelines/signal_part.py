"""A part of a recording at another speed: its own samples, stretched, and no model's sound.

All channels are stretched alike at the recording's own rate. A stretched sound begins and ends as
the sound itself does, so the fades at both borders lie inside of the part.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..audio.clips import float_samples, samples_as
from ..audio.patches import Patch
from ..audio.recordings import Recording
from ..signal.splice import FADE_S
from ..text.engines import FIT
from ..types import EditRequest, Round
from .inside import Part
from .signal_edit import changed


def only_speed(rounds: Sequence[Round]) -> bool:
    """Whether each of the rounds is another speed by signal processing.

    `fit to seconds` is not: it is the length of a whole clip, not of a part.
    """
    requests = [made.request for made in rounds if made.by_signal and made.request is not None]
    speeds = [r for r in requests if r.kind == "speed" and r.option != FIT]
    return bool(rounds) and len(speeds) == len(rounds)


def stretched(recording: Recording, part: Part, requests: Sequence[EditRequest]) -> Patch:
    """The part's own samples at the speed that the requests ask for, one after the other."""
    rate, old = recording.sample_rate, recording.samples[:, part.start : part.end]
    before = float_samples(old)
    wave = before
    for request in requests:
        wave = changed(wave, rate, request)
    made, before = wave.double(), before.double()
    fade = min(round(FADE_S * rate), made.shape[1] // 4, before.shape[1] // 4)
    up = (torch.arange(fade, dtype=torch.float64) + 1) / (fade + 1)
    if fade and part.start > 0:
        made[:, :fade] = up * made[:, :fade] + (1 - up) * before[:, :fade]
    if fade and part.end < recording.length:
        made[:, -fade:] = up.flip(0) * made[:, -fade:] + (1 - up.flip(0)) * before[:, -fade:]
    return Patch(start=part.start, stop=part.end, samples=samples_as(made, old.dtype))
