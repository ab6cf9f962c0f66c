"""Linguistic tokenizer of nano: phones per frame by cross-entropy, then k-means on the output.

Each 60 ms token predicts the phone 15 ms before and 15 ms after its centre. Speech without a
teacher alignment (LibriSpeech) joins later: its phone string is aligned to the model's own
posteriors by Viterbi and the path becomes the label.

    python -m recipes.nano.train_linguistic --corpus DIR --out runs/nano/linguistic
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recipes.nano.ahead import drawn_ahead, to_device
from recipes.nano.channels import augment
from recipes.nano.corpus.dataset import Corpus
from recipes.nano.training import (
    RATE,
    Run,
    bucket,
    clip_seconds,
    fast_math,
    is_dev,
    log,
    options,
    pad,
    parameters,
    stage_weight,
    step_rng,
)
from stepedit_core.audio.fbank import linguistic_features
from stepedit_core.audio.resample import resample
from stepedit_core.models.linguistic import LinguisticConfig, LinguisticTokenizer

TOKEN_SECONDS = 0.060
CENTRE_SECONDS = 0.0125
PHONE_SECONDS = 0.0125


def features(wave: np.ndarray) -> Tensor:
    """(T, 560) features of a 24 kHz wave."""
    return linguistic_features(resample(torch.from_numpy(wave), RATE, 16_000))


def phone_targets(phones: np.ndarray, tokens: int) -> Tensor:
    """(tokens, 2) phone ids 15 ms before and after each token's centre."""
    centre = np.arange(tokens)[:, None] * TOKEN_SECONDS + CENTRE_SECONDS
    index = ((centre + np.array([-0.015, 0.015])) / PHONE_SECONDS).astype(int)
    return torch.from_numpy(phones[np.clip(index, 0, len(phones) - 1)].astype(np.int64))


def select(corpus: Corpus) -> tuple[list[int], list[int], np.ndarray, np.ndarray]:
    """Records with an alignment, records with a phone string only, seconds and weights."""
    usable = [
        i
        for i, r in enumerate(corpus.records)
        if r.get("aligned", True) and clip_seconds(r) > 0.6 and not is_dev(r)
    ]
    free = [
        i for i, r in enumerate(corpus.records) if r.get("labels") and r.get("aligned") is False
    ]
    seconds = np.array([clip_seconds(corpus.records[i]) for i in usable])
    weights = np.array([stage_weight(corpus.records[i]) for i in usable])
    return usable, free, seconds, weights / weights.sum()


def phone_count() -> int:
    """Size of the phone inventory, silence included."""
    names = json.loads((Path(__file__).parent / "corpus/phones.json").read_text("utf-8"))
    return len(names["symbols"])


def viterbi(log_probs: np.ndarray, string: np.ndarray, silence: int) -> np.ndarray:
    """Best monotonic path (T,) of phone ids; every phone may be skipped at a cost.

    log_probs (T, P); string (L,) phone ids; silence may stand before, after and between words.
    """
    states = np.concatenate([[silence], string, [silence]])
    scores = log_probs[:, states]
    skip_cost = 4.0
    best = np.full(len(states), -1e9)
    best[0], best[1] = scores[0, 0], scores[0, 1]
    back = np.zeros((len(scores), len(states)), np.int8)
    for t in range(1, len(scores)):
        options = np.stack(
            [
                best,
                np.concatenate([[-1e9], best[:-1]]),
                np.concatenate([[-1e9, -1e9], best[:-2] - skip_cost]),
                np.concatenate([[-1e9, -1e9, -1e9], best[:-3] - 2 * skip_cost]),
            ]
        )
        back[t] = options.argmax(0)
        best = options.max(0) + scores[t]
    state = int(np.argmax(best[-2:])) + len(states) - 2
    path = np.zeros(len(scores), np.int64)
    for t in range(len(scores) - 1, -1, -1):
        path[t] = states[state]
        state -= int(back[t, state])
    return path


def kmeans(points: Tensor, count: int, rounds: int, rng: np.random.Generator) -> Tensor:
    """Centroids (count, D) of points (N, D) by Lloyd's iterations; empty cells restart."""
    centres = points[torch.from_numpy(rng.choice(len(points), count, replace=False))].clone()
    for _ in range(rounds):
        assign = torch.cat([torch.cdist(p, centres).argmin(1) for p in points.split(8192)])
        sums = torch.zeros_like(centres).index_add_(0, assign, points)
        sizes = torch.bincount(assign, minlength=count)
        centres = sums / sizes.clamp(min=1)[:, None]
        empty = (sizes == 0).nonzero()[:, 0]
        draw = torch.from_numpy(rng.choice(len(points), len(empty), replace=False))
        centres[empty] = points[draw]
    return centres


