"""Corpus and tokens to training data: what `stepedit train` and `stepedit data` read.

Every group of the corpus becomes triplets (steps up, `remove`, speed, noise, pauses; a pair that is
what is already there stays) and quadruplets (inserted sounds); clips of one speaker become clones. A
triplet's margin is 1 + 9 times the strength it gains, the label that the scorer learns. Run again
after the corpus grew: known groups are skipped.

    python -m recipes.nano.examples --corpus DIR --tokens runs/nano/tokens --out runs/nano/data

With --scorer N the folder has N labelled pairs of the held-out groups instead, drawn as
train_scorer draws its own: what `stepedit evaluate scorer` reads.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.export import CODEBOOK
from recipes.nano.tokens import TokenStore
from recipes.nano.train_lm import Tasks
from recipes.nano.train_scorer import Pairs, share
from recipes.nano.training import is_dev, log, setup
from stepedit_core.data.records import Example, digest
from stepedit_core.data.shards import Writer
from stepedit_core.types import EditRequest

Task = tuple[str, str, dict, dict]
"""Kind, option, source clip, target clip."""
LICENCES = {
    "plain": "Apache-2.0 (hibari-tts)",
    "edits": "Apache-2.0 (hibari-tts)",
    "kokoro": "Apache-2.0 (Kokoro-82M)",
    "libri": "CC-BY-4.0 (LibriSpeech)",
    "real": "CC-BY-4.0 (LibriSpeech)",
}


def example_of(task: Task, store: TokenStore, key: str) -> Example:
    """The example of one task of a group, or of a clone."""
    kind, option, source, target = task
    new_text = target["text"] if kind == "clone" else ""
    if kind == "sounds":
        new_text = target.get("new_text", "")
    scored = kind not in ("clone", "sounds") or not new_text
    stage = source["shard"].split("/")[0]
    return Example(
        kind="quadruplet" if new_text else "triplet",
        request=EditRequest(kind=kind, option=option, text=source["text"], new_text=new_text),
        source=store.dual_codes(source),
        target=store.dual_codes(target),
        margin=round(1 + 9 * share(source, target, (kind, option)), 4) if scored else None,
        speaker=str(source["speaker"]),
        language="en",
        split="dev" if is_dev(source) else "train",
        provenance=f"corpus {source['shard']}",
        licence=LICENCES[stage],
        key=key,
    )


def orders(corpus: Corpus, store: TokenStore, longest: int) -> Iterator[tuple[str, list[Task]]]:
    """(key, tasks) of every group, then of every speaker's clones."""
    usable = [
        r for r in corpus.records if r in store and 8 <= len(store.codes(r)[0]) // 2 <= longest
    ]
    groups: dict[str, list[dict]] = defaultdict(list)
    speakers: dict[str, list[dict]] = defaultdict(list)
    for record in usable:
        if record.get("group"):
            groups[record["group"]].append(record)
        if record["kind"] == "neutral" and record["text"]:
            speakers[str(record["speaker"])].append(record)
    for name, group in groups.items():
        # a group that is still being written gets another key when it is whole
        yield digest("group", name, *(str(r["id"]) for r in group)), Tasks._pairs(group)
    for name, clips in speakers.items():
        pairs: list[Task] = [
            ("clone", "", a, b) for a, b in pairwise(clips) if a["text"] != b["text"]
        ]
        yield digest("clones", name, *(str(r["id"]) for r in clips)), pairs


def labelled(
    corpus: Corpus, store: TokenStore, longest: int, count: int, foreign: float = 0.2
) -> Iterator[Example]:
    """Pairs of held-out groups with any edit asked for and the margin it has; draws of seed 0."""
    pairs, rng = Pairs(corpus, store, dev=True, longest=longest), np.random.default_rng(0)
    for _ in range(count):
        source, target, (kind, option) = pairs.draw(rng, foreign)
        if source is not target:
            yield example_of((kind, option, source, target), store, "")


def main() -> None:
    """Write what is new."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("corpus", "tokens", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--stages", nargs="*", help="of the corpus; default all")
    parser.add_argument("--longest", type=int, default=70, help="most groups of 120 ms a clip")
    parser.add_argument("--scorer", type=int, default=0, metavar="N", help="labelled pairs instead")
    args = parser.parse_args()
    setup(1)
    corpus = Corpus(args.corpus, tuple(args.stages) if args.stages else None)
    store = TokenStore(args.tokens, corpus)
    added = 0
    with Writer(args.out, CODEBOOK, {"made by": "recipes.nano.examples"}, 2048) as writer:
        if args.scorer:
            added = writer.add_all(labelled(corpus, store, args.longest, args.scorer))
            log.info("%d labelled pairs", added)
            return
        for key, tasks in orders(corpus, store, args.longest):
            if key not in writer.keys:
                added += writer.add_all(example_of(task, store, key) for task in tasks)
    log.info("%d new examples, %d in all", added, len(writer.ids))


if __name__ == "__main__":
    main()
