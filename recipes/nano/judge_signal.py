"""Speed, pauses and noise: signal processing beside the model and beside plain tools.

    WHISPER_BASE=FOLDER python -m recipes.nano.judge_signal --people DIR --out FILE.jsonl

DIR has recordings of people that nothing was trained on, `<person>-...flac`, without transcripts:
what is heard in the recording is the reference. Plain tools: ffmpeg's atempo for speed, silero-vad
for pauses. Each finished clip is one line of the file, and a second call continues; the table is
printed at the end. Noise: a fan (pink) and a street (pink, in gusts), by turns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recipes.nano.export import as_taught
from recipes.nano.judge import Judges
from recipes.nano.training import log, setup
from stepedit_core.audio.files import read_clip
from stepedit_core.audio.resample import resample
from stepedit_core.evaluate.intervals import interval
from stepedit_core.measure.recogniser import word_error_rate
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.signal.denoise import denoise, installed
from stepedit_core.signal.silence import shorten_silence
from stepedit_core.signal.stretch import TEMPO
from stepedit_core.types import SAMPLE_RATE, Clip, EditRequest

LEVELS_DB = (5, 10, 15)
SECONDS = (4.0, 9.0)
Row = dict[str, Any]


def chosen(folder: Path, count: int) -> list[Path]:
    """Clips of 4 to 9 s, one of each person in turn."""
    people: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.glob("*.flac")):
        if SECONDS[0] <= read_clip(path).seconds <= SECONDS[1]:
            people[path.name.split("-")[0]].append(path)
    turns = zip_longest(*people.values())
    return [path for turn in turns for path in turn if path is not None][:count]


def noisy(clip: Clip, level_db: float, number: int) -> Clip:
    """The clip with noise so many dB below it: a fan for even numbers, a street for odd ones."""
    rng = np.random.default_rng(number)
    count = clip.wave.shape[-1]
    spectrum = np.fft.rfft(rng.normal(size=count))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    noise = np.fft.irfft(spectrum, count)
    if number % 2:
        knots = rng.uniform(-12, 6, size=2 + int(3 * clip.seconds))
        gusts = np.interp(np.linspace(0, len(knots) - 1, count), np.arange(len(knots)), knots)
        noise *= 10 ** (gusts / 20)
    power = float(clip.wave.square().mean())
    noise *= np.sqrt(power / np.mean(noise**2)) * 10 ** (-level_db / 20)
    return replace(clip, wave=clip.wave + torch.from_numpy(noise.astype(np.float32)))


def atempo(clip: Clip, tempo: float) -> Clip:
    """The clip at another tempo by ffmpeg."""
    shape = ["-f", "f32le", "-ar", str(clip.sample_rate), "-ac", "1"]
    command = ["ffmpeg", "-v", "error", *shape, "-i", "-", "-filter:a", f"atempo={tempo}", *shape]
    made = subprocess.run(
        [*command, "-"], input=clip.wave.numpy().tobytes(), capture_output=True, check=True
    ).stdout
    return replace(clip, wave=torch.from_numpy(np.frombuffer(made, np.float32).copy()))


def ways(clip: Clip, kind: str, option: str) -> Iterator[tuple[str, Callable[[], Clip]]]:
    """Names and makers of what plain tools do."""
    at_24 = Clip(wave=resample(clip.wave, clip.sample_rate, SAMPLE_RATE), sample_rate=SAMPLE_RATE)

    def done(change: Callable[..., torch.Tensor], *settings: Any, **how: Any) -> Clip:
        return replace(at_24, wave=change(at_24.wave, SAMPLE_RATE, *settings, **how))

    if kind == "denoise" or option == "faster":  # the others start from the same clip
        yield "unedited", lambda: at_24
    if kind == "speed":
        tempo = TEMPO[option]
        yield "plain, atempo", lambda: atempo(at_24, tempo)
    elif kind == "trim_silence":
        yield "plain, silero-vad", lambda: done(shorten_silence, backend="silero")
    elif installed():
        yield "plain, no limit", lambda: done(denoise)


def edited(bundle: Bundle, clip: Clip, words: str, kind: str, option: str, engine: Any) -> Clip:
    """What one round of Iterative Edit makes."""
    request = EditRequest(kind=kind, option=option, text=words, engine=engine)
    plan = make_plan(bundle, clip, [request], seed=1)
    return iterate(bundle, clip, plan).final.clip


def jobs(clip: Clip, number: int) -> Iterator[tuple[str, Clip, str, str]]:
    """Name, input, kind and option of every edit of a clip."""
    for option in ("faster", "slower"):
        yield option, clip, "speed", option
    yield "remove silence", clip, "trim_silence", ""
    for level in LEVELS_DB:
        yield f"denoise, {level} dB", noisy(clip, level, number), "denoise", ""


def main() -> None:
    """Edit, judge, write; then the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bundle", default="nano")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--with-model", type=int, default=6, help="clips that the model edits too")
    args = parser.parse_args()
    setup(2)
    bundle, judges = as_taught(Registry().load(args.bundle)), Judges()
    rows: list[Row] = []
    if args.out.exists():
        rows = [json.loads(line) for line in filter(None, args.out.read_text("utf-8").split("\n"))]
    known = {(row["clip"], row["edit"], row["way"]) for row in rows}
    for number, path in enumerate(chosen(args.people, args.count)):
        clip = read_clip(path)
        words, who = judges.words(clip), judges.speaker(clip)
        for edit, given, kind, option in jobs(clip, number):
            makers = dict(ways(given, kind, option))
            for engine in ("signal", "model")[: 1 + (number < args.with_model)]:
                makers[engine] = partial(edited, bundle, given, words, kind, option, engine)
            for way, make in makers.items():
                if (path.stem, edit, way) in known:
                    continue
                made = make()
                row = {
                    "clip": path.stem,
                    "edit": edit,
                    "way": way,
                    "wer": word_error_rate(words, judges.words(made)),
                    "similarity": float(np.dot(who, judges.speaker(made))),
                    "mos": judges.mos(made),
                    "seconds": made.seconds,
                    "of": clip.seconds,
                }
                rows.append(row)
                with args.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
        log.info("%d %s", number, path.stem)
    print(table(rows))


def table(rows: list[Row]) -> str:
    """Means with 95 % intervals over clips, as Markdown."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["edit"], row["way"]].append(row)
    lines = [
        "| edit | way | n | WER, % | similarity | DistillMOS | length |",
        "|---|---|---|---|---|---|---|",
    ]
    for (edit, way), some in groups.items():
        wer = interval([100 * row["wer"] for row in some])
        cells = [interval([row[key] for row in some]) for key in ("similarity", "mos")]
        length = np.mean([row["seconds"] / row["of"] for row in some])
        figures = [f"{wer.mean:.0f} [{wer.low:.0f}, {wer.high:.0f}]"]
        figures += [f"{c.mean:.2f} [{c.low:.2f}, {c.high:.2f}]" for c in cells]
        lines.append(f"| {edit} | {way} | {len(some)} | {' | '.join(figures)} | {length:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
