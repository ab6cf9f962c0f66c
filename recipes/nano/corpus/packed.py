"""Recordings of people as a small folder for a machine without a pitch tracker, and back as shards.

    python -m recipes.nano.corpus.packed --pack CORPUS --out FOLDER --megabytes 30
    python -m recipes.nano.corpus.packed --unpack FOLDER --out CORPUS

CORPUS has the stages "people" and "acted" (recipes.nano.corpus.people). A packed clip is FLAC at
16 kHz; its pitch and record come along as they are. Clips are taken in turn from every speaker.
"""

from __future__ import annotations

import argparse
import io
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.corpus.shards import Shard
from recipes.nano.corpus.vocoder import HOP, RATE_HZ
from stepedit_core.files.whole import whole_file

STAGES = ("people", "acted")
PACKED_HZ = 16_000
CLIPS, INDEX = "clips.npz", "clips.jsonl"


def in_turn(records: list[dict]) -> list[dict]:
    """The first clip of every speaker, then the second of each, and so on."""
    turns: dict[str, int] = defaultdict(int)
    ranked = []
    for place, record in enumerate(records):
        ranked.append((turns[record["speaker"]], place, record))
        turns[record["speaker"]] += 1
    return [record for _, _, record in sorted(ranked, key=lambda item: item[:2])]


def pack(root: Path, out: Path, megabytes: float) -> int:
    """Write clips.npz and clips.jsonl of at most so many megabytes; returns how many clips."""
    import soundfile
    from scipy.signal import resample_poly

    corpus = Corpus(root, STAGES)
    parts: dict[str, np.ndarray] = {}
    lines: list[str] = []
    size = 0
    for record in in_turn([r for r in corpus.records if r.get("split") != "dev"]):
        file = io.BytesIO()
        wave = resample_poly(corpus.audio(record), PACKED_HZ, RATE_HZ)
        soundfile.write(file, wave.clip(-1, 1), PACKED_HZ, format="FLAC")
        f0 = corpus.f0(record).astype(np.float16)
        packed = np.frombuffer(file.getvalue(), np.uint8)
        size += packed.nbytes + f0.nbytes
        if size > megabytes * 1e6:
            break
        parts[f"wave{len(lines)}"] = packed
        parts[f"f0{len(lines)}"] = f0
        kept = {k: record[k] for k in ("id", "kind", "speaker", "split")}
        lines.append(json.dumps({**kept, "stage": record["shard"].split("/")[0]}))
    out.mkdir(parents=True, exist_ok=True)
    with whole_file(out / CLIPS) as part, part.open("wb") as file:
        np.savez(file, **parts)
    (out / INDEX).write_text("\n".join(lines) + "\n", "utf-8")
    return len(lines)


def unpack(folder: Path, out: Path) -> int:
    """Write one shard of each stage; returns how many clips."""
    import soundfile
    from scipy.signal import resample_poly

    data = np.load(folder / CLIPS)
    lines = (folder / INDEX).read_text("utf-8").strip("\n").split("\n")
    shards = {stage: Shard(out / stage / f"{stage}-packed") for stage in STAGES}
    for k, line in enumerate(lines):
        record = json.loads(line)
        wave, _ = soundfile.read(io.BytesIO(data[f"wave{k}"].tobytes()), dtype="float32")
        wave = resample_poly(wave, RATE_HZ, PACKED_HZ).astype(np.float32)
        f0 = data[f"f0{k}"]
        wave = np.pad(wave, (0, max(0, len(f0) * HOP - len(wave))))[: len(f0) * HOP]
        shards[record.pop("stage")].add(record, wave, f0, None)
    for shard in shards.values():
        if shard.records and not shard.done:
            shard.write()
    return len(lines)


def main() -> None:
    """Pack or unpack by the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--pack", type=Path, metavar="CORPUS")
    what.add_argument("--unpack", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=30.0)
    args = parser.parse_args()
    if args.pack:
        print(pack(args.pack, args.out, args.megabytes), "clips packed")
    else:
        print(unpack(args.unpack, args.out), "clips")


if __name__ == "__main__":
    main()
