"""Tables of what recipes.nano.judge_people made and heard.

    python -m recipes.nano.people_figures --people runs/people --clips REAL_SPEECH --exam runs/exam

Words are those that one ear reads otherwise than in the recording. *Identified*: among the edits of
one recording, one of each emotion, the one that was asked for is the most so; told by the judge of
the archetypes (`recipes.nano.exam`) and by judges that learnt from actors (`recipes.nano.acted`), an
actor's own clips left out. Brackets are 95 % intervals over people and their recordings.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recipes.nano.acted import DECAY, changes_of, emodb, identified, learnt, ravdess
from recipes.nano.exam import CLASSES
from recipes.nano.judge_people import CATALOGUE, PLAIN_STYLES, rows_of
from recipes.nano.over_people import cell, rate
from recipes.nano.training import setup
from stepedit_core.evaluate.functionals import AcousticJudge, load_judge
from stepedit_core.measure.holding import edit_distance
from stepedit_core.measure.recogniser import plain_words

EARS = ("tiny", "base")
HEARD = ("functionals", "heard", "voice", "mos", *EARS)
BY_ACTORS = 4
"""Emotions that both sets of actors have; "surprised" is RAVDESS's alone."""
Row = dict[str, Any]
JudgeOf = Callable[[str], AcousticJudge]
Way = tuple[str, int]
"""Who made an edit, and in which round."""
Hits = dict[tuple[str, str], float]
"""Recording and label -> whether that edit is identified."""
COMPARED: dict[str, tuple[tuple[Way, Way], ...]] = {
    "emotion": (
        (("nano 1.0", 3), ("nano 1.0", 1)),
        (("nano 1.5", 1), ("nano 1.0", 1)),
        (("nano 1.5", 1), ("nano 1.0", 3)),
        (("nano 1.5", 3), ("nano 1.0", 3)),
        (("plain", 1), ("nano 1.0", 3)),
    ),
    "style": ((("plain", 1), ("nano 1.0", 1)),),
}


def gathered(folder: Path) -> list[Row]:
    """The catalogue's rows with all that was heard of them, and figures beside the recording's."""
    heard = {
        what: {r["file"]: r[what] for r in rows_of(folder / f"{what}.jsonl")} for what in HEARD
    }
    rows = rows_of(folder / CATALOGUE)
    for row in rows:
        row |= {what: heard[what][row["file"]] for what in HEARD if row["file"] in heard[what]}
    plain = {row["clip"]: row for row in rows if row["way"] == "recording"}
    for row in rows:
        source = plain.get(row["clip"], {})
        for ear in EARS:
            if ear in row and ear in source:
                said = plain_words(source[ear])
                row[f"wrong {ear}"] = (edit_distance(said, plain_words(row[ear])), len(said))
        if "voice" in row and "voice" in source:
            row["similarity"] = float(np.dot(row["voice"]["speaker"], source["voice"]["speaker"]))
            own, its = (r["voice"]["pitch"][2] * r["seconds"] for r in (row, source))
            row["voiced"] = own / max(0.01, its)
            if row["voice"]["pitch"][0] and source["voice"]["pitch"][0]:
                row["pitch"] = row["voice"]["pitch"][0] / source["voice"]["pitch"][0]
        for kind in DECAY:
            if kind in row and kind in source:
                row[f"change {kind}"] = torch.tensor(row[kind]) - torch.tensor(source[kind])
    return rows


def actors_judge(clips: Path, kept: Path, taught: str, kind: str) -> JudgeOf:
    """For a person of judge_people, the judge of actors that did not learn from that person."""
    acted = {"ravdess": ravdess, "emodb": emodb}[taught](clips)
    changes = changes_of(acted, kind, kept / f"{taught}-{kind}.safetensors")

    @cache
    def judge_of(who: str) -> AcousticJudge:
        actor = f"ravdess-{who.removeprefix('actor_')}" if who.startswith("actor_") else ""
        return learnt(acted, changes, DECAY[kind], without=actor)

    return lambda who: judge_of(who if who.startswith("actor_") else "")


def hits_of(rows: Sequence[Row], judge_of: JudgeOf, labels: Sequence[str], kind: str) -> Hits:
    """Whether each edit is identified, of recordings that have one of each label."""
    groups: dict[str, dict[str, Tensor]] = defaultdict(dict)
    who = {row["clip"]: row["who"] for row in rows}
    for row in rows:
        if row["option"] in labels and f"change {kind}" in row:
            groups[row["clip"]][row["option"]] = row[f"change {kind}"]
    return {
        (clip, label): hit
        for clip, edits in groups.items()
        if len(edits) == len(labels)
        for label, hit in identified(judge_of(who[clip]), edits, labels).items()
    }


def figure(rows: Sequence[Row], name: str, *, factor: float = 1.0, digits: int = 0) -> str:
    """A table's cell of one figure; the number of rows follows where some were not judged."""
    own = [row for row in rows if name in row]
    figures = {"figures": rate} if name.startswith("wrong") else {}
    values = [row[name] for row in own]
    found = cell(values, [row["who"] for row in own], factor=factor, digits=digits, **figures)
    return f"{found} of {len(own)}" if 0 < len(own) < len(rows) else found


def sound_cells(rows: Sequence[Row]) -> list[str]:
    """Number of clips, words by both ears, voice and quality."""
    return [
        str(len(rows)),
        *(figure(rows, f"wrong {ear}", factor=100) for ear in EARS),
        figure(rows, "similarity", digits=2),
        figure(rows, "mos", digits=2),
    ]


