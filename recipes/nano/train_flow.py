"""Flow decoder of nano: codes, a prompt and a speaker vector to the mel, by flow matching.

Each row is two clips of one speaker: the first prompts (its untrimmed mel resized to its tokens,
as the product does it), the loss counts on the second. Where the product prompts with the clip that
it edits, the prompt holds the same words: so do a share of the rows, `same_words`. The encoder
output is also held near the mel itself, which gives the velocity network a good start.

    python -m recipes.nano.train_flow --corpus DIR --tokens runs/nano/tokens --out runs/nano/flow
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.tokens import TokenStore, build
from recipes.nano.training import (
    RATE,
    Run,
    clip_seconds,
    fast_math,
    log,
    options,
    pad,
    parameters,
    stage_weight,
    step_rng,
)
from stepedit_core.audio.mel import prompt_mel
from stepedit_core.models.flow import Flow, FlowConfig
from stepedit_core.vocab import LINGUISTIC_CODES, pairs
from stepedit_core.vocab import MEL_FRAMES_PER_GROUP as FRAMES

HOP = 480


def capped(corpus: Corpus, record: dict) -> np.ndarray:
    """The clip with its peak at most 0.6, as the product feeds it."""
    wave = corpus.audio(record)
    peak = np.abs(wave).max()
    return wave / peak * 0.6 if peak > 0.6 else wave


def code_pairs(store: TokenStore, record: dict) -> Tensor:
    """Decoder rows (3G, 2) of a record."""
    linguistic, semantic = store.codes(record)
    return pairs(
        torch.from_numpy(linguistic.astype(np.int64)), torch.from_numpy(semantic.astype(np.int64))
    )


def prompt_part(
    corpus: Corpus, store: TokenStore, record: dict, groups: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Rows (3g, 2) and resized mel (6g, 80) of a random piece of at most `groups` groups."""
    rows = code_pairs(store, record)
    mel = prompt_mel(torch.from_numpy(capped(corpus, record)))
    mel = functional.interpolate(mel[None], size=2 * len(rows), mode="nearest")[0].T
    total = len(rows) // 3
    count = min(groups, total)
    start = int(rng.integers(0, total - count + 1))
    return (
        rows[3 * start : 3 * (start + count)],
        mel[FRAMES * start : FRAMES * (start + count)],
    )


