"""Flow decoder of nano: codes, a prompt and a speaker vector to the mel, by flow matching.

Each row is two clips of one speaker: the first prompts (its untrimmed mel resized to its tokens,
as the product does it), the loss counts on the second. The encoder output is also held near the
mel itself, which gives the velocity network a good start.

    python -m recipes.nano.train_flow --corpus DIR --tokens runs/nano/tokens --out runs/nano/flow
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.tokens import TokenStore
from recipes.nano.training import (
    RATE,
    Timer,
    clip_seconds,
    learning_rate,
    load_checkpoint,
    log,
    pad,
    parameters,
    read_config,
    save_checkpoint,
    set_lr,
    setup,
    stage_weight,
    step_rng,
)
from stepedit_core.audio.mel import prompt_mel
from stepedit_core.models.flow import Flow, FlowConfig
from stepedit_core.vocab import MEL_FRAMES_PER_GROUP as FRAMES
from stepedit_core.vocab import pairs

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


def main() -> None:
    """Train; the figures logged are per mel value."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--tokens", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path(__file__).parent / "configs/flow.json")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[])
    args = parser.parse_args()
    setup(args.threads)
    config = read_config(args.config, args.set)
    corpus = Corpus(args.corpus)
    store = TokenStore(args.tokens, corpus)
    records = [
        r for r in corpus.records if r["id"] in store.speakers and len(store.codes(r)[0]) >= 8
    ]
    mates: dict[str, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        mates[record["speaker"]].append(i)
    weights = np.array([stage_weight(r) * min(clip_seconds(r), 6.0) for r in records])
    weights = weights / weights.sum()
    log.info("%d clips, %d speakers", len(records), len(mates))
    torch.random.default_generator.manual_seed(config["seed"])
    model = Flow(FlowConfig(**config["model"]))
    optimizer = torch.optim.AdamW(parameters(model), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    checkpoint = args.out / "last.pt"
    first = 0
    if (state := load_checkpoint(checkpoint)) is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    timer = Timer()
    for step in range(first, config["steps"]):
        rng = step_rng(config["seed"], step)
        # 1. rows of prompt and target
        length = int(rng.integers(14, 36))
        count = max(2, config["batch_groups"] // (length + 12))
        tokens, goals, conds, ends, speakers = [], [], [], [], []
        for i in rng.choice(len(records), count, p=weights):
            record = records[int(i)]
            others = mates[record["speaker"]]
            mate = records[int(others[int(rng.integers(len(others)))])]
            rows, mel = target_part(corpus, store, record, length, rng)
            if rng.random() < config["no_prompt"]:
                before = torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0, 80)
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
        mu = model.encode(batch, mask)
        spk = model.project_speaker(torch.stack(speakers))
        prior = (mu - goal).abs().mean(1)[counted].mean()
        keep = torch.from_numpy(
            (rng.random(len(goal)) >= config["drop_condition"]).astype(np.float32)
        )
        v = model.decoder.estimator(
            mixed,
            t,
            mu * keep[:, None, None],
            spk * keep[:, None],
            cond * keep[:, None, None],
            frames,
        )
        error = (v - (goal - z)).square().mean(1)
        loss_flow = error[counted].mean()
        loss = loss_flow + config["prior_weight"] * prior
        set_lr(
            optimizer,
            learning_rate(
                step, peak=config["peak_lr"], warmup=config["warmup"], steps=config["steps"]
            ),
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters(model), 2.0)
        optimizer.step()
        timer.add(
            flow=loss_flow.item(),
            prior=prior.item(),
            norm=float(norm),
            seconds=float(frames.sum()) / 50,
        )
        if step % 50 == 49:
            log.info(timer.line(step + 1))
        if step % 200 == 199 or step + 1 == config["steps"]:
            save_checkpoint(
                checkpoint,
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step + 1,
                    "config": config["model"],
                },
            )
    save_checkpoint(args.out / "final.pt", {"model": model.state_dict(), "config": config["model"]})


if __name__ == "__main__":
    main()