SOUND = ("n", "WER, tiny.en", "WER, base", "similarity", "DistillMOS")


def ways_of(rows: Sequence[Row], kind: str) -> dict[Way, list[Row]]:
    """Rows of a kind by way and round."""
    found: dict[Way, list[Row]] = defaultdict(list)
    for row in rows:
        if row["kind"] == kind:
            found[row["way"], row["round"]].append(row)
    return dict(sorted(found.items()))


def hit_cell(hits: Hits, who: dict[str, str], label: str = "") -> str:
    """Share that is identified, of one label or of all."""
    own = {key: hit for key, hit in hits.items() if label in ("", key[1])}
    return cell(list(own.values()), [who[clip] for clip, _ in own], factor=100)


def difference(one: Sequence[Row], other: Sequence[Row], name: str, **how: Any) -> str:
    """A figure of some rows less that of others, for recordings and options that both have."""
    known = {(row["clip"], row["option"]): row[name] for row in other if name in row}
    pairs = [(row, known.get((row["clip"], row["option"]))) for row in one if name in row]
    pairs = [(row, old) for row, old in pairs if old is not None]
    who = [row["who"] for row, _ in pairs]
    if name.startswith("wrong"):
        values = [(row[name][0] - old[0], old[1]) for row, old in pairs]
        return cell(values, who, rate, **how)
    return cell([row[name] - old for row, old in pairs], who, **how)


def hit_difference(one: Hits, other: Hits, who: dict[str, str]) -> str:
    """How much more often edits are identified, recordings that both have."""
    both = [key for key in one if key in other]
    values = [one[key] - other[key] for key in both]
    return cell(values, [who[clip] for clip, _ in both], factor=100)


def one_kind(
    rows: Sequence[Row], kind: str, judges: dict[str, tuple[JudgeOf, tuple[str, ...], str]]
) -> None:
    """Print a kind of edit: all options together, each option, and differences of ways."""
    ways = ways_of(rows, kind)
    who = {row["clip"]: row["who"] for row in rows}
    found = {
        (way, name): hits_of(own, judge_of, labels, features)
        for way, own in ways.items()
        for name, (judge_of, labels, features) in judges.items()
    }
    heads = [f"{name} (chance {100 / len(labels):.0f})" for name, (_, labels, _) in judges.items()]
    lines = [
        (
            f"{way[0]}, round {way[1]}",
            *sound_cells(own),
            *(hit_cell(found[way, n], who) for n in judges),
        )
        for way, own in ways.items()
    ]
    print(markdown((kind, *SOUND, *heads), lines))
    lines = []
    for one, other in COMPARED[kind]:
        if one in ways and other in ways:
            pair = ways[one], ways[other]
            cells = [difference(*pair, f"wrong {ear}", factor=100) for ear in EARS]
            cells += [difference(*pair, name, digits=2) for name in ("similarity", "mos")]
            cells += [hit_difference(found[one, n], found[other, n], who) for n in judges]
            lines.append((f"{one[0]}, {one[1]}, minus {other[0]}, {other[1]}", *cells))
    print(markdown(("difference", *SOUND[1:], *judges), lines))
    lines = []
    for option in CLASSES[kind]:
        for way, own in ways.items():
            some = [row for row in own if row["option"] == option]
            if some:
                sound = [*sound_cells(some), figure(some, "pitch", digits=2)]
                sound += [figure(some, "voiced", digits=2)]
                hits = [hit_cell(found[way, name], who, option) for name in judges]
                lines.append((f"{option}, {way[0]}, round {way[1]}", *sound, *hits))
    print(markdown((kind, *SOUND, "median F0", "voiced time", *judges), lines))


def markdown(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table."""
    rows = [heads, ["---"] * len(heads), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    """Gather, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("people", "clips", "exam"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    setup(1)
    rows = gathered(args.people)
    who = {row["clip"]: row["who"] for row in rows}
    print(f"{len(who)} recordings of {len(set(who.values()))} people: {', '.join(who)}\n")
    still = [row for row in rows if not row["kind"]]
    lines = [
        (name, *sound_cells([row for row in still if row["way"] == way]))
        for name, way in (
            ("recording", "recording"),
            ("resynthesized by nano", "nano"),
            ("WORLD copy", "plain"),
        )
    ]
    print(markdown(("no edit", *SOUND), lines))
    five, style = (load_judge(args.exam / f"{kind}.safetensors") for kind in CLASSES)
    emotions = CLASSES["emotion"]
    judges: dict[str, tuple[JudgeOf, tuple[str, ...], str]] = {
        "archetypes": (lambda _: five, emotions, "functionals")
    }
    for taught, labels in (("ravdess", emotions), ("emodb", emotions[:BY_ACTORS])):
        for kind in DECAY:
            judge_of = actors_judge(args.clips, args.people / "acted", taught, kind)
            judges[f"{taught}, {kind}"] = (judge_of, labels, kind)
    one_kind(rows, "emotion", judges)
    styles = {
        f"archetypes, of {len(labels)}": ((lambda _: style), labels, "functionals")
        for labels in (CLASSES["style"], PLAIN_STYLES)
    }
    one_kind(rows, "style", styles)


if __name__ == "__main__":
    main()
