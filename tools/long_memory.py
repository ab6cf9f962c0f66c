"""Peak memory of a long edit: an hour should need that of a minute.

    python -m tools.long_memory SECONDS [PIECES]

A recording of room noise at 24 kHz, with the sample clip put in PIECES times (default 4), is edited
from file to file by nano. One run a process: a peak is that of the process.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

import stepedit_core as stepedit
from stepedit_core.audio.recording_files import open_recording
from stepedit_core.measure.timeline import Word
from stepedit_core.pipelines.long_edit import LongEdit, edit_long_file
from stepedit_core.types import Decoding, EditRequest

SAMPLE = Path(stepedit.__file__).parent / "assets/samples/walking_home.wav"
EVERY_S, FIRST_S, BLOCK_S = 12, 2, 60
NOISE = 20
"""Of 32768."""
BEGINS_S, SAYS_S = 0.2, 4.6
"""When the words begin in the sample, and how long they take."""


def write_recording(path: Path, seconds: int, count: int) -> list[Word]:
    """A recording on the disk, and the words in it with their times."""
    speech, rate = soundfile.read(SAMPLE, dtype="int16")
    texts = SAMPLE.with_suffix(".txt").read_text("utf-8").split()
    starts = [FIRST_S + EVERY_S * n for n in range(count)]
    draws = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
        for begin in range(0, seconds, BLOCK_S):
            length = min(BLOCK_S, seconds - begin) * rate
            block = draws.normal(0, NOISE, length).astype(np.int16)
            for start in starts:
                at = (start - begin) * rate
                if 0 <= at < length - len(speech):
                    block[at : at + len(speech)] = speech
            file.write(block)
    step = SAYS_S / len(texts)
    return [
        Word(text, start + BEGINS_S + n * step, start + BEGINS_S + (n + 1) * step, 1.0)
        for start in starts
        for n, text in enumerate(texts)
    ]


def main() -> int:
    """Edit one recording and print the peak."""
    seconds, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 4
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        words = write_recording(folder / "in.wav", seconds, count)
        settings = {"seed": 1, "decoding": Decoding(way="difference")}
        how = LongEdit(EditRequest(kind="emotion", option="happy"), settings, folder)
        bundle = stepedit.load("nano", device="cpu")
        with open_recording(folder / "in.wav") as source:
            notes = edit_long_file(bundle, source, folder / "out.wav", words, how)
    edited = sum(note.round > 0 for note in notes)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{seconds} s, {len(notes)} pieces, {edited} edited: {peak:.0f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
