"""Round by round figures of real recordings, as a table in Markdown.

    WHISPER_BASE=FOLDER python -m recipes.nano.judge_rounds --clips REAL_SPEECH > table.md

Three voices are made happy and sad in three rounds, faster and whispering in one; one noisy clip is
cleaned. The LibriSpeech clip belongs to the training material, so its words are Whisper's own.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from recipes.nano.export import as_taught
from recipes.nano.judge import EDITS, Judges, held_out
from recipes.nano.training import setup
from stepedit_core.audio.files import read_clip
from stepedit_core.measure.recogniser import word_error_rate
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate_rounds
from stepedit_core.registry.registry import Registry
from stepedit_core.types import EditRequest, Round

VOICES = ("LJ001-0002", "zero_shot_en_prompt")
LIBRI = "librispeech/1069-133699-0000.flac"
ROUNDS = {"happy": 3, "sad": 3, "faster": 1, "whisper": 1}
COLUMNS = (
    "clip",
    "edit",
    "round",
    "seconds",
    "F0, Hz",
    "range",
    "voiced %",
    "WER %",
    "similarity",
    "DistillMOS",
    "score",
    "elapsed, s",
)


def figures(judges: Judges, result: Round, words: str, who: np.ndarray) -> list[str]:
    """Cells from seconds to elapsed of one round."""
    clip = result.clip
    f0, spread, voiced = judges.pitch(clip)
    wrong = f"{100 * word_error_rate(words, judges.words(clip)):.0f}" if words else "-"
    return [
        f"{clip.seconds:.2f}",
        f"{f0:.0f}",
        f"{spread:.1f}",
        f"{100 * voiced:.0f}",
        wrong,
        f"{float(np.dot(who, judges.speaker(clip))):.2f}",
        f"{judges.mos(clip):.1f}",
        "-" if result.score is None else f"{result.score:.1f}",
        "-" if result.request is None else f"{result.seconds_elapsed:.1f}",
    ]


def main() -> None:
    """Edit, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="nano")
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    setup(2)
    bundle, judges = as_taught(Registry().load(args.bundle)), Judges()
    known = {name: (path, words) for name, path, words in held_out(args.clips)}
    libri = args.clips / LIBRI
    voices = [(name, *known[name]) for name in VOICES]
    voices.append((libri.stem, libri, judges.words(read_clip(libri))))
    jobs = [
        (name, path, words, edit, EditRequest(kind=EDITS[edit][0], option=EDITS[edit][1]), rounds)
        for name, path, words in voices
        for edit, rounds in ROUNDS.items()
    ]
    noisy, words = known["denoise_prompt"]
    jobs.append(("denoise_prompt", noisy, words, "denoise", EditRequest(kind="denoise"), 1))
    print("|", " | ".join(COLUMNS), "|")
    print("|" + "---|" * len(COLUMNS))
    shown: set[str] = set()
    for name, path, words, edit, request, rounds in jobs:
        clip = read_clip(path)
        who = judges.speaker(clip)
        asked = [replace(request, text=words)]
        plan = make_plan(bundle, clip, asked, seed=args.seed, rounds=rounds)
        for number, result in enumerate(iterate_rounds(bundle, clip, plan)):
            if number or name not in shown:
                what = edit if number else "original"
                cells = [name, what, str(number), *figures(judges, result, words, who)]
                print("|", " | ".join(cells), "|", flush=True)
        shown.add(name)


if __name__ == "__main__":
    main()
