"""Acoustic functionals of a wave, and a small classifier of them: the independent judge.

It hears waves, never tokens, and shares nothing with the models that are optimised: 16 kHz frames
of 25 ms every 10 ms give level, pitch (autocorrelation), voicing, centroid, slope, flatness and
bands; means, deviations, quantiles and changes of them over the clip are its functionals. In the
spirit of eGeMAPS (Eyben et al. 2016). What is judged is how they changed from the source to the
result, so whose voice it is does not matter; the classifier is a softmax regression, trained by
L-BFGS.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from ..audio.resample import resample
from ..files.reading import parse_object
from ..files.strict import Bounds, from_json, without_nan
from ..files.tensors import read_metadata, read_tensors
from ..files.whole import whole_file
from ..printable import shown
from ..types import Clip

RATE = 16_000
FRAME, HOP = 400, 160
LOW_HZ, HIGH_HZ = 60.0, 500.0
BANDS = 20
KIND = "stepedit-judge-1"
"""Value of the metadata key "kind" of a judge's file."""
NAMES = ("level", "pitch", "voicing", "centroid", "slope", "flatness")


def frames_of(clip: Clip) -> Tensor:
    """Tracks (F, 6 + BANDS) float32 at 100 Hz in the order of NAMES, then log bands.

    level in dB of the clip's loudest, pitch in semitones over 60 Hz (0 where unvoiced), voicing the
    autocorrelation peak 0..1, centroid and bands on a log scale, slope in dB an octave.
    """
    wave = resample(clip.wave.float(), clip.sample_rate, RATE)
    wave = wave / wave.abs().max().clamp(min=1e-6)
    if wave.shape[0] < FRAME:
        wave = torch.nn.functional.pad(wave, (0, FRAME - wave.shape[0]))
    cut = wave.unfold(0, FRAME, HOP)
    power = cut.square().mean(1).clamp(min=1e-10)
    level = 10 * power.log10()
    level = (level - level.max()).clamp(min=-60)
    window = torch.hann_window(FRAME, periodic=False)
    spectrum = torch.fft.rfft(cut * window, n=512).abs().square() + 1e-10
    hz = torch.arange(257) * (RATE / 512)
    share = spectrum / spectrum.sum(1, keepdim=True)
    centroid = (share @ hz).clamp(min=50).log2()
    octave = (hz[2:] / 50).log2()
    decibel = 10 * spectrum[:, 2:].log10()
    around = octave - octave.mean()
    slope = (decibel - decibel.mean(1, keepdim=True)) @ around / around.square().sum()
    flatness = spectrum.log().mean(1) - spectrum.mean(1).log()
    edges = torch.logspace(np.log2(80.0), np.log2(8000.0), BANDS + 1, base=2.0)
    bands = [
        share[:, (hz >= low) & (hz < max(high, low + 32))].sum(1) + 1e-6
        for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    pitch, voicing = _pitch(wave, cut.shape[0])
    voiced = (voicing > 0.5) & (level > -35)
    tracks = [level, torch.where(voiced, pitch, 0.0), voicing, centroid, slope, flatness]
    return torch.stack([*tracks, *(band.log() for band in bands)], dim=1)


def _pitch(wave: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Semitones over LOW_HZ (F,) and autocorrelation peak (F,), from frames of 50 ms."""
    size = 2 * FRAME
    padded = torch.nn.functional.pad(wave, (FRAME // 2, size))
    cut = padded.unfold(0, size, HOP)[:count]
    window = torch.hann_window(size, periodic=False)
    cut = (cut - cut.mean(1, keepdim=True)) * window
    corr = torch.fft.irfft(torch.fft.rfft(cut, n=2 * size).abs().square())[:, :size]
    own = torch.fft.irfft(torch.fft.rfft(window, n=2 * size).abs().square())[:size]
    corr = corr / corr[:, :1].clamp(min=1e-9) / (own / own[0]).clamp(min=1e-3)
    first, last = int(RATE / HIGH_HZ), int(RATE / LOW_HZ)
    area = corr[:, first : last + 1]
    peak = area.amax(1)
    # of peaks as good take the first: later ones are multiples of the period
    lag = (area >= 0.92 * peak[:, None]).to(torch.int8).argmax(1)
    climb = torch.arange(12)
    near = area.gather(1, (lag[:, None] + climb).clamp(max=area.shape[1] - 1))
    lag = lag + near.argmax(1) + first
    return 12 * (RATE / lag / LOW_HZ).log2(), peak.clamp(0, 1)


def functionals(clip: Clip) -> Tensor:
    """Statistics (D,) float32 of a clip's tracks, of its pauses and rate."""
    tracks = frames_of(clip)
    loud = tracks[:, 0] > -35
    speech = tracks[loud] if loud.any() else tracks
    voiced = speech[speech[:, 1] > 0, 1]
    if voiced.shape[0] < 5:
        voiced = torch.zeros(5)
    steps = voiced.diff().abs()
    quantiles = torch.tensor([0.1, 0.5, 0.9])
    parts = [
        voiced.mean()[None],
        voiced.std()[None],
        torch.quantile(voiced, quantiles),
        steps.clamp(max=6).mean()[None],
        (speech[:, 1] > 0).float().mean()[None],
        loud.float().mean()[None],
        speech.mean(0)[[0, 2, 3, 4, 5]],
        speech.std(0)[[0, 2, 3, 4, 5]],
        speech[:, len(NAMES) :].mean(0),
        speech[:, len(NAMES) :].std(0),
        _rate(tracks[:, 0])[None],
    ]
    return torch.nan_to_num(torch.cat(parts).float())


def changes(source: Clip, result: Clip) -> Tensor:
    """Features (D,) float32 of an edit: functionals of the result less those of the source."""
    return functionals(result) - functionals(source)


def _rate(level: Tensor) -> Tensor:
    """Level peaks a second, an estimate of the syllables.

    A peak is the largest within 50 ms and rises 2 dB over the lowest within 100 ms.
    """
    if level.shape[0] < 30:
        return torch.zeros(())
    smooth = torch.nn.functional.avg_pool1d(level[None, None], 9, 1, 4)[0, 0]
    around = torch.nn.functional.max_pool1d(smooth[None, None], 11, 1, 5)[0, 0]
    lowest = -torch.nn.functional.max_pool1d(-smooth[None, None], 21, 1, 10)[0, 0]
    peaks = (smooth == around) & (smooth - lowest > 2) & (smooth > -25)
    return peaks.sum() / (level.shape[0] / 100)


@dataclass(frozen=True)
class AcousticJudge:
    """Softmax regression on standardised changes of functionals."""

    labels: tuple[str, ...]
    mean: Tensor
    """(D,) float32."""
    scale: Tensor
    """(D,) float32."""
    weight: Tensor
    """(labels, D + 1) float32, the bias last."""
    accuracy: float
    """On the held-out clips of its training; nan where there were none."""
    elsewhere: Mapping[str, float] = field(default_factory=dict)
    """Name of other material it was tried on -> accuracy there."""

    def probabilities(self, features: Tensor) -> Tensor:
        """(N, labels) of features (N, D)."""
        x = (features - self.mean) / self.scale
        x = torch.cat([x, torch.ones(x.shape[0], 1)], dim=1)
        return torch.softmax(x @ self.weight.T, dim=1)

    def label(self, source: Clip, result: Clip) -> str:
        """The most likely label of what became of the source."""
        return self.labels[int(self.probabilities(changes(source, result)[None]).argmax())]

    def accuracy_on(self, features: Tensor, labels: Sequence[str]) -> float:
        """Mean over the classes of N labels of the share that is heard right, features (N, D)."""
        found = self.probabilities(features).argmax(1).tolist()
        right: dict[str, list[bool]] = defaultdict(list)
        for k, label in zip(found, labels, strict=True):
            right[label].append(self.labels[k] == label)
        return sum(sum(hits) / len(hits) for hits in right.values()) / len(right)

    def score(self, source: Clip, result: Clip, label: str) -> float:
        """1.0 where the result is heard as the label: the judge as a function of two clips."""
        return float(self.label(source, result) == label)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file that appears whole or not at all."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        about = {
            "labels": list(self.labels),
            "accuracy": self.accuracy,
            "elsewhere": dict(self.elsewhere),
        }
        tensors = {"mean": self.mean, "scale": self.scale, "weight": self.weight}
        with whole_file(target, size=sum(t.nbytes for t in tensors.values())) as part:
            save_file(
                tensors,
                part,
                metadata={"kind": KIND, "about": json.dumps(without_nan(about), allow_nan=False)},
            )


def is_judge(path: Path) -> bool:
    """Whether a file has a judge that was saved."""
    try:
        return read_metadata(path, "").get("kind") == KIND
    except (OSError, ValueError):
        return False


def load_judge(path: str | Path) -> AcousticJudge:
    """A judge that was saved; ValueError for any other file."""
    source = Path(path)
    if not source.is_file():
        raise ValueError(
            f"there is no judge '{shown(source.name)}'. Train one with `stepedit evaluate judge`."
        )
    remedy = "Choose another file, or train the judge again."
    raw = read_metadata(source, remedy)
    if raw.get("kind") != KIND:
        raise ValueError(
            f"'{shown(source.name)}' has no judge; expected is a file of `stepedit evaluate "
            f"judge`. {remedy}"
        )
    where = f"the description in '{shown(source.name)}'"
    # a judge without held-out clips was written with the accuracy NaN until 2026-11
    text = raw.get("about", "").replace('"accuracy": NaN', '"accuracy": null')
    about = from_json(_About, parse_object(text, where, remedy), where, remedy)
    tensors = read_tensors(source, ("mean", "scale", "weight"), remedy).tensors
    width = tensors["mean"].shape[0] if tensors["mean"].ndim == 1 else 0
    shapes = {"mean": (width,), "scale": (width,), "weight": (len(about.labels), width + 1)}
    wrong = [n for n, shape in shapes.items() if tensors[n].shape != shape or not width]
    wrong += [n for n in shapes if tensors[n].dtype != torch.float32]
    if wrong or len(set(about.labels)) < max(2, len(about.labels)):
        raise ValueError(
            f"'{shown(source.name)}' has {shown(wrong[0] if wrong else 'labels')} that do not fit "
            f"the rest. {remedy}"
        )
    if not bool((tensors["scale"] > 0).all()):
        raise ValueError(f"'{shown(source.name)}' has scales that are not above 0. {remedy}")
    accuracy = float("nan") if about.accuracy is None else about.accuracy
    return AcousticJudge(about.labels, **tensors, accuracy=accuracy, elsewhere=about.elsewhere)


@dataclass(frozen=True, kw_only=True)
class _About:
    """What the file of a judge says of it."""

    BOUNDS: ClassVar[Bounds] = {"accuracy": (0, 1), "elsewhere": (0, 1)}
    labels: tuple[str, ...]
    accuracy: float | None
    elsewhere: dict[str, float]


def train_judge(
    features: Tensor, labels: Sequence[str], held_out: Sequence[bool], *, decay: float = 1e-2
) -> AcousticJudge:
    """A judge of features (N, D) with N labels; its accuracy is that on the held-out rows.

    Classes weigh equally, however many clips they have. Raises ValueError for fewer than two labels
    among the rows that are learnt.
    """
    out = torch.tensor(list(held_out), dtype=torch.bool)
    names = tuple(sorted({n for n, held in zip(labels, held_out, strict=True) if not held}))
    if len(names) < 2:
        raise ValueError(
            f"the judge has {len(names)} labels to tell apart; two or more are needed. Give clips "
            "of several classes."
        )
    index = torch.tensor([names.index(n) if n in names else -1 for n in labels])
    known, x = ~out, features
    mean, scale = x[known].mean(0), x[known].std(0, unbiased=False).clamp(min=1e-4)
    x = torch.cat([(x - mean) / scale, torch.ones(x.shape[0], 1)], dim=1)
    counts = torch.bincount(index[known], minlength=len(names)).clamp(min=1)
    share = (1.0 / counts)[index[known]] / len(names)
    weight = torch.zeros(len(names), x.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        log_p = torch.log_softmax(x[known] @ weight.T, dim=1)
        found = log_p.gather(1, index[known][:, None])[:, 0]
        loss = -(share * found).sum() + decay * weight[:, :-1].square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        right = (x[out] @ weight.T).argmax(1) == index[out]
    accuracy = float(right.double().mean()) if out.any() else float("nan")
    return AcousticJudge(names, mean, scale, weight.detach(), accuracy)
