"""Judges of emotion that learnt from actors, and how well they do on other actors.

    python -m recipes.nano.acted --clips REAL_SPEECH --features functionals heard

What is judged is the change from the same actor's plain clip of the same sentence, as in
`stepedit evaluate judge`. RAVDESS (English, eight actors, five emotions) and EmoDB (German, eight
actors, four of the five) each teach a judge, tried on actors of its own that it did not hear, and on
all of the other. *Identified*: among the clips of one actor and sentence, one of each emotion, the
one that was asked for is the most so.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from recipes.nano.exam import RAVDESS
from recipes.nano.over_people import cell
from recipes.nano.training import RATE, fast_math, setup
from recipes.nano.words_heard import WordsHeard
from stepedit_core.audio.files import read_clip
from stepedit_core.audio.resample import resample
from stepedit_core.evaluate.functionals import AcousticJudge, functionals, train_judge
from stepedit_core.types import Clip

EMODB = {"N": "neutral", "F": "happy", "T": "sad", "W": "angry", "A": "fear"}
LAYER = 4
"""Of Whisper-base's six: in the middle, where manner is still heard."""
DECAY = {"functionals": 1e-2, "heard": 1e-1}
"""Of the softmax regression; the wider features need more."""


@dataclass(frozen=True)
class Acted:
    """An acted clip and the plain clip that it is compared with."""

    actor: str
    sentence: str
    label: str
    path: Path
    plain: Path


def ravdess(root: Path) -> list[Acted]:
    """Clips of normal strength and strong ones; neutral and calm are plain."""
    found = []
    for path in sorted((root / "ravdess_dev").rglob("*.flac")):
        _, _, emotion, strength, sentence, take, actor = path.stem.split("-")
        if emotion not in RAVDESS:
            continue
        plain = path.with_name(f"03-01-01-01-{sentence}-{take}-{actor}.flac")
        if plain == path:
            plain = path.with_name(f"03-01-01-01-{sentence}-{3 - int(take):02d}-{actor}.flac")
        name = f"{sentence}-{strength}-{take}"
        found.append(Acted(f"ravdess-{actor}", name, RAVDESS[emotion], path, plain))
    return found


def emodb(root: Path) -> list[Acted]:
    """Clips of four emotions and plain ones, where the actor said the sentence plainly as well."""
    paths = sorted((root / "emodb").glob("*.flac"))
    plain = {path.stem[:5]: path for path in paths if path.stem[5] == "N"}
    found = []
    for path in paths:
        key, letter = path.stem[:5], path.stem[5]
        if letter in EMODB and key in plain:
            source = plain[key]
            if source == path:  # another sentence of the same actor
                others = [p for k, p in plain.items() if k[:2] == key[:2] and p != path]
                if not others:
                    continue
                source = others[0]
            found.append(Acted(f"emodb-{key[:2]}", key[2:], EMODB[letter], path, source))
    return found


def extractor(kind: str) -> Callable[[Clip], Tensor]:
    """Clip to its features (D,)."""
    if kind == "functionals":
        return functionals
    model = WordsHeard(Path(os.environ["WHISPER_BASE"]), layers=(LAYER,))

    def heard(clip: Clip) -> Tensor:
        wave = resample(clip.wave.float(), clip.sample_rate, RATE)
        with torch.no_grad(), fast_math():
            rows = model(wave[None])[0][0].float()
        return torch.cat([rows.mean(0), rows.std(0)])

    return heard


def log_chances(judge: AcousticJudge, changes: Tensor) -> Tensor:
    """Log probabilities (N, labels) of changes (N, D)."""
    return judge.probabilities(changes).clamp(min=1e-12).log()


def identified(
    judge: AcousticJudge, edits: Mapping[str, Tensor], labels: Sequence[str]
) -> dict[str, float]:
    """For each label 1.0 where its edit, of those of one clip, is the most so, else 0.0.

    edits has the changes (D,) of each label's edit. Equal ones share the point.
    """
    scores = log_chances(judge, torch.stack([edits[label] for label in labels]))
    found = {}
    for k, label in enumerate(labels):
        column = scores[:, judge.labels.index(label)]
        best = column >= column.max() - 1e-9
        found[label] = float(best[k]) / float(best.sum())
    return found


