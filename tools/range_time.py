"""What a part costs beside the whole: processor seconds, in pairs in turn, on one thread.

    python -m tools.range_time --clips FOLDER --heard heard.json --pairs 5

A: one second of a clip of 20 s, beside the whole clip. B: a piece of a long recording, beside the
same piece as a recording of its own. Recordings are clips of one person, joined, with the words
that tools/removal.py kept in heard.json. Loading is not counted. A round that is made again counts
with both tries, so the number of tries is printed too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import stepedit_core as stepedit
from stepedit_core.audio.recordings import Recording, read_recording
from stepedit_core.evaluate.intervals import interval
from stepedit_core.measure.timeline import Word, words_between
from stepedit_core.pipelines.long_edit import LongEdit, edit_long, edited_pieces, pieces_of
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.range_edit import edit_range, part_of
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Decoding, EditRequest, EditResult
from tools.removal import Remembered, chosen

CLIP_S, PART_S, LONG_S = 20.0, 1.0, 40.0
HOW = {"decoding": Decoding(way="difference")}
HAPPY = EditRequest(kind="emotion", option="happy")


def main() -> None:
    """Time both in turn and print the shares."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--heard", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--bundle", default="nano")
    args = parser.parse_args()
    bundle = stepedit.load(args.bundle, device="cpu")
    bundle.load_all()
    speeches = joined(args)
    ranged(bundle, speeches[0].cut(6.0), 2.0, 0)  # warm
    report("1 s of 20 s", [pair(bundle, s.cut(CLIP_S), n) for n, s in enumerate(speeches)])
    report("a piece", [piece(bundle, s, n) for n, s in enumerate(speeches)])


def report(name: str, found: Sequence[tuple[float, float]]) -> None:
    """A line: seconds of both, and their quotient with its interval."""
    for part, whole in found:
        print(f"  {name}: {part:.2f} s, {whole:.2f} s")
    print(f"{name}: {interval([part / whole for part, whole in found])} of the whole", flush=True)


@dataclass(frozen=True)
class Speech:
    """A recording and its words."""

    recording: Recording
    words: tuple[Word, ...]

    def cut(self, seconds: float) -> Speech:
        """Its beginning."""
        rate = self.recording.sample_rate
        samples = self.recording.samples[:, : round(seconds * rate)]
        words = tuple(word for word in self.words if word.end <= seconds)
        return Speech(Recording(samples=samples, sample_rate=rate), words)

    def text(self, start: float, end: float) -> str:
        """What is said from a second to another."""
        return words_between(self.words, start, end)


def joined(args: argparse.Namespace) -> list[Speech]:
    """Clips of one person one after the other, twice where they are short; one for each pair."""
    nobody: Any = None
    ears = Remembered(nobody, args.heard)
    people: dict[str, list[Recording]] = {}
    for path in chosen(args.clips, 999, 0):
        recording = read_recording(path)
        if ears.knows(recording.clip()):
            people.setdefault(path.stem.split("-")[0], []).append(recording)
    found = []
    for number in range(args.pairs):
        clips = people[sorted(people)[number % len(people)]] * 9
        parts, words, at = [], [], 0.0
        for clip in clips:
            parts.append(clip.samples)
            words += [replace(w, start=w.start + at, end=w.end + at) for w in ears.words(clip)]
            at += clip.seconds
        whole = Recording(samples=torch.cat(parts, dim=1), sample_rate=clips[0].sample_rate)
        found.append(Speech(whole, tuple(words)).cut(LONG_S))
    return found


def ranged(bundle: Bundle, speech: Speech, start: float, seed: int) -> EditResult:
    """PART_S seconds edited; the rounds of its window."""
    part, rate = part_of(speech.recording, start, start + PART_S), speech.recording.sample_rate
    text = speech.text(part.window_start / rate, part.window_end / rate)
    request = replace(HAPPY, text=text)
    settings = {**HOW, "seed": seed}
    return edit_range(bundle, speech.recording, part, [request], settings=settings).rounds


def pair(bundle: Bundle, speech: Speech, seed: int) -> tuple[float, float]:
    """Seconds of a range and of the whole clip, in turn; which is first changes."""
    clip = speech.recording.clip()
    request = replace(HAPPY, text=speech.text(0, clip.seconds))
    start = 3.0 + 4 * (seed % 4)

    def whole() -> EditResult:
        plan = make_plan(bundle, clip, [request], **HOW, seed=seed)
        return iterate(bundle, clip, plan)

    return in_turn(lambda: ranged(bundle, speech, start, seed), whole, seed)


def piece(bundle: Bundle, speech: Speech, seed: int) -> tuple[float, float]:
    """Seconds of the second piece of a long recording, and of the piece alone."""
    words, rate = speech.words, speech.recording.sample_rate
    how = LongEdit(HAPPY, {**HOW, "seed": seed})
    first, end = list(pieces_of(speech.recording, words))[1]
    alone = Recording(samples=speech.recording.samples[:, first:end], sample_rate=rate)
    inside = [
        replace(w, start=w.start - first / rate, end=w.end - first / rate)
        for w in words
        if first / rate <= (w.start + w.end) / 2 < end / rate
    ]
    pieces = edited_pieces(bundle, speech.recording, words, how)
    next(pieces)
    return in_turn(lambda: next(pieces), lambda: edit_long(bundle, alone, inside, how), seed)


def in_turn(
    one: Callable[[], object], other: Callable[[], object], turn: int
) -> tuple[float, float]:
    """Processor seconds of both; the second is first in every other turn."""
    spent = {}
    for call in (one, other) if turn % 2 == 0 else (other, one):
        began = time.process_time()
        made = call()
        spent[call] = time.process_time() - began
        if isinstance(made, EditResult):
            tries = 1 + (made.final.rejected is not None)
            print(f"  {tries} tries, {made.rounds[0].clip.seconds:.1f} s", flush=True)
    return spent[one], spent[other]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
