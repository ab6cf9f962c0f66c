"""Edits of people that nothing was trained on, by nano and by plain signal processing, and judges.

    python -m recipes.nano.judge_people make --clips REAL_SPEECH --plain plain_dsp.py --out runs/people
    python -m recipes.nano.judge_people judge --out runs/people --what functionals heard voice tiny mos base

`make` edits, one step of STEPS for all recordings before the next; `judge` lets one judge after the
other hear every clip. Both continue where they stopped, may run at once, and need $WHISPER_BASE;
"tiny" needs $WHISPER_TINY, Whisper tiny.en, which taught nothing here, where Whisper-base taught
the vocoder. `recipes.nano.people_figures` makes the tables. FILE of --plain has
`edit(wave, rate, kind, option, strength) -> wave at 24 kHz`.

The people: ten readers of LibriSpeech test-other twice, eight actors of RAVDESS (a plain
sentence), two English examples of the release. No training of any part heard them.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from recipes.nano.acted import DECAY, extractor
from recipes.nano.exam import CLASSES
from recipes.nano.judge import Judges
from recipes.nano.training import log, setup
from stepedit_core.audio.files import read_clip, write_wav
from stepedit_core.files.reading import read_lines
from stepedit_core.measure.whisper import FasterWhisper
from stepedit_core.pipelines.makers import vocabulary_of
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.resynthesize import resynthesize
from stepedit_core.pipelines.rounds import iterate_rounds
from stepedit_core.registry.handle import Bundle
from stepedit_core.registry.registry import Registry
from stepedit_core.text.engines import engine_of
from stepedit_core.types import Clip, Decoding, EditRequest

SHORTEST, NEAREST = 2.4, 3.5
"""Seconds: of the shortest recording of a reader, and of the one that would be chosen first."""
EXAMPLES = ("zero_shot_en_prompt", "en_happy_prompt")
CATALOGUE = "made.jsonl"
PLAIN_STYLES = ("whisper", "child", "older", "exaggerated")
"""Styles that the plain rules know."""
STEPS = ("plain", "emotion 1.0", "style 1.0", "emotion 1.5", "style 1.5", "emotion 2.0")
ROUNDS = {"emotion": 3, "style": 3}
Row = dict[str, Any]


@dataclass(frozen=True)
class Person:
    """A recording that is edited."""

    name: str
    """Of the recording."""
    who: str
    path: Path


def people(root: Path) -> list[Person]:
    """The recordings: everybody once, then the readers a second time."""
    own: dict[str, list[tuple[float, Path]]] = defaultdict(list)
    for path in sorted((root / "held_out_people").glob("*.flac")):
        seconds = soundfile.info(path).duration
        if seconds >= SHORTEST:
            own[path.stem.split("-")[0]].append((abs(seconds - NEAREST), path))
    turns = [sorted(paths)[:2] for _, paths in sorted(own.items())]
    actors = sorted((root / "ravdess_dev").glob("actor_*"))
    acted = [
        actor / f"03-01-01-01-{1 + k % 2:02d}-01-{actor.name[-2:]}.flac"
        for k, actor in enumerate(actors)
    ]
    examples = [root / "editx_examples" / f"{name}.wav" for name in EXAMPLES]
    first, second = ([turn[k][1] for turn in turns] for k in (0, 1))
    return [
        *(Person(p.stem, p.stem.split("-")[0], p) for p in first),
        *(Person(p.stem, p.parent.name, p) for p in acted),
        *(Person(p.stem, p.stem, p) for p in examples),
        *(Person(p.stem, p.stem.split("-")[0], p) for p in second),
    ]


def plain_edit(path: Path) -> Callable[..., np.ndarray]:
    """The function `edit` of a file."""
    spec = importlib.util.spec_from_file_location("plain_edit", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[..., np.ndarray] = module.edit
    return found


class Maker:
    """Makes the clips of a step from one recording."""

    def __init__(self, bundle: Bundle, plain: Callable[..., np.ndarray]) -> None:
        self.bundle, self.plain = bundle, plain

    def __call__(self, step: str, clip: Clip, words: str, seed: int) -> Iterator[tuple[Row, Clip]]:
        """Rows with kind, option, way and round, and their clips."""
        if step == "plain":
            yield self._row("", "", "recording", 0), clip
            yield self._row("", "", "nano", 0), resynthesize(self.bundle, clip, seed=seed).clip
            yield self._row("", "", "plain", 0), self._plain(clip, "copy", "", 1.0)
            for option in CLASSES["emotion"]:
                made = self._plain(clip, "emotion", option, 2.0)
                yield self._row("emotion", option, "plain", 1), made
            for option in PLAIN_STYLES:
                made = self._plain(clip, "style", option, 1.0)
                yield self._row("style", option, "plain", 1), made
            return
        kind, strength = step.split()
        for option in CLASSES[kind]:
            request = EditRequest(kind=kind, option=option, text=words)  # type: ignore[arg-type]
            signal = engine_of(request, vocabulary_of(self.bundle)) == "signal"
            decoding = Decoding(strength=1.0 if signal else float(strength))
            settings = {"seed": seed, "rounds": ROUNDS[kind], "decoding": decoding}
            plan = make_plan(self.bundle, clip, [request], **settings)
            for number, made in enumerate(iterate_rounds(self.bundle, clip, plan)):
                if number:
                    yield self._row(kind, option, f"nano {strength}", number), made.clip

    def _row(self, kind: str, option: str, way: str, number: int) -> Row:
        return {"kind": kind, "option": option, "way": way, "round": number}

    def _plain(self, clip: Clip, kind: str, option: str, strength: float) -> Clip:
        wave = self.plain(clip.wave.numpy(), clip.sample_rate, kind, option, strength)
        return Clip(wave=torch.from_numpy(np.array(wave, np.float32)), sample_rate=24_000)


def rows_of(path: Path) -> list[Row]:
    """The lines of a file that may not be there yet."""
    return [json.loads(line.text) for line in read_lines(path)] if path.exists() else []


def add(path: Path, rows: list[Row]) -> None:
    """Append lines."""
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))


def make(args: argparse.Namespace) -> None:
    """All clips of all steps."""
    args.out.mkdir(parents=True, exist_ok=True)
    catalogue = args.out / CATALOGUE
    rows = rows_of(catalogue)
    done = {(row["clip"], row["step"]) for row in rows}
    words = {row["clip"]: row["words"] for row in rows}
    ears = FasterWhisper(threads=1)
    maker = Maker(Registry().load(args.bundle), plain_edit(args.plain))
    recordings = people(args.clips)[args.first :][: args.count]
    for step in args.steps:
        for number, person in enumerate(recordings, start=args.first):
            if (person.name, step) in done:
                continue
            clip = read_clip(person.path)
            if person.name not in words:
                words[person.name] = ears.transcribe(clip)
            own = []
            for row, made in maker(step, clip, words[person.name], number):
                name = "-".join(filter(None, (row["kind"], row["option"], row["way"])))
                file = f"{person.name}/{name}-{row['round']}.wav".replace(" ", "-")
                (args.out / person.name).mkdir(exist_ok=True)
                write_wav(args.out / file, replace(made, wave=made.wave.clamp(-1, 1)))
                about = {"clip": person.name, "who": person.who, "words": words[person.name]}
                own.append({**about, "step": step, **row, "file": file, "seconds": made.seconds})
            add(catalogue, own)
            log.info("%s: %d %s", step, number, person.name)


def judge_functions() -> dict[str, Callable[[], Callable[[Clip], Any]]]:
    """Name of a judge -> what opens it; each gives what JSON has room for."""
    judges = Judges()

    def voice() -> Callable[[Clip], Any]:
        return lambda clip: {
            "speaker": [round(float(v), 5) for v in judges.speaker(clip)],
            "pitch": judges.pitch(clip),
        }

    def features(kind: str) -> Callable[[], Callable[[Clip], Any]]:
        def opened() -> Callable[[Clip], Any]:
            extract = extractor(kind)
            return lambda clip: [round(float(v), 4) for v in extract(clip)]

        return opened

    def words(folder: str) -> Callable[[], Callable[[Clip], Any]]:
        return lambda: FasterWhisper(os.environ[folder], threads=1).transcribe

    return {
        **{kind: features(kind) for kind in DECAY},
        "voice": voice,
        "mos": lambda: judges.mos,
        "tiny": words("WHISPER_TINY"),
        "base": words("WHISPER_BASE"),
    }


def judge(args: argparse.Namespace) -> None:
    """Every judge hears every clip of the catalogue that it has not heard."""
    opened = judge_functions()
    k, n = map(int, args.part.split("/"))
    for what in args.what:
        path = args.out / f"{what}.jsonl"
        known = {row["file"] for row in rows_of(path)}
        hear: Callable[[Clip], Any] | None = None
        for row in rows_of(args.out / CATALOGUE)[k::n]:
            asked = row["step"] in (args.steps or STEPS) and row["round"] in args.rounds
            if row["file"] in known or not asked:
                continue
            hear = hear or opened[what]()
            heard = hear(read_clip(args.out / row["file"]))
            add(path, [{"file": row["file"], what: heard}])
        log.info("%s done", what)


def main() -> None:
    """One of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("make")
    making.add_argument("--clips", type=Path, required=True)
    making.add_argument("--plain", type=Path, required=True)
    making.add_argument("--bundle", default="nano")
    making.add_argument("--first", type=int, default=0, help="for a part of the recordings")
    making.add_argument("--count", type=int, default=30)
    making.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS[:4])
    making.set_defaults(do=make)
    judging = commands.add_parser("judge")
    judging.add_argument("--what", nargs="+", choices=list(judge_functions()), required=True)
    judging.add_argument("--steps", nargs="+", choices=STEPS)
    judging.add_argument("--rounds", nargs="+", type=int, default=list(range(10)))
    judging.add_argument("--part", default="0/1", help="k/n: every n-th clip from the k-th")
    judging.set_defaults(do=judge)
    for command in (making, judging):
        command.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    setup(1)
    logging.getLogger("faster_whisper").setLevel(logging.WARNING)
    args.do(args)


if __name__ == "__main__":
    main()