def main() -> None:
    """Train, align, cluster."""
    args, config = options(__doc__ or "", "linguistic")
    corpus = Corpus(args.corpus)
    count = phone_count()

    # 1. model, feature statistics
    torch.random.default_generator.manual_seed(config["seed"])
    model = LinguisticTokenizer(LinguisticConfig(**config["model"])).to(args.device)
    head = nn.Linear(config["model"]["d_model"], 2 * count).to(args.device)
    usable, free, seconds, weights = select(corpus)
    log.info("%d aligned clips (%.1f h), %d free", len(usable), seconds.sum() / 3600, len(free))
    optimizer = torch.optim.AdamW(
        parameters(model, head), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.02
    )
    run = Run(args.out, config, optimizer, 2.0, model=model, head=head)
    state = run.resume()
    first = state["step"] if state else 0
    if run.fresh and state is None:
        rng = step_rng(config["seed"], 1_000_000)
        sample = [
            features(augment(rng, corpus.audio(corpus.records[usable[i]])))
            for i in rng.choice(len(usable), config["statistics_clips"])
        ]
        flat = torch.cat(sample)
        model.cmvn_shift.copy_(-flat.mean(0))
        model.cmvn_rescale.copy_(1.0 / flat.std(0).clamp(min=1e-3))

    # 2. phones per frame
    paths: dict[int, np.ndarray] = {}

    def posteriors(wave: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            hidden = model.hidden(features(wave)[None].to(args.device), None)
            logits = head(hidden).view(-1, count)
        return functional.log_softmax(logits, -1).cpu().numpy()

    def align_free() -> None:
        for i in free:
            record = corpus.records[i]
            string = np.array(record["labels"])
            paths[i] = viterbi(posteriors(corpus.audio(record)), string, 0)

    def draw(step: int) -> tuple[list[Tensor], list[Tensor], np.random.Generator]:
        nonlocal usable, free, seconds, weights
        if step % 100 == 0 and corpus.refresh():  # the corpus may still grow
            usable, free, seconds, weights = select(corpus)
        rng = step_rng(config["seed"], step)
        rows: list[Tensor] = []
        targets: list[Tensor] = []
        for j in bucket(rng, seconds, weights, config["batch_seconds"] * (0.75 if paths else 1.0)):
            record = corpus.records[usable[j]]
            rows.append(features(augment(rng, corpus.audio(record))))
            targets.append(phone_targets(corpus.phones(record), len(rows[-1])))
        return rows, targets, rng

    batches = drawn_ahead(draw, first, args.ahead)
    for step in run.steps(first):
        if (
            step >= config["align_from"]
            and free
            and (not paths or (step - config["align_from"]) % config["align_every"] == 0)
        ):
            began = time.time()
            align_free()
            log.info("aligned %d free clips in %.0f s", len(free), time.time() - began)
        rows, targets, rng = next(batches)
        if paths:
            for i in rng.choice(free, 2):
                wave = augment(rng, corpus.audio(corpus.records[int(i)]))
                tokens = min(100, len(paths[int(i)]) // 2)
                rows.append(features(wave)[:tokens])
                targets.append(torch.from_numpy(paths[int(i)]).view(-1, 2)[: len(rows[-1])])
        batch, lengths = to_device(pad(rows), args.device)
        goal = nn.utils.rnn.pad_sequence(targets, batch_first=True, padding_value=-100)
        goal = goal.to(args.device)
        with fast_math(args.device):
            logits = head(model.hidden(batch, lengths)).float()
        logits = logits.view(*batch.shape[:2], 2, count)
        loss = functional.cross_entropy(logits.flatten(0, 2), goal.flatten(), label_smoothing=0.05)
        run.update(step, loss)
        with torch.no_grad():
            valid = goal.flatten() != -100
            right = (logits.flatten(0, 2).argmax(-1) == goal.flatten())[valid].float().mean()
        run.close_step(step, {"acc": float(right)})

    model.cpu()
    # 3. codebook: k-means over the output, real voices weighted up
    rng = step_rng(config["seed"], 2_000_000)
    collected: list[Tensor] = []
    total = 0
    libri = [i for i, r in enumerate(corpus.records) if r["shard"].startswith("libri")]
    while total < config["kmeans_frames"]:
        pool = [libri if libri and rng.random() < 0.15 else usable for _ in range(16)]
        waves = [corpus.audio(corpus.records[int(rng.choice(p))]) for p in pool]
        batch, lengths = pad([features(augment(rng, wave)) for wave in waves])
        with torch.no_grad(), fast_math():
            hidden = model.hidden(batch, lengths).float()
        live = torch.arange(hidden.shape[1])[None] < lengths[:, None]
        collected.append(hidden[live])
        total += len(collected[-1])
    points = torch.cat(collected)
    model.codebook.copy_(kmeans(points, 1024, config["kmeans_rounds"], rng))

    # 4. what a code knows: majority phone per code, and how often a code survives augmentation
    same = hits = frames = 0
    votes = np.zeros((1024, count))
    for part in range(2):
        for i in step_rng(config["seed"], 3_000_000 + part).choice(usable, config["checked_clips"]):
            record = corpus.records[int(i)]
            wave = corpus.audio(record)
            with torch.no_grad():
                codes = model.encode(features(wave)[None], None)[0]
                other = model.encode(features(augment(rng, wave))[None], None)[0]
            goal_np = phone_targets(corpus.phones(record), len(codes))[:, 0].numpy()
            if part == 0:
                np.add.at(votes, (codes.numpy(), goal_np), 1)
            else:
                hits += int((votes.argmax(1)[codes.numpy()] == goal_np).sum())
                same += int((codes == other).sum())
                frames += len(codes)
    used = int((votes.sum(1) > 0).sum())
    log.info(
        "codebook: %d codes seen, phone from code %.3f, same code after augmentation %.3f",
        used,
        hits / frames,
        same / frames,
    )
    run.finish()


if __name__ == "__main__":
    main()
