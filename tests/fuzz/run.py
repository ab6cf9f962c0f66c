"""Malformed inputs for every reader of files: a table of what came of them.

    python -m tests.fuzz.run                     the long run: 150 drawn inputs a family
    python -m tests.fuzz.run --n 20 --seed 7     fewer, drawn from another seed
    python -m tests.fuzz.run --family audio --list    every input that was not refused well

Named inputs of every family are tried unless --every says 1 in K; the drawn
ones depend on the seed alone.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from tests.fuzz.changes import Change, Later
from tests.fuzz.families import FAMILIES, Family
from tests.fuzz.judged import OUTCOMES, Verdict, judge

BAD = ("silent", "traceback", "foreign", "hang", "out-of-memory")


class Tried(NamedTuple):
    """One input and what came of it."""

    family: str
    change: str
    verdict: Verdict


def changes_of(family: Family, count: int, seed: int, every: int) -> Iterator[Change]:
    """Every so many of the named inputs of a family, then `count` drawn ones."""
    yield from family.named[seed % every :: every]
    rng = random.Random(f"{family.name}/{seed}")
    for _ in range(count):
        yield rng.choice(family.drawn)(rng)


def tried(
    families: Sequence[Family], work: Path, *, count: int, seed: int, every: int = 1
) -> Iterator[Tried]:
    """Every input of every family, one after the other."""
    for family in families:
        good = work / family.name
        good.mkdir()
        family.make(good)
        bad = work / "spoilt"
        shutil.copytree(good, bad)
        family.read(bad)  # the good files are read
        shutil.rmtree(bad)
        for change in changes_of(family, count, seed, every):
            shutil.copytree(good, bad)
            if isinstance(change, Later):
                change = change.plan(good)
            change.spoil(bad)
            verdict = judge(partial(family.read, bad), wrong=change.wrong)
            yield Tried(family.name, change.name, verdict)
            shutil.rmtree(bad)


def table(found: Sequence[Tried]) -> str:
    """Rows of families, columns of outcomes."""
    head = ("family", "inputs", *OUTCOMES)
    rows: list[tuple[str, ...]] = [head]
    names = [*dict.fromkeys(one.family for one in found), "all"]
    for name in names:
        here = [one for one in found if name in (one.family, "all")]
        counts = Counter(one.verdict.outcome for one in here)
        rows.append((name, str(len(here)), *(str(counts[o] or "-") for o in OUTCOMES)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if i else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def main() -> int:
    """By hand: see the top of the file."""
    parser = argparse.ArgumentParser(description="Malformed inputs for every reader of files.")
    parser.add_argument("--n", type=int, default=150, help="drawn inputs a family")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1, help="so many of the named inputs: 1 in K")
    parser.add_argument("--family", action="append", choices=[f.name for f in FAMILIES])
    parser.add_argument("--list", action="store_true", help="say every input that was read badly")
    given = parser.parse_args()
    torch.set_num_threads(1)
    families = [f for f in FAMILIES if not given.family or f.name in given.family]
    found, began = [], time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        for one in tried(families, Path(work), count=given.n, seed=given.seed, every=given.every):
            found.append(one)
            if given.list and one.verdict.outcome in BAD:
                line = f"{one.family}: {one.change}: {one.verdict.outcome}: {one.verdict.words}"
                print(ascii(line)[1:-1][:600], flush=True)
    print(table(found))
    print(f"seed {given.seed}, {given.n} drawn a family, {time.monotonic() - began:.0f} s")
    return int(any(one.verdict.outcome in BAD for one in found))


if __name__ == "__main__":
    sys.exit(main())
