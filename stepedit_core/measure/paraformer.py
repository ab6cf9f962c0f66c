"""The recogniser of the released model: the whole Paraformer as a word timeline.

Times: the streaming model's predictor fires about 1.5 frames of 60 ms after a unit begins, so a
unit lasts from its fire to the next one, both 1.5 frames earlier (as FunASR reads it,
arXiv:2301.12343). Where two fires are far apart the rest is silence. Borders then move to the
quietest place within 60 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import exp, log

import torch
from torch import Tensor

from ..audio.fbank import INT16_SCALE, RATE, kaldi_fbank, stack_frames
from ..audio.resample import resample
from ..models.cancel import cancellable
from ..models.linguistic import LinguisticTokenizer
from ..models.paraformer import FRAME_SECONDS, Paraformer
from ..text.units import word_groups
from ..types import Clip, Hooks, SilentHooks
from .pieces import quiet_pieces
from .timeline import Word, fit_transcript, snap_borders

STAGE = "hear"
SHIFT_FRAMES = -1.5
"""From a unit's fire to where it begins."""
SHORTEST_FRAMES = 0.25
"""Least time between two units, where the shift would put them before the clip."""
LONGEST_FRAMES = 12
"""Longest unit, 0.72 s; what is left before the next fire is silence."""


@dataclass(frozen=True)
class ParaformerRecogniser:
    """A `Recogniser` of the linguistic tokenizer's encoder and the released decoder."""

    tokenizer: LinguisticTokenizer
    model: Paraformer
    units: tuple[str, ...]
    """Text of each unit, by id."""
    hooks: Hooks = field(default_factory=SilentHooks)

    def __post_init__(self) -> None:
        """Check that the three belong together."""
        config, width = self.model.config, self.tokenizer.config.d_model
        if len(self.units) != config.units or width != config.d_model:
            raise ValueError(
                f"the recogniser has {config.units} units of width {config.d_model}; its list has "
                f"{len(self.units)} and its encoder the width {width}. Use the parts of one bundle."
            )

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        """The words of a clip of any length; empty where nothing is said."""
        wave = resample(clip.wave, clip.sample_rate, RATE)
        words: list[Word] = []
        for first, end in quiet_pieces(wave, RATE):
            offset = first / RATE
            for word in self._piece(wave[first:end]):
                words.append(replace(word, start=word.start + offset, end=word.end + offset))
            self.hooks.progress(STAGE, end, len(wave))
        return snap_borders(words, Clip(wave=wave, sample_rate=RATE))

    def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
        """The words of the transcript at the times where they, or others for them, were heard."""
        return fit_transcript(self.transcribe(clip), transcript, clip.seconds)

    @torch.no_grad()
    def _piece(self, wave: Tensor) -> list[Word]:
        """Words of a wave (N,) at 16 kHz, borders as they fired."""
        features = stack_frames(kaldi_fbank(wave, window="hamming", scale=INT16_SCALE))
        if not len(features):
            return []
        with cancellable(self.tokenizer, self.hooks), cancellable(self.model, self.hooks):
            hidden = self.tokenizer.whole(features[None].to(self.tokenizer.codebook))
            # a host may have moved the encoder alone to its accelerator
            decoded = self.model.decode(hidden.to(next(self.model.parameters()).device))
        spans = unit_spans(decoded.frames[0].tolist(), len(features))
        ids, sure = decoded.ids[0].tolist(), decoded.confidence[0].tolist()
        return join_words([self.units[i] for i in ids], spans, sure)


def unit_spans(fires: Sequence[int], frames: int) -> list[tuple[float, float]]:
    """Start and end in seconds of each unit, by the frames in which they fire.

    `frames` is the clip's length: no unit leaves it. The last unit ends with the clip.
    """
    begins: list[float] = []
    for fire in fires:
        earliest = begins[-1] + SHORTEST_FRAMES if begins else 0.0
        begins.append(max(fire + SHIFT_FRAMES, earliest))
    spans = []
    for begin, after in zip(begins, [*begins[1:], float(frames)], strict=True):
        end = min(after, begin + LONGEST_FRAMES)
        spans.append((begin * FRAME_SECONDS, end * FRAME_SECONDS))
    return spans


def join_words(
    units: Sequence[str], spans: Sequence[tuple[float, float]], confidence: Sequence[float]
) -> list[Word]:
    """Words of units with their spans and confidence; a word's is their geometric mean."""
    words = []
    for text, places in word_groups(units):
        mean = sum(log(max(confidence[place], 1e-30)) for place in places) / len(places)
        start, end = spans[places[0]][0], spans[places[-1]][1]
        words.append(Word(text, start, end, min(1.0, exp(mean))))
    return words
