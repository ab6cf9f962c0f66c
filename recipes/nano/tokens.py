"""Codes and speaker vectors of the whole corpus, made once by the trained tokenizers.

    python -m recipes.nano.tokens --what codes --corpus DIR --models runs/nano --out runs/nano/tokens
    python -m recipes.nano.tokens --what speakers ...

Run again after the corpus grew: finished shards are skipped. The language model needs codes only,
the flow decoder both.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.export import CODEBOOK
from recipes.nano.training import RATE, chunks, log, pad, saved_state, setup
from stepedit_core.audio.fbank import linguistic_features, speaker_features
from stepedit_core.audio.mel import semantic_log_mel
from stepedit_core.audio.resample import resample
from stepedit_core.audio.trim import (
    cap_peak,
    normalise_energy,
    trim_silence,
)
from stepedit_core.files.whole import whole_file
from stepedit_core.models.linguistic import LinguisticConfig, LinguisticTokenizer
from stepedit_core.models.semantic import SemanticConfig, SemanticTokenizer
from stepedit_core.models.speaker import SpeakerConfig, SpeakerEncoder
from stepedit_core.types import DualCodes


def build(root: Path, name: str) -> torch.nn.Module:
    """A trained part of `name`, from its final checkpoint."""
    state = saved_state(root / name / "final.pt")
    if state is None:
        raise SystemExit(f"{root / name}/final.pt is missing; train {name} first")
    kinds = {
        "linguistic": (LinguisticTokenizer, LinguisticConfig),
        "semantic": (SemanticTokenizer, SemanticConfig),
        "speaker": (SpeakerEncoder, SpeakerConfig),
    }
    module, config = kinds[name]
    sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in state["config"].items()}
    model = module(config(**sizes))
    model.load_state_dict(state["model"])
    return model.eval()


class TokenStore:
    """Reader: codes (2G,), (3G,) uint16, start of the trimmed clip in 16 kHz samples, speaker."""

    def __init__(self, root: Path, corpus: Corpus) -> None:
        self.rows: dict[str, tuple[np.ndarray, np.ndarray, int]] = {}
        self.speakers: dict[str, np.ndarray] = {}
        stems = {r["shard"] for r in corpus.records}
        for stem in sorted(stems):
            path = root / f"{stem}.npz"
            if not path.exists():
                continue
            data = np.load(path)
            ids, at = data["ids"], data["at"]
            lin, sem, start = (data[k] for k in ("linguistic", "semantic", "start"))
            for i, name in enumerate(ids.tolist()):
                a, b = int(at[i]), int(at[i + 1])
                self.rows[name] = (lin[2 * a : 2 * b], sem[3 * a : 3 * b], int(start[i]))
            voices = root / f"{stem}.speaker.npy"
            if voices.exists():
                self.speakers.update(zip(ids.tolist(), np.load(voices), strict=True))

    def __contains__(self, record: dict) -> bool:
        """Whether the record has been tokenized."""
        return record["id"] in self.rows

    def codes(self, record: dict) -> tuple[np.ndarray, np.ndarray]:
        """Linguistic (2G,) and semantic (3G,) codes."""
        linguistic, semantic, _ = self.rows[record["id"]]
        return linguistic, semantic

    def dual_codes(self, record: dict) -> DualCodes:
        """The same as the core's codes."""
        linguistic, semantic = (torch.from_numpy(c.astype(np.int64)) for c in self.codes(record))
        return DualCodes(linguistic=linguistic, semantic=semantic, codebook=CODEBOOK)

    def start(self, record: dict) -> int:
        """Where the tokens begin, in 16 kHz samples of the clip; negative inside added silence."""
        return self.rows[record["id"]][2]

    def speaker(self, record: dict) -> np.ndarray:
        """Speaker vector (192,)."""
        return self.speakers[record["id"]]


def main() -> None:
    """Tokenize every shard that has no tokens yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--what", choices=("codes", "speakers"), required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--part", default="0/1", help="k/n: every n-th shard from the k-th")
    args = parser.parse_args()
    setup(args.threads)
    corpus = Corpus(args.corpus)
    shards: dict[str, list[dict]] = {}
    for record in corpus.records:
        shards.setdefault(record["shard"], []).append(record)
    k, n = map(int, args.part.split("/"))
    order = sorted(
        shards, key=lambda s: (not s.startswith(("kokoro", "libri")), s.split("-")[-1], s)
    )
    tokenizers = [build(args.models, n) for n in ("linguistic", "semantic") if args.what == "codes"]
    speaker = build(args.models, "speaker") if args.what == "speakers" else None
    for stem in order[k::n]:
        path = args.out / f"{stem}{'.npz' if speaker is None else '.speaker.npy'}"
        if path.exists():
            continue
        records = shards[stem]
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part, part.open("wb") as file:
            if speaker is not None:
                np.save(file, np.stack([voice(corpus, r, speaker) for r in records]))
            else:
                np.savez(file, **codes_of(corpus, records, *tokenizers))
        log.info("%s: %d clips", stem, len(records))


def codes_of(
    corpus: Corpus,
    records: list[dict],
    linguistic: torch.nn.Module,
    semantic: torch.nn.Module,
) -> dict[str, np.ndarray]:
    """Arrays of a shard's token file; what TokenStore reads."""
    rows = [
        row
        for part in chunks(records, 12)
        for row in tokenize_clips(corpus, part, linguistic, semantic)
    ]
    return {
        "ids": np.array([r["id"] for r in records]),
        "at": np.cumsum([0] + [len(row[0]) // 2 for row in rows]),
        "linguistic": np.concatenate([row[0] for row in rows]),
        "semantic": np.concatenate([row[1] for row in rows]),
        "start": np.array([row[2] for row in rows]),
    }


@torch.no_grad()
def voice(corpus: Corpus, record: dict, speaker: torch.nn.Module) -> np.ndarray:
    """Speaker vector (192,) float16 of a clip, as the product computes it."""
    wave = resample(cap_peak(torch.from_numpy(corpus.audio(record))), RATE, 16_000)
    return speaker(speaker_features(wave[: 8 * 16_000])[None])[0].numpy().astype(np.float16)


@torch.no_grad()
def tokenize_clips(corpus, records, linguistic, semantic) -> list[tuple]:
    """(linguistic, semantic, start) of each clip, as the product tokenizes it."""
    fbanks: list[Tensor] = []
    mels: list[Tensor] = []
    starts: list[int] = []
    for record in records:
        wave = resample(cap_peak(torch.from_numpy(corpus.audio(record))), RATE, 16_000)
        loud = normalise_energy(wave)
        speech, start = trim_silence(loud)
        starts.append(start)
        speech = speech[: 30 * 16_000]
        fbanks.append(linguistic_features(speech))
        mels.append(semantic_log_mel(speech).T)
    batch, lengths = pad(fbanks)
    first = linguistic.encode(batch, lengths).numpy().astype(np.uint16)
    batch, frames = pad(mels)
    second = semantic.encode(batch.transpose(1, 2), frames).numpy().astype(np.uint16)
    rows = []
    for i in range(len(records)):
        # two stride-2 convolutions halve the frames twice, rounding up
        count = (int(frames[i]) + 1) // 2
        count = (count + 1) // 2
        groups = min(int(lengths[i]) // 2, count // 3)
        rows.append((first[i, : 2 * groups], second[i, : 3 * groups], starts[i]))
    return rows


if __name__ == "__main__":
    main()
