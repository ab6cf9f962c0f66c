"""Clips of `said` and `read` as nano's vocoder copies them, for the recogniser that hears its rounds.

Words, times and held-out speakers are those of the clip; a copy has the vocoder's own noise.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.corpus.shards import Shard
from recipes.nano.corpus.vocoder import HOP

SHARD_CLIPS = 64
KEPT = ("text", "words", "log_prob", "kind", "speaker", "split")


def clips_of(root: Path, number: int) -> list[tuple[Corpus, dict]]:
    """The clips of a shard: every other one a recording of people."""
    rng = np.random.default_rng([6, number])
    corpora = [Corpus(root, (stage,)) for stage in ("read", "said")]
    pools = [[r for r in corpus.records if r["split"] == "train"] for corpus in corpora]
    sides = [k % 2 for k in range(SHARD_CLIPS)]
    return [(corpora[s], pools[s][int(rng.integers(len(pools[s])))]) for s in sides if pools[s]]


def make_copied(
    shard: Shard, number: int, root: Path, copy: Callable[[np.ndarray], np.ndarray]
) -> None:
    """One shard; `copy` takes and gives a wave (N,) at 24 kHz."""
    for k, (corpus, record) in enumerate(clips_of(root, number)):
        wave = np.asarray(copy(corpus.audio(record)), np.float32)
        wave = wave[: len(wave) // HOP * HOP]
        wave = wave * min(1.0, 0.97 / (float(np.abs(wave).max()) + 1e-9))
        fields = {key: record[key] for key in KEPT if key in record}
        fields |= {"id": f"copied-{number:05d}-{k:03d}", "of": record["id"]}
        shard.add(fields, wave, np.zeros(len(wave) // HOP, np.float32), None)
