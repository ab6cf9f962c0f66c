"""An hour of speech in one run: words at the borders of pieces, voice, loudness, memory.

    python -m tools.long_speech make --clips FOLDER --voice SF1 --minutes 60 --out runs/long
    python -m tools.long_speech run --out runs/long --emotion happy
    python -m tools.long_speech judge --out runs/long --ears FOLDER

`make` joins the clips of one person in a new order every time through, with pauses of 0.15 to
0.5 s, so that no two pieces are equal; its words are what $WHISPER_BASE hears in each clip. `run`
edits from file to file, keeps pieces and the resident set after each, and resumes. `judge` hears
4 s on both sides of borders, in the recording and in the result, by the recogniser of --ears.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

import stepedit_core as stepedit
from stepedit_core.__main__ import CACHES
from stepedit_core.audio.files import read_clip
from stepedit_core.audio.recording_files import open_recording
from stepedit_core.evaluate.intervals import interval
from stepedit_core.evaluate.judges import speaker_vectors
from stepedit_core.measure.loudness import LoudnessMeter
from stepedit_core.measure.timeline import Word
from stepedit_core.measure.whisper import WhisperRecogniser, whisper_model
from stepedit_core.pipelines.long_edit import LongEdit, edit_long_file, edited_pieces
from stepedit_core.text.units import bare
from stepedit_core.types import Clip, Decoding, EditRequest, SilentHooks

PAUSES_S = (0.15, 0.5)
NEAR_S = 4.0
"""What is heard on each side of a border."""
SAID = "said.json"
BLOCK = 1 << 20


def main() -> None:
    """One of the three."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("make", "run", "judge"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--voice", default="")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--emotion", default="happy")
    parser.add_argument("--steps", type=int, default=Decoding().steps)
    parser.add_argument("--ears", type=Path)
    parser.add_argument("--borders", type=int, default=200)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    {"make": make, "run": run, "judge": judge}[args.what](args)


def ears_of(folder: str | Path) -> WhisperRecogniser:
    """A faster-whisper folder in int8 on one thread, in English."""
    model = whisper_model(folder, device="cpu", compute_type="int8", cpu_threads=1)
    return WhisperRecogniser(model, "en")


def make(args: argparse.Namespace) -> None:
    """The recording in.wav, and the words in it with their times."""
    ears, rate = ears_of(os.environ["WHISPER_BASE"]), 16_000
    paths = sorted(args.clips.glob(f"{args.voice}*.flac"))
    clips = [read_clip(path) for path in paths]
    said = [ears.transcribe(clip) for clip in clips]
    print(len(clips), "clips,", sum(map(len, said)), "words", flush=True)
    draw, words, at, order = np.random.default_rng(0), [], 0, []
    with soundfile.SoundFile(args.out / "in.wav", "w", rate, 1, "PCM_16") as file:
        while at < 60 * args.minutes * rate:
            order = order or list(draw.permutation(len(clips)))
            number = order.pop()
            wave = clips[number].wave.numpy()
            words += [
                Word(w.text, w.start + at / rate, w.end + at / rate, w.confidence)
                for w in said[number]
            ]
            noise = np.resize(wave[:800], int(draw.uniform(*PAUSES_S) * rate))
            file.write(np.concatenate([wave, noise]))
            at += len(wave) + len(noise)
    (args.out / SAID).write_text(json.dumps([asdict(word) for word in words]))
    print(f"{at / rate / 60:.1f} min, {len(words)} words")


