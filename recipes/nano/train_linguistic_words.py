"""Linguistic tokenizer of nano, continued: what Whisper's encoder hears, whoever says it.

Each 60 ms token predicts three frames of a frozen Whisper encoder ($WHISPER_BASE) of the clean clip,
less the clip's mean, which is most of a voice; the input is the clip at another speed, pitch and
vocal tract and through another channel. Clips with phones have those to predict as well. All
predictions are read from the codes, whose codebook follows the encoder.

    python -m recipes.nano.train_linguistic_words --corpus DIR --out runs/nano/linguistic

Begins from the final.pt of that folder, where there is one. The teacher's features are kept beside
it in `heard/`, 50 kB a second.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recipes.nano.ahead import drawn_ahead, to_device
from recipes.nano.corpus.dataset import Corpus
from recipes.nano.moving_codes import MovingCodes
from recipes.nano.train_letters import STEPS, heard_again
from recipes.nano.train_letters import features as features_16k
from recipes.nano.train_linguistic import CENTRE_SECONDS, TOKEN_SECONDS, phone_count
from recipes.nano.training import (
    Run,
    bucket,
    clip_seconds,
    fast_math,
    is_dev,
    log,
    options,
    pad,
    parameters,
    step_rng,
)
from recipes.nano.words_heard import WordsHeard
from stepedit_core.models.linguistic import LinguisticConfig, LinguisticTokenizer

LAYER = 6
"""The last layer of Whisper-base: what its decoder reads words from."""
WIDTH, FRAME_SECONDS = 512, 0.020
AROUND = (-0.020, 0.0, 0.020)
"""Seconds around a token's centre where the teacher is read."""
PHONE_SECONDS = 0.0125
PHONES_AT = (-0.015, 0.015)


class Teacher:
    """Features (T, 512) float16 of clips, at 50 Hz, less their mean; made once and kept in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model: WordsHeard | None = None

    def __call__(self, name: str, wave: np.ndarray) -> np.ndarray:
        """Features of the clip `name`, wave (N,) at 24 kHz."""
        path = self.folder / f"{name}.npy"
        if path.exists():
            found: np.ndarray = np.load(path)
            return found
        if self.model is None:
            self.model = WordsHeard(Path(os.environ["WHISPER_BASE"]), layers=(LAYER,))
        with torch.no_grad(), fast_math():
            heard = self.model(torch.from_numpy(wave)[None])[0][0].float()
        found = (heard - heard.mean(0)).numpy().astype(np.float16)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.save(file, found)
        part.replace(path)
        return found


class Heads(nn.Module):
    """Codes to the teacher's features and to phones; `scale` is the features' deviation."""

    scale: Tensor

    def __init__(self, width: int, phones: int) -> None:
        super().__init__()
        self.words = nn.Linear(width, len(AROUND) * WIDTH)
        self.phones = nn.Linear(width, len(PHONES_AT) * phones)
        self.register_buffer("scale", torch.ones(WIDTH))


def centres(tokens: int, factor: float) -> np.ndarray:
    """(tokens, 1) seconds in the clip of the tokens of a copy that lasts 1 / `factor` as long."""
    return (np.arange(tokens)[:, None] * TOKEN_SECONDS + CENTRE_SECONDS) * factor


def read_at(track: np.ndarray, seconds: np.ndarray, frame_seconds: float) -> np.ndarray:
    """Rows of a track at some times; the first and last stand in for what lies outside."""
    index = np.floor(seconds / frame_seconds).astype(int)
    rows: np.ndarray = track[np.clip(index, 0, len(track) - 1)]
    return rows


def usable(corpus: Corpus, left_out: str) -> list[int]:
    """Records that are learnt from; speakers of `left_out` are kept for judging voices."""
    return [
        i
        for i, r in enumerate(corpus.records)
        if 0.8 < clip_seconds(r) < 20 and not is_dev(r) and not r["speaker"].startswith(left_out)
    ]


def shares_of(corpus: Corpus, records: list[int], shares: dict[str, float]) -> np.ndarray:
    """Chance (N,) of each record: a stage's share goes to its clips by their length."""
    seconds = np.array([clip_seconds(corpus.records[i]) for i in records])
    stages = np.array([corpus.records[i]["shard"].split("/")[0] for i in records])
    weights = np.zeros(len(records))
    for stage, share in shares.items():
        own = stages == stage
        if own.any():
            weights[own] = share * seconds[own] / seconds[own].sum()
    return weights / weights.sum()


