"""Semantic tokenizer of nano: 25 Hz codes that must tell mel, F0, voicing and phone.

The encoder sees speech through random recording channels; a small decoder, given the clip's mean
mel, reads mel, F0, voicing and phone from the quantised vectors. The 4096-row codebook follows the
encoder by moving averages; rows that fall out of use restart on live vectors.

    python -m recipes.nano.train_semantic --corpus DIR --out runs/nano/semantic
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recipes.nano.ahead import drawn_ahead, to_device
from recipes.nano.channels import augment
from recipes.nano.corpus.dataset import Corpus
from recipes.nano.moving_codes import MovingCodes
from recipes.nano.train_linguistic import phone_count
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
from stepedit_core.audio.mel import prompt_mel, semantic_log_mel
from stepedit_core.audio.resample import resample
from stepedit_core.models.semantic import SemanticConfig, SemanticTokenizer

MEL_MEAN, MEL_STD = -6.0, 2.5


class Reader(nn.Module):
    """Quantised vectors (B, T, D) and mean mel (B, 80) -> mel (B, 2T, 80), F0, voicing, phones."""

    def __init__(self, width: int, phones: int) -> None:
        super().__init__()
        self.level = nn.Linear(80, width)
        self.mix = nn.Conv1d(width, 384, 3, padding=1)
        self.deep = nn.Conv1d(384, 384, 3, padding=1)
        self.mel = nn.Linear(384, 160)
        self.pitch = nn.Linear(width, 4)
        self.phone = nn.Linear(384, phones)

    def forward(self, codes: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns mel (B, 2T, 80), pitch (B, T, 4: two log F0, two voicing logits), phones."""
        x = (codes * codes.shape[-1] ** 0.5 + self.level(level)[:, None]).transpose(1, 2)
        x = functional.gelu(self.mix(x))
        x = (x + functional.gelu(self.deep(x))).transpose(1, 2)
        mel = self.mel(x).reshape(x.shape[0], -1, 80)
        return mel, self.pitch(codes * codes.shape[-1] ** 0.5), self.phone(x)


