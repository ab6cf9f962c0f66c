"""Flow decoder of nano: codes, a prompt and a speaker vector to the mel, by flow matching.

Each row is a prompt and a target of one speaker: the prompt's untrimmed mel is resized to its
tokens, as the product does it, and the loss counts on the target. Where the product prompts with
the clip that it edits, the prompt has the same words: so do a share of the rows, `same_words`. In
most of these, `guided`, the prompt's mel is laid along the target as well (measure/alignment.py),
so the network learns what an edit changes in it. The encoder output is also held near the mel
itself, which gives the velocity network a good start.

    python -m recipes.nano.train_flow --corpus DIR --tokens runs/nano/tokens --out runs/nano/flow
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recipes.nano.ahead import drawn_ahead, to_device
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
from stepedit_core.measure.alignment import Guide
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
    codes = store.dual_codes(record)
    return pairs(codes.linguistic, codes.semantic)


Part = tuple[Tensor, Tensor]
"""Decoder rows (3g, 2) and the mel (6g, 80) over them."""


def prompt_part(corpus: Corpus, store: TokenStore, record: dict) -> Part:
    """The clip as a prompt: its whole mel, resized to its rows."""
    rows = code_pairs(store, record)
    mel = prompt_mel(torch.from_numpy(capped(corpus, record)))
    return rows, functional.interpolate(mel[None], size=2 * len(rows), mode="nearest")[0].T


def target_part(corpus: Corpus, store: TokenStore, record: dict) -> Part:
    """The clip as a target: the mel that lies exactly under its rows."""
    rows = code_pairs(store, record)
    start = round(store.start(record) * RATE / 16_000)
    wave = capped(corpus, record)
    need = len(rows) // 3 * FRAMES * HOP
    wave = np.pad(wave, (max(0, -start), need))[max(0, start) :][:need]
    return rows, prompt_mel(torch.from_numpy(np.ascontiguousarray(wave))).T


def piece(total: int, groups: int, rng: np.random.Generator) -> slice:
    """A random run of at most `groups` of `total` groups."""
    count = min(groups, total)
    start = int(rng.integers(0, total - count + 1))
    return slice(start, start + count)


def cut(part: Part, groups: slice) -> Part:
    """Those groups of a part."""
    rows, mel = part
    return (
        rows[3 * groups.start : 3 * groups.stop],
        mel[FRAMES * groups.start : FRAMES * groups.stop],
    )


class Rows:
    """Draws rows: a prompt and a target of one speaker, each of one clip or several joined.

    Clips of the corpus last three seconds, recordings ten; joined clips show the model the lengths
    it will meet.
    """

    def __init__(
        self, corpus: Corpus, store: TokenStore, config: dict[str, Any], guide: Guide
    ) -> None:
        """Clips with tokens and a speaker vector, by speaker and by words."""
        self.corpus, self.store, self.config, self.guide = corpus, store, config, guide
        self.records = [
            r
            for r in corpus.records
            if r["id"] in store.speakers and r in store and len(store.codes(r)[0]) >= 8
        ]
        self.mates: dict[str, list[dict]] = defaultdict(list)
        self.versions: dict[str, list[dict]] = defaultdict(list)
        for record in self.records:
            self.mates[record["speaker"]].append(record)
            self.versions[words_of(record)].append(record)
        weights = np.array([stage_weight(r) * min(clip_seconds(r), 6.0) for r in self.records])
        self.weights = weights / weights.sum()
        log.info("%d clips, %d speakers", len(self.records), len(self.mates))

    def draw(self, rng: np.random.Generator, length: int) -> tuple[Part, Part, Tensor, Tensor]:
        """(prompt, target, guide (6g, 80), speaker (192,)); target of at most `length` groups."""
        record = self.records[int(rng.choice(len(self.records), p=self.weights))]
        same = rng.random() < self.config["same_words"]
        guided = same and rng.random() < self.config["guided"]
        prompts: list[Part] = []
        targets: list[Part] = []
        guides: list[Part] = []
        room, heard = length, length if same else int(rng.integers(4, max(26, length)))
        while room >= 4 and len(targets) < 8:
            target = target_part(self.corpus, self.store, record)
            taken = piece(len(target[0]) // 3, room, rng)
            targets.append(cut(target, taken))
            room -= taken.stop - taken.start
            mate = self.version(record, rng) if same else self.companion(record, rng)
            laid = torch.zeros_like(target[1])
            if guided:
                laid = self.lay(mate, record)
            guides.append(cut((target[0], laid), taken))
            if heard >= 4 and (same or mate is not record):
                prompt = prompt_part(self.corpus, self.store, mate)
                place = taken if mate is record else piece(len(prompt[0]) // 3, heard, rng)
                prompts.append(cut(prompt, place))
                heard -= place.stop - place.start
            record = self.companion(record, rng)
        speaker = torch.from_numpy(self.store.speaker(mate).astype(np.float32))
        if not guided and rng.random() < self.config["no_prompt"]:
            prompts = []
        return join(prompts), join(targets), join(guides)[1], speaker

    def companion(self, record: dict, rng: np.random.Generator) -> dict:
        """Any clip of the record's speaker."""
        own = self.mates[record["speaker"]]
        return own[int(rng.integers(len(own)))]

    def version(self, record: dict, rng: np.random.Generator) -> dict:
        """A clip of the record's words: itself, the plain one that an edit starts from, or any."""
        said = self.versions[words_of(record)]
        kind = rng.random()
        if kind < self.config["own_prompt"]:
            return record
        plain = [r for r in said if r.get("kind") == "neutral"]
        if plain and kind < self.config["own_prompt"] + self.config["plain_prompt"]:
            return plain[0]
        return said[int(rng.integers(len(said)))]

    def lay(self, mate: dict, record: dict) -> Tensor:
        """Mel (6g, 80) of the mate in the record's time, as the product lays it."""
        mel = prompt_mel(torch.from_numpy(capped(self.corpus, mate)))
        lead = self.store.start(mate) * RATE / 16_000 / HOP
        return self.guide.mel(
            mel, lead, self.store.dual_codes(mate), self.store.dual_codes(record)
        ).T


