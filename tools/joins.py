"""Are joins heard? The largest step and the change of spectrum at a join, beside the clip's own.

Removals of random words and edits of random phrases in recordings. A window of 20 ms around the
middle of each fade is measured in the result; the bar is the 99th percentile of all such windows of
the input without the part. A step is between neighbouring samples; the change of spectrum is the
largest between frames of 20 ms that lie 10 ms apart, in mel bands of the logarithm.

    python -m tools.joins --clips FOLDER --heard heard.json --cuts 140 --edits 30 --out joins.jsonl

`heard.json` is what tools/removal.py kept: the words of the clips.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

import stepedit_core as stepedit
from stepedit_core.audio.patches import Patch
from stepedit_core.audio.recordings import Recording, read_recording
from stepedit_core.measure.timeline import words_between
from stepedit_core.pipelines.range_edit import edit_range, part_of
from stepedit_core.pipelines.remove_words import Removal, remove_words
from stepedit_core.signal.cut import LONG_FADE_S
from stepedit_core.signal.splice import FADE_S
from stepedit_core.types import Decoding, EditRequest
from tools.removal import Remembered, chosen

WINDOW_S = 0.02
SHARE = 0.99


@dataclass(frozen=True)
class Heard:
    """What is measured around places of a wave: (n,) each."""

    step: np.ndarray
    change: np.ndarray


def main() -> None:
    """Measure all joins, print how many lie above the bar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--heard", type=Path, required=True)
    parser.add_argument("--cuts", type=int, default=140)
    parser.add_argument("--edits", type=int, default=30)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for kind, source, made, patches in chain(cuts(args), edits(args)):
        rows += [{"kind": kind, **row} for row in judged(source, made, patches)]
        print(kind, rows[-1], flush=True)
        args.out.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    for kind in ("cut", "edit"):
        for what in ("step", "change"):
            over = [row[what] for row in rows if row["kind"] == kind]
            if over:
                print(
                    f"{kind} {what}: {sum(v <= 1 for v in over)} of {len(over)} joins under the "
                    f"bar, median {np.median(over):.2f}, most {max(over):.2f} of it"
                )


Case = tuple[str, Recording, Recording, tuple[Patch, ...]]


def cases(args: argparse.Namespace, count: int, words: int) -> Iterator[tuple[int, Any]]:
    """Clips in turn, each with its words and a phrase of up to `words` words inside."""
    nobody: Any = None
    ears = Remembered(nobody, args.heard)
    clips = [read_recording(path) for path in chosen(args.clips, 24, 0)]
    clips = [clip for clip in clips if ears.knows(clip.clip())]
    for number in range(count):
        clip = clips[number % len(clips)]
        said = ears.words(clip)
        draw = np.random.default_rng(number)
        length = int(draw.integers(1, words + 1))
        first = int(draw.integers(1, len(said) - length))
        yield number, (clip, said, first, first + length)


def cuts(args: argparse.Namespace) -> Iterator[Case]:
    """One to three random words taken out of a clip."""
    for _, (clip, said, first, last) in cases(args, args.cuts, 3):
        which = Removal(spans=((said[first].start, said[last - 1].end),))
        made = remove_words(clip, said, which)
        yield "cut", clip, made.recording, made.patches


def edits(args: argparse.Namespace) -> Iterator[Case]:
    """Two to four random words made happy or sad by nano."""
    if not args.edits:
        return
    model = stepedit.load("nano", device="cpu")
    settings = {"decoding": Decoding(way="difference"), "rounds": 1}
    for number, (clip, said, first, last) in cases(args, args.edits, 4):
        start, end = said[first].start, said[last - 1].end
        rate = clip.sample_rate
        try:
            part = part_of(clip, start, max(end, start + 0.3))
            text = words_between(said, part.window_start / rate, part.window_end / rate)
            option = ("happy", "sad")[number % 2]
            request = EditRequest(kind="emotion", option=option, text=text)
            made = edit_range(model, clip, part, [request], settings={**settings, "seed": number})
        except ValueError as error:
            print("not put in:", error)
            continue
        grown = made.recording.samples.shape[1] - clip.samples.shape[1]
        patch = Patch(
            start=made.first,
            stop=made.end - grown,
            samples=made.recording.samples[:, made.first : made.end],
        )
        if patch.samples.shape[1]:
            yield "edit", clip, made.recording, (patch,)


def judged(
    source: Recording, made: Recording, patches: tuple[Patch, ...]
) -> Iterator[dict[str, float]]:
    """Each join of a result over the bar of its clip: at most 1 is under it."""
    rate, shift = source.sample_rate, 0
    old, new = (r.clip().wave.double().numpy() for r in (source, made))
    everywhere = np.arange(0, len(old), round(WINDOW_S * rate / 2))
    inside = [(everywhere >= p.start) & (everywhere < p.stop) for p in patches]
    bar = around(old, rate, everywhere[~np.any(inside, axis=0)])
    limits = np.quantile(bar.step, SHARE), np.quantile(bar.change, SHARE)
    half, longest = round(FADE_S * rate / 2), round(LONG_FADE_S * rate) + 1
    for patch in patches:
        first, end = patch.start + shift, patch.start + shift + patch.samples.shape[1]
        short = end - first <= longest  # one fade and nothing else
        joins = [(first + end) // 2] if short else [first + half, end - half]
        found = around(new, rate, np.array([j for j in joins if half < j < len(new) - half]))
        for step, change in zip(found.step, found.change, strict=True):
            yield {
                "step": round(float(step / limits[0]), 3),
                "change": round(float(change / limits[1]), 3),
            }
        shift += patch.samples.shape[1] - (patch.stop - patch.start)


def around(wave: np.ndarray, rate: int, places: np.ndarray) -> Heard:
    """The largest step and change of spectrum within 20 ms around places of a wave (N,)."""
    size, hop = round(WINDOW_S * rate), round(WINDOW_S * rate / 2)
    more = np.pad(wave, (2 * size, 2 * size))
    steps, changes = [], []
    for place in places + 2 * size:
        steps.append(np.abs(np.diff(more[place - hop : place + hop + 1])).max())
        frames = [
            more[at - hop : at + hop] for at in range(place - 2 * hop, place + 2 * hop + 1, hop)
        ]
        changes.append(np.abs(np.diff(_bands(np.stack(frames), rate), axis=0)).mean(1).max())
    return Heard(np.array(steps), np.array(changes))


def _bands(frames: np.ndarray, rate: int) -> np.ndarray:
    """Logarithm of the power of frames (F, N) in 24 mel bands (F, 24), -80 dB at least."""
    power = np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1]), axis=1)) ** 2
    ends = np.linspace(*(1125 * np.log(1 + hz / 700) for hz in (60, min(8000, rate / 2))), 26)
    bins = (700 * (np.exp(ends / 1125) - 1) / rate * frames.shape[1]).astype(int)
    bands = [power[:, bins[n] : bins[n + 2] + 1].mean(1) for n in range(24)]
    logs: np.ndarray = np.log(np.stack(bands, axis=1) / frames.shape[1] + 1e-8)
    return logs


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
