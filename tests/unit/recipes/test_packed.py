"""Recordings that travel: unpacked they are the same clips; held-out people stay at home."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the recipes need scipy")

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.corpus.packed import in_turn, pack, unpack
from recipes.nano.corpus.shards import Shard


def people(root: Path) -> None:
    """Six clips of a chord below 8 kHz by three speakers, one of them held out."""
    shard = Shard(root / "people/people-000")
    time = np.arange(24_000) / 24_000
    for k in range(6):
        wave = 0.2 * (np.sin(2 * np.pi * (200 + 50 * k) * time) + np.sin(2 * np.pi * 5000 * time))
        split = "dev" if k % 3 == 2 else "train"
        record = {"id": f"c{k}", "kind": "neutral", "speaker": f"s{k % 3}", "split": split}
        shard.add(record, wave.astype(np.float32), np.full(80, 100.0 + k), None)
    shard.write()


def test_what_is_packed_comes_back(tmp_path: Path) -> None:
    people(tmp_path / "corpus")
    assert pack(tmp_path / "corpus", tmp_path / "pack", 30.0) == 4
    assert unpack(tmp_path / "pack", tmp_path / "back") == 4
    before, after = Corpus(tmp_path / "corpus"), Corpus(tmp_path / "back")
    assert [r["id"] for r in after.records] == ["c0", "c1", "c3", "c4"]
    known = {r["id"]: r for r in before.records}
    for record in after.records:
        old = known[record["id"]]
        assert {k: record[k] for k in ("speaker", "split")} == {
            k: old[k] for k in ("speaker", "split")
        }
        np.testing.assert_array_equal(after.f0(record), before.f0(old))
        one, other = after.audio(record), before.audio(old)
        assert one.shape == other.shape
        inside = slice(200, -200)  # resampling has no neighbours at the ends
        np.testing.assert_allclose(one[inside], other[inside], atol=2e-3)


def test_the_limit_ends_the_packing(tmp_path: Path) -> None:
    people(tmp_path / "corpus")
    whole = pack(tmp_path / "corpus", tmp_path / "pack", 30.0)
    size = (tmp_path / "pack/clips.npz").stat().st_size
    assert pack(tmp_path / "corpus", tmp_path / "half", size / 2e6) < whole
    assert (tmp_path / "half/clips.npz").stat().st_size < 0.6 * size


def test_speakers_come_in_turn() -> None:
    records = [{"speaker": s, "id": i} for i, s in enumerate("aaabbc")]
    assert [r["id"] for r in in_turn(records)] == [0, 3, 5, 1, 4, 2]
