"""Non-verbal sounds, heard in windows of half a second: the independent judge of `sounds`.

A softmax regression on the tracks of functionals.py, averaged over thirds of a window, tells speech
and the sounds apart. What the result has and the source has not is what was inserted: 3 where it
is the sound of the label, 2 where it is another, 1 where nothing is new, the report's scale
(arXiv:2511.03601).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..types import Clip
from .functionals import AcousticJudge, frames_of, load_judge, train_judge

WINDOW, STRIDE = 48, 6
"""Frames of 10 ms."""
SPEECH = "speech"
"""Label of windows without a sound."""
NEW = 0.5
"""Least rise of a sound's probability, from source to result, that counts as inserted."""


def windows(clip: Clip) -> Tensor:
    """Features (W, 3 D) float32 of W windows; a clip shorter than one is repeated."""
    tracks = frames_of(clip)
    while tracks.shape[0] < WINDOW:
        tracks = torch.cat([tracks, tracks])
    cut = tracks.unfold(0, WINDOW, STRIDE)  # (W, D, WINDOW)
    thirds = cut.reshape(*cut.shape[:2], 3, WINDOW // 3).mean(3)
    return thirds.transpose(1, 2).reshape(cut.shape[0], -1)


@dataclass(frozen=True)
class SoundJudge:
    """What became of a clip, as a score of 1 to 3."""

    judge: AcousticJudge
    """Of windows."""

    def heard(self, clip: Clip) -> Tensor:
        """(labels,) highest probability of each label in any window."""
        return self.judge.probabilities(windows(clip)).amax(0)

    def score(self, source: Clip, result: Clip, label: str) -> float:
        """3.0 the sound of `label` is new, 2.0 another sound is, 1.0 none is."""
        labels = self.judge.labels
        new = self.heard(result) - self.heard(source)
        if SPEECH in labels:
            new[labels.index(SPEECH)] = 0.0
        if float(new.max()) < NEW:
            return 1.0
        return 3.0 if labels[int(new.argmax())] == label else 2.0


def labelled_windows(clip: Clip, label: str, start: float, end: float) -> tuple[Tensor, list[str]]:
    """Windows of a clip and their labels: `label` around the middle of its span in seconds.

    Windows that touch the span elsewhere are left out.
    """
    found = windows(clip)
    left = torch.arange(found.shape[0]) * STRIDE / 100
    centre = left + WINDOW / 200
    inside = (centre - (start + end) / 2).abs() <= STRIDE / 100
    outside = (left + WINDOW / 100 <= start) | (left >= end)
    names = [label] * int(inside.sum()) + [SPEECH] * int(outside.sum())
    return torch.cat([found[inside], found[outside]]), names


def train_sound_judge(
    clips: Sequence[tuple[Clip, str, float, float]], held_out: Sequence[bool]
) -> SoundJudge:
    """A judge of (clip, label, start, end) in seconds; its accuracy is that of held-out windows."""
    features, labels, out = [], [], []
    for (clip, label, start, end), held in zip(clips, held_out, strict=True):
        found, names = labelled_windows(clip, label, start, end)
        features.append(found)
        labels += names
        out += [held] * len(names)
    return SoundJudge(train_judge(torch.cat(features), labels, out, decay=1e-4))


def load_sound_judge(path: str | Path) -> SoundJudge:
    """A judge that was saved; ValueError for any other file."""
    return SoundJudge(load_judge(path))
