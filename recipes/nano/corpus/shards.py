"""Writer of corpus shards: arrays first, the manifest last, each under a temporary name."""

import json
from pathlib import Path

import numpy as np

from stepedit_core.files.whole import whole_file, write_whole


class Shard:
    """Collects clips and writes one shard."""

    def __init__(self, stem: Path):
        """stem: path without suffix, for example OUT/plain/plain-00003."""
        self.stem = stem
        self.records: list[dict] = []
        self.parts: dict[str, list[np.ndarray]] = {"audio": [], "f0": [], "phones": []}
        self.samples = self.frames = 0

    @property
    def done(self) -> bool:
        """Whether a complete shard of this name exists."""
        return self.stem.with_suffix(".jsonl").exists()

    def add(
        self, record: dict, wave: np.ndarray, f0: np.ndarray, phones: np.ndarray | None
    ) -> None:
        """Wave (N,) float32 within +-1, f0 (F,) Hz, phones (F,) or None (not aligned)."""
        labels = np.zeros(len(f0), np.uint8) if phones is None else phones.astype(np.uint8)
        self.parts["audio"].append(np.clip(np.rint(wave * 32767), -32768, 32767).astype(np.int16))
        self.parts["f0"].append(f0.astype(np.float16))
        self.parts["phones"].append(labels)
        spans = {"audio": [self.samples, len(wave)], "frames": [self.frames, len(f0)]}
        self.records.append(record | spans | ({"aligned": False} if phones is None else {}))
        self.samples += len(wave)
        self.frames += len(f0)

    def write(self) -> None:
        """Write all files; the manifest appears last."""
        self.stem.parent.mkdir(parents=True, exist_ok=True)
        for name, pieces in self.parts.items():
            path = self.stem.parent / f"{self.stem.name}.{name}.npy"
            with whole_file(path) as part, part.open("wb") as file:
                np.save(file, np.concatenate(pieces))
        lines = [json.dumps(r, ensure_ascii=False) for r in self.records]
        write_whole(self.stem.with_suffix(".jsonl"), "\n".join(lines) + "\n")
