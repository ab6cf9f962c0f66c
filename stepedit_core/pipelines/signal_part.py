"""A part of a recording at another speed or whispered: its own samples, and no model's sound.

All channels are changed alike at the recording's own rate. A stretched sound begins and ends as the
sound itself does, and a whisper is in step with it, so the fades at both borders lie inside of the
part.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..audio.clips import float_samples, samples_as
from ..audio.patches import Patch
from ..audio.recordings import Recording
from ..signal.splice import FADE_S
from ..text.engines import FIT, whispers
from ..types import Draws, EditRequest, Round
from .inside import Part
from .signal_edit import changed


def of_own_samples(rounds: Sequence[Round]) -> bool:
    """Whether each of the rounds is another speed or a whisper by signal processing.

    `fit to seconds` is not: it is the length of a whole clip, not of a part.
    """
    requests = [made.request for made in rounds if made.by_signal and made.request is not None]
    kept = [r for r in requests if whispers(r) or (r.kind == "speed" and r.option != FIT)]
    return bool(rounds) and len(kept) == len(rounds)


def changed_part(
    recording: Recording, part: Part, requests: Sequence[tuple[EditRequest, Draws]]
) -> Patch:
    """The part's own samples after what the requests ask for, one after the other."""
    rate, old = recording.sample_rate, recording.samples[:, part.start : part.end]
    before = float_samples(old)
    wave = before
    for request, draws in requests:
        wave = changed(wave, rate, request, draws)
    made, before = wave.double(), before.double()
    fade = min(round(FADE_S * rate), made.shape[1] // 4, before.shape[1] // 4)
    up = (torch.arange(fade, dtype=torch.float64) + 1) / (fade + 1)
    if fade and part.start > 0:
        made[:, :fade] = up * made[:, :fade] + (1 - up) * before[:, :fade]
    if fade and part.end < recording.length:
        made[:, -fade:] = up.flip(0) * made[:, -fade:] + (1 - up.flip(0)) * before[:, -fade:]
    return Patch(start=part.start, stop=part.end, samples=samples_as(made, old.dtype))
