"""How much of what a data folder has: one row a class, and the same as a picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..files.chart import bars
from ..files.terminal import table
from ..vocab import GROUP_SECONDS
from .select import label_of

if TYPE_CHECKING:
    from PIL.Image import Image

HEAD = ("class", "kind", "examples", "dev", "hours", "speakers", "margin", "least", "most")


def rows_of(lines: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Cells of the table: classes in order of name, then all together.

    Hours count every code side once; margin is the mean of those that are known.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for line in lines:
        groups[label_of(line), line["kind"]].append(line)
    rows = [_row(*names, group) for names, group in sorted(groups.items())]
    return [*rows, _row("all", "-", [line for group in groups.values() for line in group])]


def _row(name: str, kind: str, group: list[Mapping[str, Any]]) -> tuple[str, ...]:
    seconds = sum(
        line[side][1] * GROUP_SECONDS
        for line in group
        for side in ("source", "target", "rejected")
        if line.get(side)
    )
    margins = [line["margin"] for line in group if line["margin"] is not None]
    shown = (
        (f"{sum(margins) / len(margins):.2f}", f"{min(margins):.2f}", f"{max(margins):.2f}")
        if margins
        else ("-", "-", "-")
    )
    dev = sum(line["split"] == "dev" for line in group)
    speakers = len({line["speaker"] for line in group})
    return (name, kind, str(len(group)), str(dev), f"{seconds / 3600:.3f}", str(speakers), *shown)


def stats_table(lines: Iterable[Mapping[str, Any]]) -> str:
    """The table as text."""
    return table(HEAD, rows_of(lines))


def stats_picture(lines: Iterable[Mapping[str, Any]]) -> Image:
    """Bars: examples of each class, then examples by margin."""
    lines = list(lines)
    counts = [(f"{row[0]} ({row[1]})", float(row[2])) for row in rows_of(lines)[:-1]]
    marks: dict[int, int] = defaultdict(int)
    for line in lines:
        if line["margin"] is not None:
            marks[int(line["margin"])] += 1
    counts += [(f"margin {m} to {m + 1}", float(marks[m])) for m in sorted(marks)]
    return bars(counts, f"{len(lines)} examples by class and by margin")
