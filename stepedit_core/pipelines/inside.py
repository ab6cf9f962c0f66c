"""New mel within a window of a recording becomes sound in the recording, and no more than that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..audio.clips import float_samples
from ..audio.mel import PROMPT_HOP
from ..audio.patches import Patch
from ..audio.recordings import Recording
from ..audio.resample import resample
from ..registry.handle import Bundle
from ..signal.moved import moved
from ..signal.splice import Piece, splice
from ..types import SAMPLE_RATE, Draws, Voice
from .difference import Along, Difference, can_move, whole_recording
from .own_sound import move_of
from .vocode import vocode

AROUND_S = 0.6
"""Seconds of the recording beside the window that the splice sees: it measures channels there."""
MARGIN_FRAMES = 15
"""Mel frames of the recording's own speech that a piece has on each side: 0.3 s."""
WARM_FRAMES = 10
"""Further frames, whose sound is thrown away: where the vocoder begins, or the recording's own wave
is taken apart."""
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
    more: float = 1.0
    """As of `Difference`."""


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
    begin = max(0, part.window_start - round(AROUND_S * rate))
    around = recording.samples[:, begin : part.window_end + round(AROUND_S * rate)]
    whole = _whole(voice, inside)
    if can_move(bundle, whole.along, voice):
        window = recording.part(part.window_start, part.window_end)
        piece = _own(bundle, window, whole, inside)
    else:
        piece = _vocoded(bundle, whole.mel, inside, rate, draws)
    spliced = splice(around, rate, _placed(piece, around, part.window_start - begin))
    return Patch(
        start=begin + spliced.first,
        stop=begin + around.shape[1] - (spliced.wave.shape[1] - spliced.end),
        samples=spliced.wave[:, spliced.first : spliced.end],
    )


class _Span(NamedTuple):
    """Which frames of a window with new mel become a piece."""

    first: int
    begin: int
    """Of the head."""
    stop: int
    """One past the tail."""
    last: int
    head: int
    tail: int


def _span(frames: int, inside: Inside) -> _Span:
    """Of a window with so many frames: the new mel, a margin on both sides, and some beside it."""
    end = inside.start + inside.mel.shape[1]
    head, tail = min(MARGIN_FRAMES, inside.start), min(MARGIN_FRAMES, frames - end)
    begin, stop = inside.start - head, end + tail
    first, last = max(0, begin - WARM_FRAMES), min(frames, stop + WARM_FRAMES)
    return _Span(first, begin, stop, last, head, tail)


def _own(bundle: Bundle, window: Recording, whole: Difference, inside: Inside) -> Piece:
    """The part's own samples, moved, in all channels."""
    rate, span = window.sample_rate, _span(whole.mel.shape[1], inside)
    assert whole.along is not None
    along = whole.along.cut(span.first, span.last)
    near = Difference(whole.mel[:, span.first : span.last], along, whole.more)
    channels = float_samples(window.samples).float()
    rows = torch.cat((window.clip().wave[None], channels))
    made = moved(rows, rate, move_of(bundle, near, rows[0], rate))
    first, stop = (round((k - span.first) * rate / MEL_HZ) for k in (span.begin, span.stop))
    made = made[:, first:stop]
    return _piece(made[0], rate, inside, span, made[1:])


def _vocoded(bundle: Bundle, mel: Tensor, inside: Inside, rate: int, draws: Draws) -> Piece:
    """The part's sound by the vocoder, at `rate` Hz."""
    span = _span(mel.shape[1], inside)
    clip = vocode(bundle, mel[:, span.first : span.last], draws=draws)
    first, stop = (PROMPT_HOP * (k - span.first) for k in (span.begin, span.stop))
    return _piece(resample(clip.wave[first:stop], SAMPLE_RATE, rate), rate, inside, span)


def _piece(
    wave: Tensor, rate: int, inside: Inside, span: _Span, channels: Tensor | None = None
) -> Piece:
    """A wave (M,) of head, new sound and tail; places count from the window's beginning."""
    start, end, head, tail = (
        round(frames * rate / MEL_HZ) for frames in (inside.start, inside.end, span.head, span.tail)
    )
    return Piece(wave=wave, start=start, end=end, head=head, tail=tail, channels=channels)


def _placed(piece: Piece, samples: Tensor, offset: int) -> Piece:
    """A piece whose window begins `offset` samples into samples (C, N)."""
    length, start = samples.shape[1], offset + piece.start
    return replace(
        piece,
        start=min(start, length - 1),
        end=min(max(start + 1, offset + piece.end), length),
        tail=min(piece.tail, len(piece.wave) - piece.head),
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
    known = torch.cat([part.known for part in parts])
    return Difference(mel, Along(source, frames, known), inside.more)
