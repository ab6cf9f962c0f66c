"""One line about what a stage of run.sh left.

    python -m recipes.nano.figure corpus runs/nano/corpus/plain
    python -m recipes.nano.figure run runs/nano/models/flow

What is one of corpus, run, tokens, data, size, lines and file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

LAST_STEPS = 50
"""Steps that the means of a curve are taken over."""


def corpus_figure(folder: Path) -> str:
    """Clips and hours of a stage of the corpus."""
    from recipes.nano.corpus.dataset import RATE_HZ, Corpus

    records = Corpus(folder.parent, (folder.name,)).records
    hours = sum(record["audio"][1] for record in records) / RATE_HZ / 3600
    return f"{len(records)} clips, {hours:.2f} h"


def run_figure(folder: Path) -> str:
    """Steps of a run and means of its last ones."""
    rows = [
        json.loads(line)
        for line in filter(None, (folder / "curve.jsonl").read_text("utf-8").split("\n"))
    ]
    if not rows:
        return "0 steps"
    last = rows[-LAST_STEPS:]
    means = {
        name: fmean(row[name] for row in last if name in row)
        for name in last[-1]
        if name not in ("step", "seconds")
    }
    shown = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
    return f"{rows[-1]['step'] + 1} steps, {shown}"


def tokens_figure(folder: Path) -> str:
    """Shards with codes and with speaker vectors."""
    codes, voices = (len(list(folder.rglob(p))) for p in ("*.npz", "*.speaker.npy"))
    return f"{codes} shards with codes, {voices} with speaker vectors"


def data_figure(folder: Path) -> str:
    """Examples of a data folder, by split."""
    from stepedit_core.data.shards import Dataset

    splits = [line["split"] for line in Dataset(folder).lines]
    return f"{splits.count('train')} examples to train on, {splits.count('dev')} held out"


def size_figure(folder: Path) -> str:
    """Size of a bundle."""
    return f"{sum(p.stat().st_size for p in folder.rglob('*') if p.is_file()) / 1e6:.1f} MB"


def lines_figure(folder: Path) -> str:
    """Lines of the JSON-lines files in a folder."""
    counts = {p.stem: p.read_text("utf-8").count("\n") for p in folder.glob("*.jsonl")}
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def file_figure(path: Path) -> str:
    """Where the result is."""
    return f"{path.name}, {path.stat().st_size} bytes"


FIGURES: dict[str, Callable[[Path], str]] = {
    "corpus": corpus_figure,
    "run": run_figure,
    "tokens": tokens_figure,
    "data": data_figure,
    "size": size_figure,
    "lines": lines_figure,
    "file": file_figure,
}


def main(argv: list[str]) -> int:
    """Print the figure."""
    what, path = argv
    print(FIGURES[what](Path(path)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