def words_of(record: dict) -> str:
    """Name shared by all clips that say the same in the same voice."""
    return str(record.get("group") or record["id"])


def join(parts: list[Part]) -> Part:
    """Rows and mels one after the other."""
    if not parts:
        return torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0, 80)
    return torch.cat([rows for rows, _ in parts]), torch.cat([mel for _, mel in parts])


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


def drawn(rows: Rows, config: dict[str, Any], step: int) -> dict[str, Tensor]:
    """Batch of a step: padded codes, mels, conditions, masks, noise and times."""
    rng = step_rng(config["seed"], step)
    # 1. rows of prompt and target
    longest = config["longest"] if rng.random() < config["long_steps"] else 36
    length = int(rng.integers(14, longest))
    tokens, goals, conds, ends, speakers = [], [], [], [], []
    for _ in range(max(2, round(config["batch_groups"] / (1.5 * length)))):
        before, (codes, mel), laid, speaker = rows.draw(rng, length)
        tokens.append(torch.cat([before[0], codes]))
        goals.append(torch.cat([before[1], mel]))
        conds.append(torch.cat([before[1], laid]))
        ends.append(len(before[1]))
        speakers.append(speaker)
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
    keep = torch.from_numpy((rng.random(len(goal)) >= config["drop_condition"]).astype(np.float32))
    return {
        "codes": batch,
        "mask": mask,
        "goal": goal,
        "cond": cond,
        "frames": frames,
        "counted": counted,
        "z": z,
        "t": t,
        "mixed": mixed,
        "keep": keep,
        "speakers": torch.stack(speakers),
        "fused": torch.tensor(length > 36),
    }


def main() -> None:
    """Train; the figures logged are per mel value."""
    args, config = options(__doc__ or "", "flow", "tokens", "models")
    corpus = Corpus(args.corpus)
    guide = Guide(*(build(args.models, name).codebook for name in ("linguistic", "semantic")))
    rows = Rows(corpus, TokenStore(args.tokens, corpus), config, guide)
    torch.random.default_generator.manual_seed(config["seed"])
    model = Flow(FlowConfig(**config["model"]))
    start_from_codebooks(model, args.models)
    start_near_mel(model, *mel_statistics(corpus, rows.records, config["seed"]))
    model.to(args.device)
    optimizer = torch.optim.AdamW(parameters(model), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    run = Run(args.out, config, optimizer, 2.0, model=model)
    state = run.resume()
    first = state["step"] if state else 0

    def draw(step: int) -> dict[str, Tensor]:
        nonlocal rows
        if step % 400 == 0 and step > first:  # tokens may still be made
            corpus.refresh()
            rows = Rows(corpus, TokenStore(args.tokens, corpus), config, guide)
        return drawn(rows, config, step)

    batches = drawn_ahead(draw, first, args.ahead)
    for step, made in zip(run.steps(first), batches, strict=False):
        b = to_device(made, args.device)
        fused = bool(b["fused"])
        with fast_math(args.device, fused=fused):
            mu = model.encode(b["codes"], b["mask"]).float()
        prior = (mu - b["goal"]).abs().mean(1)[b["counted"]].mean()
        if (
            step < config["prior_steps"] and run.fresh
        ):  # the velocity needs a prior that means something
            run.update(step, prior)
            run.close_step(step, {"prior": prior.item()})
            continue
        with fast_math(args.device, fused=fused):
            spk = model.project_speaker(b["speakers"]).float()
            v = model.decoder.estimator(
                b["mixed"],
                b["t"],
                mu * b["keep"][:, None, None],
                spk * b["keep"][:, None],
                b["cond"] * b["keep"][:, None, None],
                b["frames"],
            ).float()
        error = (v - (b["goal"] - b["z"])).square().mean(1)
        loss_flow = error[b["counted"]].mean()
        run.update(step, loss_flow + config["prior_weight"] * prior)
        values = {"flow": loss_flow.item(), "prior": prior.item()}
        run.close_step(step, values | {"seconds": float(b["frames"].sum()) / 50})
    run.finish()


if __name__ == "__main__":
    main()
