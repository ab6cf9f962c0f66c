"""Does the words reward know what a recogniser hears? Reward and word error rate of many edits.

Clips of the corpus's held-out speakers, one answer each (temperature 1, no choice among candidates,
as in a rollout), decoded and read by Whisper-base. Run again, it resumes after the last edit.

    WHISPER_BASE=FOLDER python -m recipes.nano.judge_words --corpus DIR --out runs/nano/words.jsonl
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
from scipy.stats import pearsonr, spearmanr

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.export import as_taught
from recipes.nano.judge import EDITS, Judges
from recipes.nano.training import RATE, clip_seconds, is_dev, log, setup
from stepedit_core.measure.recogniser import word_error_rate
from stepedit_core.pipelines.plan import make_plan
from stepedit_core.pipelines.rounds import iterate
from stepedit_core.pipelines.sampling import Answer
from stepedit_core.registry.registry import Registry
from stepedit_core.train.attempts import Attempt
from stepedit_core.train.reward_terms import words_kept
from stepedit_core.types import Clip, EditRequest, Sampling


def main() -> None:
    """Edit, listen, print the correlations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bundle", default="nano")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    setup(args.threads)
    corpus = Corpus(args.corpus, stages=("plain", "edits"))
    clips = [r for r in corpus.records if is_dev(r) and r["kind"] == "neutral"]
    clips = [r for r in clips if 2 <= clip_seconds(r) <= 7][: args.count]
    bundle = as_taught(Registry().load(args.bundle))
    bundle.manifest = replace(bundle.manifest, candidates=1)
    reward = words_kept(bundle.vocabulary, bundle.linguistic.codebook)
    judges = Judges()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    lines = args.out.read_text("utf-8").split("\n") if args.out.exists() else []
    rows = [json.loads(line) for line in lines if line]
    for record, what in list(zip(clips, cycle(EDITS), strict=False))[len(rows) :]:
        clip = Clip(wave=torch.from_numpy(corpus.audio(record)), sample_rate=RATE)
        request = EditRequest(kind=EDITS[what][0], option=EDITS[what][1], text=record["text"])
        sampling = Sampling(temperature=1.0)
        plan = make_plan(bundle, clip, [request], seed=args.seed, sampling=sampling)
        made = iterate(bundle, clip, plan)
        source, edited = made.rounds[0].codes, made.final.codes
        answer = Answer(tuple(bundle.vocabulary.interleave(edited)), True)
        attempt = Attempt(request=request, source=source, row=([], []), answer=answer)
        row = {
            "clip": record["id"],
            "edit": what,
            "reward": float(reward([attempt])),
            "wer": word_error_rate(record["text"], judges.words(made.final.clip)),
            "before": word_error_rate(record["text"], judges.words(clip)),
            "source": source.linguistic.tolist(),
            "answer": edited.linguistic.tolist(),
        }
        with args.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        rows.append(row)
        log.info("%s %s reward %.3f wer %.2f", record["id"], what, row["reward"], row["wer"])
    rewards = np.array([r["reward"] for r in rows])
    errors = np.minimum(1.0, np.array([r["wer"] for r in rows]))
    rank, line = spearmanr(rewards, errors), pearsonr(rewards, errors)
    log.info("%d edits: Spearman %.2f, Pearson %.2f", len(rows), rank[0], line[0])
    for low, high in ((0, 0.2), (0.2, 0.5), (0.5, 1.01)):
        inside = rewards[(errors >= low) & (errors < high)]
        log.info(
            "WER from %.1f to %.1f: %d edits, reward %.3f", low, high, len(inside), np.mean(inside)
        )


if __name__ == "__main__":
    main()
