"""Ten edits of the sample recordings as spectrograms, before and after, for docs/before-after.md.

    python -m tools.before_after

Writes docs/pictures/pair_*.webp. Where one part was edited it is marked by a line under both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import stepedit_core as stepedit
from stepedit_core.audio.mel import prompt_mel
from stepedit_core.audio.recordings import Recording, read_recording
from stepedit_core.audio.resample import resample
from stepedit_core.measure.timeline import Word, find_phrase, words_between
from stepedit_core.measure.word_table import read_word_table
from stepedit_core.pipelines.long_edit import LongEdit, edit_long
from stepedit_core.pipelines.range_edit import edit_range, part_of
from stepedit_core.pipelines.remove_words import Removal, remove_words
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Clip, Decoding, EditRequest
from tests.server.comfyui import PACK
from tools.cards import COLOURS, SAMPLES

PICTURES = PACK / "docs" / "pictures"
WIDE, TALL, EDGE, LINE = 900, 150, 10, 22
"""Pixels: of the longer spectrogram, of each, around them, and of a line of text."""
PAPER, INK, MARK = (24, 24, 30), (255, 255, 255), (90, 200, 250)
RATE = 24_000
Span = tuple[float, float]


@dataclass(frozen=True)
class Pair:
    """Sound before and after, and the seconds of both that were edited."""

    before: Clip
    after: Clip
    marks: tuple[Span, Span] | None = None


@dataclass(frozen=True)
class Sample:
    """A shipped recording with its words."""

    recording: Recording
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """What is said."""
        return words_between(self.words, 0, self.recording.seconds)


def opened(name: str) -> Sample:
    """A sample by its name."""
    path = next(p for p in SAMPLES.glob(f"{name}.*") if p.suffix in (".wav", ".flac"))
    words = read_word_table((SAMPLES / f"{name}.times.txt").read_text("utf-8"))
    assert words is not None
    return Sample(read_recording(path), words)


def whole(bundle: Bundle, sample: Sample, **what: Any) -> Pair:
    """All of a recording."""
    clip = sample.recording.clip()
    text = "" if "speed" in what else sample.text
    made = stepedit.edit(bundle, clip, text=text, seed=1, **what)
    return Pair(clip, made.final.clip)


def part(bundle: Bundle, sample: Sample, phrase: str, request: EditRequest, **how: Any) -> Pair:
    """A phrase of a recording."""
    old, rate = sample.recording, sample.recording.sample_rate
    place = part_of(old, *find_phrase(sample.words, phrase))
    said = words_between(sample.words, place.window_start / rate, place.window_end / rate)
    request = EditRequest(kind=request.kind, option=request.option, text=said)
    how = {"seed": 1, "decoding": Decoding(way="difference", **how)}
    made = edit_range(bundle, old, place, [request], settings=how)
    longer = made.recording.samples.shape[1] - old.samples.shape[1]
    marks = ((made.first, made.end - longer), (made.first, made.end))
    before, after = (tuple(place / rate for place in span) for span in marks)
    return Pair(old.clip(), made.recording.clip(), (before, after))  # type: ignore[arg-type]


def without(sample: Sample, which: Removal) -> Pair:
    """A recording without some words or pauses."""
    return Pair(
        sample.recording.clip(),
        remove_words(sample.recording, sample.words, which).recording.clip(),
    )


def piecewise(bundle: Bundle, sample: Sample, request: EditRequest) -> Pair:
    """A long recording."""
    how = LongEdit(request, {"seed": 1, "decoding": Decoding(way="difference")})
    made = edit_long(bundle, sample.recording, sample.words, how)
    return Pair(sample.recording.clip(), made.recording.clip())


def pairs(bundle: Bundle) -> dict[str, Callable[[], Pair]]:
    """Name of the picture -> how it is made."""
    home, friday, tower = (opened(n) for n in ("walking_home", "friday", "lighthouse"))
    emotion = {name: EditRequest(kind="emotion", option=name) for name in ("excited", "sad")}
    slower = EditRequest(kind="speed", option="slower")
    return {
        "1_happy": lambda: whole(bundle, home, emotion="happy"),
        "2_sad_two_rounds": lambda: whole(bundle, home, emotion="sad", rounds=2),
        "3_excited_strength_1.5": lambda: whole(
            bundle, home, emotion="excited", decoding=Decoding(strength=1.5)
        ),
        "4_part_excited": lambda: part(bundle, home, "I heard a song", emotion["excited"]),
        "5_part_sad": lambda: part(bundle, home, "walking home last night", emotion["sad"]),
        "6_part_slower": lambda: part(bundle, home, "used to know", slower),
        "7_fit_to_4_seconds": lambda: whole(bundle, home, speed="fit to seconds", seconds=4.0),
        "8_fillers_and_repeats_out": lambda: without(friday, Removal(fillers=True, repeats=True)),
        "9_words_and_pauses_out": lambda: without(
            friday, Removal(phrases=("the blue folder, please.",), pauses_over=0.2)
        ),
        "10_long_sad": lambda: piecewise(bundle, tower, emotion["sad"]),
    }


def picture(pair: Pair, title: str) -> Image.Image:
    """Both spectrograms under each other, on one scale of time, pitch and level."""
    clips = {"before": pair.before, "after": pair.after}
    mels = [prompt_mel(resample(clip.wave, clip.sample_rate, RATE)) for clip in clips.values()]
    longest = max(mel.shape[-1] for mel in mels)
    low, high = mels[0].min().item(), mels[0].max().item()
    made = Image.new("RGB", (WIDE + 2 * EDGE, 2 * (TALL + LINE) + LINE + 2 * EDGE), PAPER)
    draw, font = ImageDraw.Draw(made), ImageFont.load_default(size=15)
    draw.text((EDGE, EDGE), title, fill=INK, font=font)
    for place, (name, clip) in enumerate(clips.items()):
        mel, top = mels[place], EDGE + LINE + place * (TALL + LINE)
        level = ((mel.flip(0) - low) / (high - low)).clamp(0, 1).mul(255).round().byte().numpy()
        wide = round(WIDE * mel.shape[-1] / longest)
        drawn = Image.fromarray(COLOURS[level]).resize((wide, TALL), Image.Resampling.BILINEAR)
        made.paste(drawn, (EDGE, top))
        draw.text((EDGE + 6, top + 4), f"{name}, {clip.seconds:.1f} s", fill=INK, font=font)
        if pair.marks is not None:
            ends = [EDGE + round(wide * s / clip.seconds) for s in pair.marks[place]]
            draw.line([(ends[0], top + TALL + 5), (ends[1], top + TALL + 5)], fill=MARK, width=4)
    return made


def main() -> None:
    """Make all of them."""
    bundle = stepedit.load("nano", device="cpu")
    for name, made in pairs(bundle).items():
        file = PICTURES / f"pair_{name}.webp"
        if file.exists():
            continue
        title = " ".join(name.split("_")[1:])
        picture(made(), title).save(file, quality=70, method=6)
        print(file.name, file.stat().st_size, flush=True)


if __name__ == "__main__":
    np.seterr(all="raise")
    torch.set_num_threads(1)
    main()