def learnt(
    clips: Sequence[Acted], changes: Mapping[Path, Tensor], decay: float, *, without: str = ""
) -> AcousticJudge:
    """A judge of all clips but those of one actor."""
    own = [clip for clip in clips if clip.actor != without]
    features = torch.stack([changes[clip.path] for clip in own])
    return train_judge(features, [clip.label for clip in own], [False] * len(own), decay=decay)


def tried(
    judge_of: Callable[[str], AcousticJudge],
    clips: Sequence[Acted],
    changes: Mapping[Path, Tensor],
    labels: Sequence[str],
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """(right, identified) by actor; judge_of gives the judge for an actor's clips."""
    right: dict[str, list[float]] = defaultdict(list)
    best: dict[str, list[float]] = defaultdict(list)
    groups: dict[tuple[str, str], dict[str, Tensor]] = defaultdict(dict)
    for clip in clips:
        judge, change = judge_of(clip.actor), changes[clip.path]
        if clip.label in labels:
            known = [judge.labels.index(label) for label in labels]
            heard = labels[int(log_chances(judge, change[None])[0, known].argmax())]
            right[clip.actor].append(float(heard == clip.label))
            groups[clip.actor, clip.sentence].setdefault(clip.label, change)
    for (actor, _), edits in groups.items():
        if len(edits) == len(labels):
            best[actor] += identified(judge_of(actor), edits, labels).values()
    return right, best


def percent(values: Mapping[str, Sequence[float]]) -> str:
    """Mean of all values in percent, with its interval over people, and how many there are."""
    flat = [value for own in values.values() for value in own]
    people = [who for who, own in values.items() for _ in own]
    return f"{cell(flat, people, factor=100)} %, n {len(flat)}"


def changes_of(clips: Sequence[Acted], kind: str, kept: Path | None = None) -> dict[Path, Tensor]:
    """Features of every clip less those of its plain one; the file `kept` saves a second reading."""
    known: dict[Path, Tensor] = {}
    if kept is not None and kept.exists():
        known = {Path(name): found for name, found in load_file(kept).items()}
    extract = extractor(kind)
    for path in {p for clip in clips for p in (clip.path, clip.plain)} - set(known):
        known[path] = extract(read_clip(path))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_file({str(path): found.contiguous() for path, found in known.items()}, kept)
    return {clip.path: known[clip.path] - known[clip.plain] for clip in clips}


def main() -> None:
    """Train, try, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--features", nargs="+", choices=list(DECAY), default=["functionals"])
    args = parser.parse_args()
    setup(1)
    sets = {"RAVDESS": ravdess(args.clips), "EmoDB": emodb(args.clips)}
    print("| learnt from | features | tried on | right | identified |\n|---|---|---|---|---|")
    for kind in args.features:
        decay = DECAY[kind]
        changes = {name: changes_of(clips, kind) for name, clips in sets.items()}
        for taught, clips in sets.items():
            whole = learnt(clips, changes[taught], decay)
            apart = {
                actor: learnt(clips, changes[taught], decay, without=actor)
                for actor in {clip.actor for clip in clips}
            }
            for heard, others in sets.items():
                labels = sorted({c.label for c in clips} & {c.label for c in others} - {"neutral"})

                def judge_of(
                    actor: str,
                    apart: dict[str, AcousticJudge] = apart,
                    whole: AcousticJudge = whole,
                ) -> AcousticJudge:
                    return apart.get(actor, whole)

                right, best = tried(judge_of, others, changes[heard], labels)
                where = f"{heard}, {len(labels)} emotions" + (", others" * (heard == taught))
                cells = (percent(right), percent(best))
                print(f"| {taught} | {kind} | {where} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