class Watch(SilentHooks):
    """Writes the resident set and the processor's time after each piece."""

    def __init__(self, path: Path) -> None:
        self.path, self.began = path, time.time()

    def progress(self, stage: str, done: int, total: int) -> None:
        """A line a piece."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        row = {
            "piece": done,
            "of": total,
            "rss_mb": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20),
            "cpu_s": round(time.process_time(), 1),
            "wall_s": round(time.time() - self.began, 1),
        }
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def run(args: argparse.Namespace) -> None:
    """in.wav edited into out.wav; what is finished is kept in pieces/."""
    kept = args.out / "pieces"
    kept.mkdir(exist_ok=True)
    words = [Word(**row) for row in json.loads((args.out / SAID).read_text())]
    bundle = stepedit.load("nano", device="cpu")
    settings = {"seed": 1, "decoding": Decoding(way="difference", steps=args.steps)}
    request = EditRequest(kind="emotion", option=args.emotion)
    how = LongEdit(request, settings, kept, Watch(args.out / "watch.jsonl"))
    with open_recording(args.out / "in.wav") as source:
        notes = edit_long_file(bundle, source, args.out / "out.wav", words, how)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        # once more, all from the folder: where each piece lies in the result
        again, later, rows = (
            edited_pieces(bundle, source, words, replace(how, hooks=SilentHooks())),
            0,
            [],
        )
        for piece in again:
            begins = later
            if piece.patch is not None:
                later += piece.patch.count - (piece.patch.stop - piece.patch.start)
            rows.append(asdict(piece.note) | {"later": begins, "later_end": later})
    (args.out / "notes.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    edited = sum(note.round > 0 for note in notes)
    print(f"{len(notes)} pieces, {edited} edited, peak {peak:.0f} MB")


def judge(args: argparse.Namespace) -> None:
    """Words beside borders, voice of pieces, loudness; the table is printed."""
    notes = [json.loads(row) for row in (args.out / "notes.jsonl").read_text().splitlines()]
    before, after = ((args.out / name) for name in ("in.wav", "out.wav"))
    rate = soundfile.info(before).samplerate
    spans = [(round(n["start"] * rate), round(n["end"] * rate)) for n in notes]
    moved = [(a + n["later"], b + n["later_end"]) for (a, b), n in zip(spans, notes, strict=True)]
    voices({before: spans, after: moved}, [k for k, n in enumerate(notes) if n["round"]])
    loud = [_loudness(path) for path in (before, after)]
    print(f"loudness {loud[0]:.1f} before, {loud[1]:.1f} LUFS after")
    ears, near = ears_of(args.ears), round(NEAR_S * rate)
    picked = np.random.default_rng(1).permutation(len(spans) - 1)[: args.borders] + 1
    rows = []
    for number in sorted(map(int, picked)):
        places = {before: spans[number][0], after: moved[number][0]}
        heard = [
            ears.transcribe(_part(path, max(0, place - near), place + near))
            for path, place in places.items()
        ]
        border = min(places[before], near) / rate
        rows.append(kept_beside(heard[0], heard[1], border) | {"piece": number})
    (args.out / "borders.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    for where in ("border", "inner"):
        values = [1 - kept for row in rows for kept in row[where]]
        print(f"words not heard again, {where}: {sum(values)} of {len(values)}, {interval(values)}")


def kept_beside(before: Sequence[Word], after: Sequence[Word], border: float) -> dict[str, Any]:
    """For the last word before a border and the first after it, 1 where it is heard in both.

    `inner` are the second and third word on each side, which say what the edit itself costs. Words
    within 0.6 s of the ends of what was heard are not counted: they may be cut.
    """
    ours, theirs = ([bare(word.text) for word in words] for words in (before, after))
    kept = set()
    for block in SequenceMatcher(a=ours, b=theirs, autojunk=False).get_matching_blocks():
        kept |= set(range(block.a, block.a + block.size))
    first_after = sum((word.start + word.end) / 2 < border for word in before)
    whole = [n for n, w in enumerate(before) if w.start > 0.6 and w.end < 2 * NEAR_S - 0.6]
    places = {
        "border": [first_after - 1, first_after],
        "inner": [first_after + n for n in (-3, -2, 1, 2)],
    }
    return {name: [int(n in kept) for n in found if n in whole] for name, found in places.items()}


def voices(files: Mapping[Path, Sequence[tuple[int, int]]], edited: Sequence[int]) -> None:
    """Likeness of the voice of neighbouring pieces, and of the first ten with the last ten.

    `files` have the samples of each piece; `edited` are the numbers of the edited ones.
    """
    vector = speaker_vectors()
    chosen = [*edited[:10], *edited[len(edited) // 2 :][:10], *edited[-10:]]
    for path, spans in files.items():
        found = [vector(_part(path, *spans[number])) for number in chosen]
        groups = (found[:10], found[10:20], found[20:])
        beside = [float(a @ b) for group in groups for a, b in pairwise(group)]
        apart = [float(a @ b) for a, b in zip(groups[0], groups[2], strict=True)]
        print(
            f"voice, {path.name}: neighbours {interval(beside)}, first ten and last ten "
            f"{interval(apart)}, first and last {float(found[0] @ found[-1]):.3f}"
        )


def _part(path: Path, first: int, end: int) -> Clip:
    """Samples of a file of one channel."""
    wave, rate = soundfile.read(path, start=first, stop=end, dtype="float32")
    return Clip(wave=torch.from_numpy(wave), sample_rate=rate)


def _loudness(path: Path) -> float:
    """LUFS of a file of one channel."""
    with soundfile.SoundFile(path) as file:
        meter = LoudnessMeter(file.samplerate)
        for part in file.blocks(BLOCK, dtype="float32", always_2d=True):
            meter.add(np.ascontiguousarray(part.T))
    found = meter.integrated()
    return float("-inf") if found is None else found


if __name__ == "__main__":
    for name, most in CACHES.items():  # as the command does
        os.environ.setdefault(name, most)
    torch.set_num_threads(1)
    main()
