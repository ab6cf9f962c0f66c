"""The vocoder alone: recordings of people to their mel and back, beside WORLD and themselves.

    WHISPER_BASE=DIR python -m recipes.nano.judge_vocoder --clips FOLDER --world --vocoder
        shipped=stepedit_core/assets/nano new=runs/nano/vocoder/last.pt

Words are compared with what the recogniser reads in the recording itself; intervals are 95 %
bootstraps over speakers (the first part of a file's name) and their clips.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from recipes.nano.judge import Judges
from recipes.nano.over_people import over_people
from recipes.nano.training import log, saved_state, setup
from stepedit_core.audio.files import read_clip
from stepedit_core.audio.mel import prompt_mel
from stepedit_core.audio.resample import resample
from stepedit_core.bundle.manifest import read_manifest
from stepedit_core.bundle.parts import load_part
from stepedit_core.measure.recogniser import plain_words
from stepedit_core.models.source_filter import SourceFilter, SourceFilterConfig
from stepedit_core.types import Clip

RATE_HZ = 24_000


@dataclass(frozen=True, kw_only=True)
class VocodedClip:
    """What the judges say of one clip made by one system."""

    clip: str
    speaker: str
    system: str
    read: str
    """What the recogniser reads."""
    errors: int
    words: int
    similarity: float
    mos: float
    seconds: float
    """Compute seconds per second of audio."""


def load_vocoder(path: Path) -> SourceFilter:
    """A bundle's vocoder, or the model of a training's checkpoint."""
    if path.is_dir():
        about = read_manifest(path)
        part = load_part(path, about, "vocoder", device=torch.device("cpu"), dtype=torch.float32)
        return part.eval()  # type: ignore[return-value]
    state = saved_state(path)
    if state is None:
        raise SystemExit(f"no checkpoint at {path}")
    model = SourceFilter(SourceFilterConfig(**state["config"]))
    model.load_state_dict(state.get("average", state["model"]))
    return model.eval()


def world_copy(wave: np.ndarray) -> np.ndarray:
    """WORLD's analysis and synthesis of a wave (N,) at 24 kHz."""
    import pyworld

    x = wave.astype(np.float64)
    f0, times = pyworld.harvest(x, RATE_HZ)
    spectrum = pyworld.cheaptrick(x, f0, times, RATE_HZ)
    noise = pyworld.d4c(x, f0, times, RATE_HZ)
    return pyworld.synthesize(f0, spectrum, noise, RATE_HZ)[: len(wave)].astype(np.float32)


def vocode(model: SourceFilter) -> Callable[[np.ndarray], np.ndarray]:
    """A function from a wave (N,) at 24 kHz to the vocoder's copy of it."""

    def copy(wave: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            mel = prompt_mel(torch.from_numpy(wave))[None]
            return model(mel, generator=torch.Generator().manual_seed(1))[0].numpy()

    return copy


def judge_all(
    paths: list[Path],
    systems: dict[str, Callable[[np.ndarray], np.ndarray]],
    longest: float,
    known: list[VocodedClip],
) -> list[VocodedClip]:
    """Figures of every clip and system; "recording" is the clip itself. Known ones are kept."""
    import jiwer

    judges = Judges()
    rows = []
    judged = {(row.clip, row.system): row for row in known}
    for path in paths:
        clip = read_clip(path)
        wave = resample(clip.wave, clip.sample_rate, RATE_HZ)[: int(longest * RATE_HZ)].numpy()
        read = ""
        voice = judges.speaker(Clip(wave=torch.from_numpy(wave), sample_rate=RATE_HZ))
        for name, make in {"recording": lambda x: x, **systems}.items():
            if row := judged.get((path.stem, name)):
                rows.append(row)
                read = row.read if name == "recording" else read
                continue
            start = time.process_time()
            made = make(wave)
            spent = (time.process_time() - start) / (len(wave) / RATE_HZ)
            x = Clip(wave=torch.from_numpy(made), sample_rate=RATE_HZ)
            words = " ".join(plain_words(judges.words(x))) or "-"
            read = words if name == "recording" else read
            found = jiwer.process_words(read, words)
            rows.append(
                VocodedClip(
                    clip=path.stem,
                    speaker=speaker_of(path),
                    system=name,
                    read=words,
                    errors=found.substitutions + found.insertions + found.deletions,
                    words=len(read.split()),
                    similarity=float(voice @ judges.speaker(x)),
                    mos=judges.mos(x),
                    seconds=spent,
                )
            )
    return rows


def speaker_of(path: Path) -> str:
    """Who speaks: the number before the first dash, of EmoDB the first two digits."""
    return path.stem.split("-")[0] if "-" in path.stem else path.stem[:2]


def spread_over_speakers(paths: list[Path], count: int) -> list[Path]:
    """At most `count` files, in turn from every speaker."""
    turns: dict[str, int] = {}
    ranked = []
    for path in sorted(paths):
        speaker = speaker_of(path)
        ranked.append((turns.get(speaker, 0), path))
        turns[speaker] = turns.get(speaker, 0) + 1
    return [path for _, path in sorted(ranked)[:count]]


def table(rows: list[VocodedClip]) -> str:
    """Markdown table of all systems with intervals."""
    lines = [
        "| system | clips | WER to the recording | similarity | DistillMOS | CPU s per s |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row.system for row in rows):
        own = [row for row in rows if row.system == name]
        values = np.array([(r.errors, r.words, r.similarity, r.mos, r.seconds) for r in own])
        speakers = [r.speaker for r in own]
        middle, low, high = over_people(values, speakers, figures)
        cells = [
            f"{mid * s:.{d}f} [{a * s:.{d}f}, {b * s:.{d}f}]"
            for mid, a, b, s, d in zip(middle, low, high, (100, 1, 1, 1), (1, 3, 2, 3), strict=True)
        ]
        lines.append(f"| {name} | {len(own)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figures(values: np.ndarray) -> np.ndarray:
    """Word error rate, similarity, MOS and compute seconds (4,) of rows (n, 5)."""
    errors, words, *others = values.T
    return np.array([errors.sum() / words.sum(), *(other.mean() for other in others)])


def main() -> None:
    """Judge what the command line names and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="speakers to judge; all without it")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each clip")
    parser.add_argument("--vocoder", nargs="*", default=[], metavar="NAME=PATH")
    parser.add_argument("--world", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--again", nargs="*", default=[], help="systems to judge anew")
    parser.add_argument(
        "--out", type=Path, help="JSON of every clip; what it has is not judged again"
    )
    args = parser.parse_args()
    setup(args.threads)
    logging.getLogger("faster_whisper").setLevel(logging.WARNING)
    paths = [p for p in args.clips.rglob("*") if p.suffix in (".flac", ".wav")]
    paths = [p for p in paths if not args.only or speaker_of(p) in args.only]
    paths = spread_over_speakers(paths, args.count)
    systems: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    for item in args.vocoder:
        name, _, path = item.partition("=")
        systems[name] = vocode(load_vocoder(Path(path)))
    if args.world:
        systems["world"] = world_copy
    log.info("%d clips, %s", len(paths), ", ".join(systems))
    known = []
    if args.out and args.out.exists():
        known = [VocodedClip(**row) for row in json.loads(args.out.read_text("utf-8"))]
        known = [row for row in known if row.system not in args.again]
    rows = judge_all(paths, systems, args.seconds, known)
    fresh = {(row.clip, row.system) for row in rows}
    rows += [row for row in known if (row.clip, row.system) not in fresh]
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps([asdict(row) for row in rows], indent=1), "utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
