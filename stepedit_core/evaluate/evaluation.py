"""A bundle over all cases: one line a clip, then a table and a chart. A stopped one resumes."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ..files.chart import Point, lines
from ..files.lock import locked
from ..files.reading import LINES_LIMIT, parse_object, read_text
from ..files.terminal import table
from ..files.whole import append, ready_folder, write_whole
from ..pipelines.settings import MOST_ROUNDS
from ..printable import shown
from ..registry.handle import Bundle
from .cases import Case
from .intervals import Interval, class_interval, interval
from .judges import Figure, Judge
from .protocol import Outcome, Protocol, Start, run_case

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)
CLIPS = "clips.jsonl"
BEGIN = '{"case": '
"""Start of every line of it."""
REMEDY = "Remove the file, or name another folder."
Row = dict[str, Any]


def evaluate(
    bundle: Bundle,
    cases: Sequence[Case],
    out: Path,
    protocol: Protocol,
    *,
    judges: Mapping[str, Judge],
    figures: Mapping[str, Figure],
) -> list[Row]:
    """Lines of all clips; those in clips.jsonl of `out` are not made again.

    Args:
        bundle: the model.
        cases: what is said and edited.
        out: folder of clips.jsonl; one of another bundle, seed, start or rounds is refused, and
            one that another process writes.
        protocol: voices, rounds, seed and start.
        judges: kind of edit -> judge; a kind without one gets no accuracy.
        figures: name -> figure, measured on every clip.
    """
    ready_folder(out)
    about = {
        "bundle": bundle.sha256,
        "seed": protocol.seed,
        "rounds": protocol.rounds,
        "start": protocol.start,
    }
    path = out / CLIPS
    with locked(out):
        done = read_rows(path)
        other = next((row for row in done if row["about"] != about), None)
        if other is not None:
            raise ValueError(
                f"'{shown(out.name)}' has clips of another bundle, seed, start or number of "
                "rounds. Name another folder."
            )
        known = {(row["case"], row["voice"]) for row in done}
        for number, case in enumerate(cases, start=1):
            for voice in protocol.voices:
                if (case.name, voice) in known:
                    continue
                made = [
                    {**row_of(outcome, judges, figures), "about": about}
                    for outcome in run_case(bundle, case, protocol, voice=voice)
                ]
                # the clips of a case are one write: a kill never leaves half of them
                append(
                    path,
                    "".join(
                        json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in made
                    ),
                )
                done += made
            log.info("%d of %d cases", number, len(cases))
    asked = {(case.name, voice) for case in cases for voice in protocol.voices}
    return [row for row in done if (row["case"], row["voice"]) in asked]


def read_rows(path: Path) -> list[Row]:
    """Whole cases of a clips.jsonl; what a kill left torn at its end is cut off the file."""
    if not path.exists():
        return []
    text = read_text(path, LINES_LIMIT, REMEDY)
    if not text:
        raise ValueError(f"'{shown(path.name)}' is empty; a clip a line is expected. {REMEDY}")
    rows = []
    *lines, torn = text.split("\n")
    # every line of ours begins in one way; somebody's text without an end is not a torn one
    if torn[: len(BEGIN)] != BEGIN[: len(torn)]:
        raise ValueError(
            f"the last line of '{shown(path.name)}' is not a clip that `stepedit evaluate run` "
            f"wrote. {REMEDY}"
        )
    for number, line in enumerate(lines, start=1):
        where = f"line {number} of {shown(path.name)}"
        rows.append(_checked(parse_object(line, where, REMEDY), where))
    while rows and not rows[-1]["last"]:
        rows.pop()
    kept = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    if not kept:
        path.unlink()
    elif kept != text:
        write_whole(path, kept)
    return rows


TEXTS = ("case", "speaker", "language", "kind", "label", "voice")
LARGEST = 1e9
"""Of all figures."""
NUMBERS = ("margin", "accuracy", "seconds", "real_time")


def _checked(row: Row, where: str) -> Row:
    """A line that row_of may have written; ValueError for any other."""
    texts = all(isinstance(row.get(name), str) for name in TEXTS)
    absent = [name for name in NUMBERS if name not in row]
    others = {k: v for k, v in row.items() if k not in (*TEXTS, "about", "last")}
    figures = all(value is None or _is_figure(value) for value in others.values())
    known = type(row.get("iteration")) is int and 0 <= row["iteration"] <= 100
    flag = isinstance(row.get("last"), bool) and _is_about(row.get("about"))
    times = all(_is_figure(row.get(name)) for name in ("seconds", "real_time"))
    if not (texts and figures and known and flag and times) or absent:
        raise ValueError(f"{where} is not a clip that `stepedit evaluate run` wrote. {REMEDY}")
    return row


def _is_figure(value: object) -> bool:
    """Whether a value is a number that something can measure."""
    return type(value) in (int, float) and abs(value) <= LARGEST  # type: ignore[arg-type]


def _is_about(value: object) -> bool:
    """Whether a value says which run a clip is of, as `evaluate` writes it."""
    if not isinstance(value, dict) or value.keys() != {"bundle", "seed", "rounds", "start"}:
        return False
    whole = type(value["seed"]) is int and type(value["rounds"]) is int
    bounded = whole and 0 <= value["seed"] < 2**64 and 0 <= value["rounds"] <= MOST_ROUNDS
    return bounded and isinstance(value["bundle"], str) and value["start"] in get_args(Start)


def row_of(outcome: Outcome, judges: Mapping[str, Judge], figures: Mapping[str, Figure]) -> Row:
    """The line of a clip."""
    case, made = outcome.case, outcome.made
    judge = judges.get(case.kind)
    return {
        "case": case.name,
        "speaker": case.speaker,
        "language": case.language,
        "kind": case.kind,
        "label": case.label,
        "voice": outcome.voice,
        "iteration": outcome.iteration,
        "last": outcome.last,
        "accuracy": judge and judge(outcome.original, made.clip, case.label),
        "margin": made.score,
        "seconds": round(made.clip.seconds, 3),
        "real_time": round(made.seconds_elapsed / max(made.clip.seconds, 1e-3), 4),
        **{name: figure(outcome) for name, figure in figures.items()},
    }


def summary(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """One entry a kind, voice and iteration: intervals of accuracy and of every other figure.

    Accuracy is the mean over classes of the mean over their clips, as the benchmark counts it.
    """
    groups: dict[tuple[str, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["kind"], row["voice"], row["iteration"]].append(row)
    entries = []
    for (kind, voice, iteration), group in sorted(groups.items()):
        entry: Row = {"kind": kind, "voice": voice, "iteration": iteration, "clips": len(group)}
        judged = _by_class(group)
        entry["accuracy"] = class_interval(judged) if judged else None
        entry["classes"] = {name: interval(values) for name, values in judged.items()}
        for name in names:
            entry[name] = interval([row[name] for row in group])
        entries.append(entry)
    return entries


def _by_class(rows: Sequence[Row]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["accuracy"] is not None:
            found[row["label"]].append(row["accuracy"])
    return dict(sorted(found.items()))


def summary_table(entries: Sequence[Row], names: Sequence[str]) -> str:
    """The summary as text: one line a kind, voice and iteration."""
    head = ("kind", "voice", "iter", "clips", "accuracy", *names)
    cells = [
        (
            entry["kind"],
            entry["voice"],
            str(entry["iteration"]),
            str(entry["clips"]),
            *(str(entry[name] or "-") for name in ("accuracy", *names)),
        )
        for entry in entries
    ]
    return table(head, cells)


def class_table(entries: Sequence[Row]) -> str:
    """Accuracy of every class: one line a kind, voice and class, one column an iteration."""
    iterations = sorted({entry["iteration"] for entry in entries})
    cells: dict[tuple[str, str, str], dict[int, Interval]] = defaultdict(dict)
    for entry in entries:
        for name, value in entry["classes"].items():
            cells[entry["kind"], entry["voice"], name][entry["iteration"]] = value
    rows = [
        (*key, *(str(row.get(i, "-")) for i in iterations)) for key, row in sorted(cells.items())
    ]
    return table(("kind", "voice", "class", *(f"Iter{i}" for i in iterations)), rows)


def accuracy_chart(entries: Sequence[Row], against: str) -> Image:
    """Accuracy of every kind and voice against "iteration", or against the mean of a figure."""
    series: dict[str, list[Point]] = defaultdict(list)
    for entry in entries:
        found = entry["accuracy"]
        if found is not None:
            x = entry[against] if against == "iteration" else entry[against].mean
            series[f"{entry['kind']}, {entry['voice']}"].append((x, *found[:3]))
    return lines(series, "accuracy", x_name=against, y_name="accuracy (95 % interval)")
