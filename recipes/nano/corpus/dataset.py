"""Reader of the corpus: numpy only, memory-mapped, usable while the corpus still grows.

A shard is four files with one stem: STEM.jsonl (one record a line, written last, so its presence
means the shard is complete), STEM.audio.npy (int16, 24 kHz), STEM.f0.npy (float16 Hz, 80 a second),
STEM.phones.npy (uint8, 80 a second; only where `frames` of a record has labels).
"""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

RATE_HZ = 24000
HOP = 300


class Corpus:
    """All complete shards under a root."""

    def __init__(self, root: str | Path, stages: tuple[str, ...] | None = None):
        """stages: of "plain", "edits", "kokoro", "libri"; None takes all."""
        self.root = Path(root)
        self.stages = stages
        self.records: list[dict] = []
        self._seen: set[str] = set()
        self._maps: dict[tuple[str, str], np.ndarray] = {}
        self.refresh()

    def refresh(self) -> int:
        """Add shards completed since; returns how many records are new."""
        before = len(self.records)
        for path in sorted(self.root.glob("*/*.jsonl")):
            stem = str(path.with_suffix("").relative_to(self.root))
            if stem in self._seen or (self.stages and path.parent.name not in self.stages):
                continue
            self._seen.add(stem)
            for line in filter(None, path.read_text("utf-8").split("\n")):
                record = json.loads(line)
                record["shard"] = stem
                self.records.append(record)
        return len(self.records) - before

    def _array(self, record: dict, part: str) -> np.ndarray:
        key = (record["shard"], part)
        if key not in self._maps:
            path = self.root / f"{key[0]}.{part}.npy"
            self._maps[key] = np.load(path, mmap_mode="r")
        return self._maps[key]

    def audio(self, record: dict) -> np.ndarray:
        """(N,) float32 at 24 kHz."""
        at, n = record["audio"]
        return np.asarray(self._array(record, "audio")[at : at + n], np.float32) / 32768

    def f0(self, record: dict) -> np.ndarray:
        """(F,) float32 Hz, 80 frames a second, 0 where unvoiced; frame k covers 300k..300k+299."""
        at, n = record["frames"]
        return np.asarray(self._array(record, "f0")[at : at + n], np.float32)

    def phones(self, record: dict) -> np.ndarray | None:
        """(F,) uint8 labels of phones.json, 0 silence; None where no alignment exists (libri)."""
        if not record.get("aligned", True):
            return None
        at, n = record["frames"]
        return np.asarray(self._array(record, "phones")[at : at + n])

    def groups(self) -> dict[str, list[dict]]:
        """Records of the edits by group id, in order of rendering (neutral first)."""
        out = defaultdict(list)
        for record in self.records:
            if record.get("group"):
                out[record["group"]].append(record)
        return dict(out)

    def hours(self) -> float:
        """Hours of audio."""
        return sum(r["audio"][1] for r in self.records) / RATE_HZ / 3600