def target_part(
    corpus: Corpus, store: TokenStore, record: dict, groups: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Rows (3g, 2) and the mel (6g, 80) that lies exactly under them."""
    rows = code_pairs(store, record)
    total = len(rows) // 3
    start = round(store.start(record) * RATE / 16_000)
    wave = capped(corpus, record)
    need = total * FRAMES * HOP
    wave = np.pad(wave, (max(0, -start), need))[max(0, start) :][:need]
    mel = prompt_mel(torch.from_numpy(np.ascontiguousarray(wave))).T
    count = min(groups, total)
    first = int(rng.integers(0, total - count + 1))
    return rows[3 * first : 3 * (first + count)], mel[FRAMES * first : FRAMES * (first + count)]


Lists = dict[str, list[int]]


def gather(corpus: Corpus, store: TokenStore) -> tuple[list[dict], Lists, Lists, np.ndarray]:
    """Clips with tokens and speaker, their indices by speaker and by words, how often each."""
    records = [
        r
        for r in corpus.records
        if r["id"] in store.speakers and r in store and len(store.codes(r)[0]) >= 8
    ]
    mates: Lists = defaultdict(list)
    versions: Lists = defaultdict(list)
    for i, record in enumerate(records):
        mates[record["speaker"]].append(i)
        versions[record.get("group") or record["id"]].append(i)
    weights = np.array([stage_weight(r) * min(clip_seconds(r), 6.0) for r in records])
    log.info("%d clips, %d speakers", len(records), len(mates))
    return records, mates, versions, weights / weights.sum()


def mel_statistics(corpus: Corpus, records: list[dict], seed: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (80,) of the mel over a few hundred clips."""
    picks = step_rng(seed, 1_000_000).choice(len(records), 200)
    mels = [prompt_mel(torch.from_numpy(capped(corpus, records[int(i)]))) for i in picks]
    joined = torch.cat(mels, dim=1)
    return joined.mean(1), joined.std(1)


@torch.no_grad()
def start_from_codebooks(model: Flow, models: Path) -> None:
    """Token vectors begin as the tokenizers' codebook vectors: codes that sound alike are alike.

    A code of 4096 is met once in ten steps; from random vectors its sound is learnt too slowly.
    """
    table = model.input_embedding.embedding.weight
    for name, first in (("linguistic", 0), ("semantic", LINGUISTIC_CODES + 1)):
        book = build(models, name).codebook.float()
        book = (book - book.mean(0)) / (book - book.mean(0)).std()
        rows = table[first : first + len(book)]
        rows.mul_(0.2)[:, : book.shape[1]].add_(book[:, : rows.shape[1]])


@torch.no_grad()
def start_near_mel(model: Flow, mean: Tensor, std: Tensor) -> None:
    """Start with outputs at the mean mel and inputs that are seen relative to it.

    A log-mel lies near -6 with a deviation of 2.7. Left alone, that constant is most of what the
    first layers see and the first thing the last layers have to learn. mean and std are (80,).
    """
    model.encoder_proj.weight.mul_(std[:, None])
    model.encoder_proj.bias.copy_(mean)
    estimator = model.decoder.estimator
    estimator.final_layer.linear.bias.copy_(mean)
    of_x, of_mu, _, of_cond = estimator.in_proj.weight.chunk(4, dim=1)
    for columns in (of_x, of_mu, of_cond):
        columns.div_(std)
    estimator.in_proj.bias.copy_(-(of_mu + 0.5 * of_x) @ mean)


def main() -> None:
    """Train; the figures logged are per mel value."""
    args, config = options(__doc__ or "", "flow", "tokens", "models")
    corpus = Corpus(args.corpus)
    store = TokenStore(args.tokens, corpus)
    records, mates, versions, weights = gather(corpus, store)
    torch.random.default_generator.manual_seed(config["seed"])
    model = Flow(FlowConfig(**config["model"]))
    start_from_codebooks(model, args.models)
    start_near_mel(model, *mel_statistics(corpus, records, config["seed"]))
    optimizer = torch.optim.AdamW(parameters(model), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    run = Run(args.out, config, optimizer, 2.0, model=model)
    state = run.resume()
    first = state["step"] if state else 0
    for step in range(first, config["steps"]):
        if step % 400 == 0 and step > first:  # tokens may still be made
            store = TokenStore(args.tokens, corpus)
            records, mates, versions, weights = gather(corpus, store)
        rng = step_rng(config["seed"], step)
        # 1. rows of prompt and target
        length = int(rng.integers(14, 36))
        count = max(2, config["batch_groups"] // (length + 12))
        tokens, goals, conds, ends, speakers = [], [], [], [], []
        for i in rng.choice(len(records), count, p=weights):
            record = records[int(i)]
            same = rng.random() < config["same_words"]
            others = (
                versions[record.get("group") or record["id"]] if same else mates[record["speaker"]]
            )
            mate = records[int(others[int(rng.integers(len(others)))])]
            rows, mel = target_part(corpus, store, record, length, rng)
            if rng.random() < config["no_prompt"]:
                before = torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0, 80)
            elif same:
                before = prompt_part(corpus, store, mate, 40, rng)
            elif mate is record:
                cut = int(rng.integers(1, max(2, len(rows) // 6)))
                before = rows[: 3 * cut], mel[: FRAMES * cut]
                rows, mel = rows[3 * cut :], mel[FRAMES * cut :]
            else:
                before = prompt_part(corpus, store, mate, int(rng.integers(4, 26)), rng)
            tokens.append(torch.cat([before[0], rows]))
            goals.append(torch.cat([before[1], mel]))
            conds.append(torch.cat([before[1], torch.zeros_like(mel)]))
            ends.append(len(before[1]))
            speakers.append(torch.from_numpy(store.speaker(mate).astype(np.float32)))
        batch, lengths = pad(tokens)
        goal = pad(goals)[0].transpose(1, 2)
        cond = pad(conds)[0].transpose(1, 2)
        mask = torch.arange(batch.shape[1])[None] < lengths[:, None]
        frames = mask.repeat_interleave(2, 1)
        counted = frames & (torch.arange(frames.shape[1])[None] >= torch.tensor(ends)[:, None])
        # 2. flow matching: x_t = (1 - t) z + t x, velocity x - z
        z = torch.from_numpy(rng.standard_normal(goal.shape, dtype=np.float32))
        t = 1 - torch.cos(torch.from_numpy(rng.random(len(goal), dtype=np.float32)) * torch.pi / 2)
        mixed = (1 - t[:, None, None]) * z + t[:, None, None] * goal
        keep = torch.from_numpy(
            (rng.random(len(goal)) >= config["drop_condition"]).astype(np.float32)
        )
        with fast_math():
            mu = model.encode(batch, mask).float()
        prior = (mu - goal).abs().mean(1)[counted].mean()
        if (
            step < config["prior_steps"] and run.fresh
        ):  # the velocity needs a prior that means something
            run.update(step, prior)
            run.close_step(step, {"prior": prior.item()})
            continue
        with fast_math():
            spk = model.project_speaker(torch.stack(speakers)).float()
            v = model.decoder.estimator(
                mixed,
                t,
                mu * keep[:, None, None],
                spk * keep[:, None],
                cond * keep[:, None, None],
                frames,
            ).float()
        error = (v - (goal - z)).square().mean(1)
        loss_flow = error[counted].mean()
        run.update(step, loss_flow + config["prior_weight"] * prior)
        values = {"flow": loss_flow.item(), "prior": prior.item()}
        run.close_step(step, values | {"seconds": float(frames.sum()) / 50})
    run.finish()


if __name__ == "__main__":
    main()