def select(corpus: Corpus) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Records used, their seconds and weights."""
    usable = [i for i, r in enumerate(corpus.records) if clip_seconds(r) > 0.6 and not is_dev(r)]
    seconds = np.minimum(np.array([clip_seconds(corpus.records[i]) for i in usable]), 12.0)
    weights = np.array([stage_weight(corpus.records[i]) for i in usable])
    return usable, seconds, weights / weights.sum()


def frame_targets(values: np.ndarray, tokens: int, offsets: tuple[float, ...]) -> np.ndarray:
    """Values of a 12.5 ms track at `offsets` seconds inside each 40 ms token: (tokens, k)."""
    at = np.arange(tokens)[:, None] * 0.04 + np.array(offsets)
    return values[np.clip((at / 0.0125).astype(int), 0, len(values) - 1)]


def clip_batch(corpus: Corpus, records: list[dict], rng: np.random.Generator) -> dict[str, Tensor]:
    """Features and targets of a batch; all padded, with lengths in tokens."""
    mels, goals, pitches, phones = [], [], [], []
    for record in records:
        wave = augment(rng, corpus.audio(record))
        x = torch.from_numpy(wave)
        mel = prompt_mel(x).T
        tokens = len(mel) // 2
        mels.append(semantic_log_mel(resample(x, RATE, 16_000)).T[: tokens * 4])
        goals.append((mel[: tokens * 2] - MEL_MEAN) / MEL_STD)
        f0 = frame_targets(corpus.f0(record).astype(np.float32), tokens, (0.01, 0.03))
        pitches.append(
            torch.from_numpy(np.where(f0 > 40, np.log2(np.maximum(f0, 40) / 160), np.nan))
        )
        track = corpus.phones(record)
        phones.append(
            torch.full((tokens,), -100)
            if track is None
            else torch.from_numpy(frame_targets(track, tokens, (0.02,))[:, 0].astype(np.int64))
        )
    batch, _ = pad(mels)
    goal, _ = pad(goals)
    pitch, lengths = pad(pitches)
    return {
        "log_mel": batch.transpose(1, 2),
        "mel": goal,
        "pitch": pitch,
        "phone": nn.utils.rnn.pad_sequence(phones, batch_first=True, padding_value=-100),
        "tokens": lengths,
        "frames": torch.tensor([len(m) for m in mels]),
    }


def main() -> None:
    """Warm up without the codebook, start it by k-means, train with it."""
    args, config = options(__doc__ or "", "semantic")
    corpus = Corpus(args.corpus)
    torch.random.default_generator.manual_seed(config["seed"])
    model = SemanticTokenizer(SemanticConfig(**config["model"])).to(args.device)
    reader = Reader(config["model"]["d_model"], phone_count()).to(args.device)
    optimizer = torch.optim.AdamW(
        parameters(model, reader), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.02
    )
    codes = MovingCodes(model.codebook, keep=config["ema"], start_at=config["quantize_from"])
    run = Run(args.out, config, optimizer, 2.0, model=model, reader=reader)
    state = run.resume()
    first = state["step"] if state else 0
    if state:
        codes.load(state)

    usable, seconds, weights = select(corpus)
    log.info("%d clips, %.1f h", len(usable), seconds.sum() / 3600)

    def draw(step: int) -> tuple[dict[str, Tensor], np.random.Generator]:
        nonlocal usable, seconds, weights
        if step % 100 == 0 and corpus.refresh():  # the corpus may still grow
            usable, seconds, weights = select(corpus)
        rng = step_rng(config["seed"], step)
        picks = bucket(rng, seconds, weights, config["batch_seconds"])
        return clip_batch(corpus, [corpus.records[usable[j]] for j in picks], rng), rng

    batches = drawn_ahead(draw, first, args.ahead)
    for step, (drawn, rng) in zip(run.steps(first), batches, strict=False):
        batch = to_device(drawn, args.device)
        count = torch.arange(batch["mel"].shape[1] // 2, device=args.device)
        valid = count[None] < batch["tokens"][:, None]
        with fast_math(args.device):
            hidden = model.hidden(batch["log_mel"], batch["frames"])[:, : valid.shape[1]].float()
        coded, loss_commit = codes(step, hidden[valid], rng, restart=run.spent(step) < 0.8)
        quantised = torch.zeros_like(hidden).masked_scatter(valid[..., None], coded)
        level = (batch["mel"] * valid.repeat_interleave(2, 1)[..., None]).sum(1) / (
            2 * batch["tokens"][:, None]
        )
        with fast_math(args.device):
            mel, pitch, phone = (x.float() for x in reader(quantised, level))
        frames = valid.repeat_interleave(2, 1)
        loss_mel = (mel - batch["mel"]).abs().mean(-1)[frames].mean()
        voiced = ~batch["pitch"].isnan()
        voiced &= valid[..., None]
        loss_pitch = (pitch[..., :2] - batch["pitch"].nan_to_num()).abs()[voiced].mean()
        loss_voice = functional.binary_cross_entropy_with_logits(
            pitch[..., 2:][valid], (~batch["pitch"].isnan()).float()[valid]
        )
        loss_phone = torch.zeros(())
        if (batch["phone"] >= 0).any():  # LibriSpeech has no aligned phones
            loss_phone = functional.cross_entropy(
                phone.flatten(0, 1), batch["phone"].flatten(), ignore_index=-100
            )
        loss = loss_mel + 3.0 * loss_pitch + 0.5 * loss_voice + 0.25 * loss_phone
        loss = loss + config["commitment"] * loss_commit
        run.update(step, loss)
        run.close_step(
            step,
            {
                "mel": loss_mel.item(),
                "pitch_semitones": 12 * loss_pitch.item(),
                "voice": loss_voice.item(),
                "phone": loss_phone.item(),
                "commit": loss_commit.item(),
                "used": codes.used,
            },
            **codes.state(),
        )
    run.finish()


if __name__ == "__main__":
    main()