def example(
    corpus: Corpus, record: dict[str, Any], teacher: Teacher, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Input (T, 560), the teacher's frames (T, 3, 512) float16, phones (T, 2), -100 unknown."""
    wave = corpus.audio(record)
    heard = teacher(record["id"], wave)
    whole = [[0.0, len(wave) / 24_000]]
    copy, spans = heard_again(rng, wave, whole)
    assert spans is not None
    factor = round(whole[0][1] / spans[0][1] * STEPS) / STEPS
    rows = features_16k(copy)
    at = centres(len(rows), factor)
    frames = read_at(heard, at + np.array(AROUND) * factor + FRAME_SECONDS / 2, FRAME_SECONDS)
    track = corpus.phones(record)
    if track is None:
        phones = np.full((len(rows), len(PHONES_AT)), -100)
    else:
        phones = read_at(track, at + np.array(PHONES_AT) * factor, PHONE_SECONDS).astype(np.int64)
    return rows, torch.from_numpy(frames), torch.from_numpy(phones)


def words_loss(heads: Heads, codes: Tensor, frames: Tensor) -> Tensor:
    """How far what codes (N, D) say is from the teacher's frames (N, 3, 512)."""
    said = heads.words(codes).float().view(frames.shape)
    goal = frames.float() / heads.scale
    angle = 1 - functional.cosine_similarity(said, goal, dim=-1).mean()
    return angle + 0.5 * functional.l1_loss(said, goal)


def main() -> None:
    """Train."""
    args, config = options(__doc__ or "", "linguistic_words")
    corpus = Corpus(args.corpus, tuple(config["shares"]))
    torch.random.default_generator.manual_seed(config["seed"])
    model = LinguisticTokenizer(LinguisticConfig(**config["model"])).to(args.device)
    heads = Heads(config["model"]["d_model"], phone_count()).to(args.device)
    optimizer = torch.optim.AdamW(
        parameters(model, heads), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.02
    )
    run = Run(args.out, config, optimizer, 2.0, model=model, heads=heads)
    state = run.resume()
    codes = MovingCodes(model.codebook, keep=config["ema"], start_at=config["quantize_from"])
    first = state["step"] if state else 0
    if state:
        codes.load(state)
    teacher = Teacher(args.out / "heard")
    records = usable(corpus, config["left_out"])
    seconds = np.array([clip_seconds(corpus.records[i]) for i in records])
    weights = shares_of(corpus, records, config["shares"])
    log.info("%d clips, %.1f h", len(records), seconds.sum() / 3600)

    def draw(step: int) -> tuple[list[tuple[Tensor, Tensor, Tensor]], np.random.Generator]:
        rng = step_rng(config["seed"], step)
        picks = bucket(rng, seconds, weights, config["batch_seconds"])
        return [example(corpus, corpus.records[records[j]], teacher, rng) for j in picks], rng

    if state is None:
        rng = step_rng(config["seed"], 1_000_000)
        chosen = rng.choice(len(records), config["statistics_clips"], p=weights)
        drawn = [example(corpus, corpus.records[records[j]], teacher, rng) for j in chosen]
        heads.scale.copy_(torch.cat([d[1] for d in drawn]).float().std((0, 1)).clamp(min=1e-3))
        if run.fresh:
            flat = torch.cat([d[0] for d in drawn])
            model.cmvn_shift.copy_(-flat.mean(0))
            model.cmvn_rescale.copy_(1.0 / flat.std(0).clamp(min=1e-3))

    batches = drawn_ahead(draw, first, args.ahead)
    for step in run.steps(first):
        drawn, rng = next(batches)
        batch, lengths = to_device(pad([d[0] for d in drawn]), args.device)
        frames, phones = (torch.cat([d[k] for d in drawn]).to(args.device) for k in (1, 2))
        with fast_math(args.device):
            hidden = model.hidden(batch, lengths).float()
        live = hidden[torch.arange(hidden.shape[1], device=args.device) < lengths[:, None]]
        coded, commitment = codes(step, live, rng, restart=run.spent(step) < 0.8)
        with fast_math(args.device):
            words = words_loss(heads, coded, frames)
            logits = heads.phones(coded).float().view(-1, phone_count())
        goal = phones.flatten()
        known = goal >= 0
        phone = logits.sum() * 0
        if known.any():
            phone = functional.cross_entropy(logits[known], goal[known], label_smoothing=0.05)
        run.update(step, words + config["phone_weight"] * phone + config["commitment"] * commitment)
        values = {"words": words.item(), "commit": commitment.item(), "used": codes.used}
        if known.any():
            values["phone"] = float((logits.argmax(-1) == goal)[known].float().mean())
        run.close_step(step, values, **codes.state())
    run.finish()


if __name__ == "__main__":
    main()
