"""What a part costs beside the whole: processor seconds, in pairs in turn, on one thread.

    python -m tools.range_time --clips FOLDER --pairs 5

A: one second of a clip of 20 s, beside the whole clip. B: a piece of a long recording, beside the
same piece as a recording of its own. Recordings are clips of one person, joined; the words are what
--said says of them, else the names of numbers: their sense costs nothing. Loading is not counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
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
from stepedit_core.types import Decoding, EditRequest
from tools.removal import chosen

CLIP_S, PART_S, LONG_S = 20.0, 1.0, 40.0
HOW = {"decoding": Decoding(way="difference")}
PACE = 0.35
"""Seconds of a word."""
SAYS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def main() -> None:
    """Time both in turn and print the shares."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--bundle", default="nano")
    args = parser.parse_args()
    bundle = stepedit.load(args.bundle, device="cpu")
    bundle.load_all()
    recordings = [joined(args.clips, number, LONG_S) for number in range(args.pairs)]
    edit_range(bundle, *part_and_edit(recordings[0], 3.0, 4.0), settings=HOW)  # warm
    report("1 s of 20 s", [pair(bundle, cut(r, CLIP_S), n) for n, r in enumerate(recordings)])
    report("a piece", [piece(bundle, r, n) for n, r in enumerate(recordings)])


def report(name: str, found: Sequence[tuple[float, float]]) -> None:
    """A line: seconds of both, and their quotient with its interval."""
    for part, whole in found:
        print(f"  {name}: {part:.2f} s, {whole:.2f} s")
    print(f"{name}: {interval([part / whole for part, whole in found])} of the whole", flush=True)


def joined(folder: Path, number: int, seconds: float) -> Recording:
    """Clips of one person one after the other."""
    people: dict[str, list[Path]] = {}
    for path in chosen(folder, 999, 0):
        people.setdefault(path.stem.split("-")[0], []).append(path)
    name = sorted(people, key=lambda person: -len(people[person]))[number % len(people)]
    clips = [read_recording(path) for path in people[name]]
    rate = clips[0].sample_rate
    samples = torch.cat([clip.samples for clip in clips], dim=1)
    while samples.shape[1] < seconds * rate:
        samples = torch.cat([samples, samples], dim=1)
    return Recording(samples=samples[:, : round(seconds * rate)], sample_rate=rate)


def cut(recording: Recording, seconds: float) -> Recording:
    """Its beginning."""
    length = round(seconds * recording.sample_rate)
    return Recording(samples=recording.samples[:, :length], sample_rate=recording.sample_rate)


def words_of(recording: Recording) -> list[Word]:
    """A word every PACE seconds."""
    count = int(recording.seconds / PACE)
    return [Word(SAYS[n % 10], n * PACE, (n + 0.9) * PACE, 1.0) for n in range(count)]


def part_and_edit(recording: Recording, start: float, end: float) -> tuple[Any, ...]:
    """What edit_range takes after the bundle."""
    part, rate = part_of(recording, start, end), recording.sample_rate
    text = words_between(words_of(recording), part.window_start / rate, part.window_end / rate)
    return recording, part, [EditRequest(kind="emotion", option="happy", text=text)]


def pair(bundle: Bundle, clip: Recording, seed: int) -> tuple[float, float]:
    """Seconds of a range and of the whole clip, in turn; which is first changes."""
    settings = {**HOW, "seed": seed}
    text = words_between(words_of(clip), 0, clip.seconds)
    request = EditRequest(kind="emotion", option="happy", text=text)
    start = 3.0 + 4 * (seed % 4)

    def ranged() -> object:
        return edit_range(bundle, *part_and_edit(clip, start, start + PART_S), settings=settings)

    def whole() -> object:
        return iterate(bundle, clip.clip(), make_plan(bundle, clip.clip(), [request], **settings))

    return in_turn(ranged, whole, seed)


def piece(bundle: Bundle, recording: Recording, seed: int) -> tuple[float, float]:
    """Seconds of the second piece of a long recording, and of the piece alone."""
    words, rate = words_of(recording), recording.sample_rate
    how = LongEdit(EditRequest(kind="emotion", option="happy"), {**HOW, "seed": seed})
    first, end = list(pieces_of(recording, words))[1]
    alone = Recording(samples=recording.samples[:, first:end], sample_rate=rate)
    inside = [
        Word(w.text, w.start - first / rate, w.end - first / rate, 1.0)
        for w in words
        if first / rate <= (w.start + w.end) / 2 < end / rate
    ]
    pieces = edited_pieces(bundle, recording, words, how)
    next(pieces)

    def by_itself() -> object:
        return edit_long(bundle, alone, inside, how)

    return in_turn(lambda: next(pieces), by_itself, seed)


def in_turn(
    one: Callable[[], object], other: Callable[[], object], turn: int
) -> tuple[float, float]:
    """Processor seconds of both; the second is first in every other turn."""
    spent = {}
    for call in (one, other) if turn % 2 == 0 else (other, one):
        began = time.process_time()
        call()
        spent[call] = time.process_time() - began
    return spent[one], spent[other]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
