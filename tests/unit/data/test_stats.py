"""Statistics: the table of a data folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stepedit_core.data.shards import Dataset, Writer
from stepedit_core.data.stats import rows_of

from .examples import example


def test_the_table_counts_what_is_there(tmp_path: Path):
    with Writer(tmp_path / "d", "tiny-1") as writer:
        writer.add(example(0, margin=6.0))
        writer.add(replace(example(1, margin=9.0), split="dev"))
        writer.add(example(2, option="sad", margin=None))
    rows = rows_of(Dataset(tmp_path / "d").lines)
    # two examples of 3 + 4 groups of 0.12 s
    assert rows[0] == ("emotion happy", "triplet", "2", "1", "0.000", "2", "7.50", "6.00", "9.00")
    assert rows[1] == ("emotion sad", "triplet", "1", "0", "0.000", "1", "-", "-", "-")
    assert rows[2][:5] == ("all", "-", "3", "1", "0.001")
