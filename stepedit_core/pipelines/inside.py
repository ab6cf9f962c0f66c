"""New mel within a window of a recording becomes sound in the recording, and no more than that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..audio.mel import PROMPT_HOP
from ..audio.patches import Patch
from ..audio.recordings import Recording
from ..audio.resample import resample
from ..registry.handle import Bundle
from ..signal.splice import Piece, splice
from ..types import SAMPLE_RATE, Draws, Voice
from .difference import Along, Difference, whole_recording
from .own_sound import sound_of

AROUND_S = 0.6
"""Seconds of the recording beside the window that the splice sees: it measures channels there."""
MARGIN_FRAMES = 15
"""Mel frames of the recording's own speech that are vocoded on each side: 0.3 s."""
WARM_FRAMES = 10
"""Further frames, whose sound is thrown away: the vocoder's beginning."""
MEL_HZ = SAMPLE_RATE / PROMPT_HOP
"""Frames of a mel in a second."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a recording and the window around it, in samples of the recording."""

    start: int
    end: int
    """One past the last sample."""
    window_start: int
    window_end: int

    @property
    def start_end(self) -> tuple[int, int]:
        """First sample, and one past the last."""
        return self.start, self.end


@dataclass(frozen=True)
class Inside:
    """New mel for frames start to end of a window's mel."""

    mel: Tensor
    """(80, f)."""
    start: int
    end: int
    along: Along | None = None
    """The recording under these f frames; None where they are new."""


def put_in(
    bundle: Bundle,
    recording: Recording,
    part: Part,
    voice: Voice,
    inside: Inside,
    *,
    draws: Draws,
) -> Patch:
    """The sound of new mel in the place of start to end of the mel of the window's voice."""
    rate = recording.sample_rate
    piece = _piece(bundle, voice, inside, draws)
    begin = max(0, part.window_start - round(AROUND_S * rate))
    around = recording.samples[:, begin : part.window_end + round(AROUND_S * rate)]
    spliced = splice(around, rate, at_rate(piece, rate, around, part.window_start - begin))
    return Patch(
        start=begin + spliced.first,
        stop=begin + around.shape[1] - (spliced.wave.shape[1] - spliced.end),
        samples=spliced.wave[:, spliced.first : spliced.end],
    )


def _piece(bundle: Bundle, voice: Voice, inside: Inside, draws: Draws) -> Piece:
    """The part's sound at 24 kHz with its margins; places count from the window's beginning."""
    mel, along = _whole(voice, inside)
    stop = inside.start + inside.mel.shape[1]
    head = min(MARGIN_FRAMES, inside.start)
    tail = min(MARGIN_FRAMES, mel.shape[1] - stop)
    first = max(0, inside.start - head - WARM_FRAMES)
    last = min(stop + tail + WARM_FRAMES, mel.shape[1])
    near = Difference(mel[:, first:last], None if along is None else along.cut(first, last))
    clip = sound_of(bundle, near, voice, draws=draws)
    begin, end = inside.start - head - first, stop + tail - first
    return Piece(
        wave=clip.wave[PROMPT_HOP * begin : PROMPT_HOP * end],
        start=PROMPT_HOP * inside.start,
        end=PROMPT_HOP * inside.end,
        head=PROMPT_HOP * head,
        tail=PROMPT_HOP * tail,
    )


def _whole(voice: Voice, inside: Inside) -> Difference:
    """The whole window with the new mel in it."""
    start, end, own = inside.start, inside.end, whole_recording(voice)
    mel = torch.cat((voice.mel[:, :start], inside.mel, voice.mel[:, end:]), dim=1)
    if inside.along is None:
        return Difference(mel, None)
    parts = own.cut(0, start), inside.along, own.cut(end, own.source.shape[1])
    source = torch.cat([part.source for part in parts], dim=1)
    frames = np.concatenate([part.frames for part in parts])
    return Difference(mel, Along(source, frames, torch.cat([part.known for part in parts])))


def at_rate(piece: Piece, rate: int, samples: Tensor, offset: int) -> Piece:
    """A piece at 24 kHz at `rate` Hz, its window `offset` samples into samples (C, N)."""
    length = samples.shape[1]
    wave = resample(piece.wave, SAMPLE_RATE, rate)
    scale = rate / SAMPLE_RATE
    start = offset + round(piece.start * scale)
    return Piece(
        wave=wave,
        start=min(start, length - 1),
        end=min(max(start + 1, offset + round(piece.end * scale)), length),
        head=round(piece.head * scale),
        tail=min(round(piece.tail * scale), len(wave) - round(piece.head * scale)),
    )
