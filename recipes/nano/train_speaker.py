"""Speaker encoder of nano (CAM++): what does this voice sound like, and whose is it.

From a piece of one clip through a random channel, the vector must tell the voice as its other
clips have it: mean spectrum, its spread, height and range of F0; and, by additive-margin softmax,
which of the corpus's speakers it is. The first is dense and learnt within minutes; the second
alone learnt nothing in 250 steps.

    python -m recipes.nano.train_speaker --corpus DIR --out runs/nano/speaker
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from recipes.nano.ahead import drawn_ahead, to_device
from recipes.nano.channels import augment
from recipes.nano.corpus.dataset import Corpus
from recipes.nano.training import (
    RATE,
    Run,
    fast_math,
    log,
    options,
    parameters,
    step_rng,
)
from stepedit_core.audio.fbank import speaker_features
from stepedit_core.audio.mel import prompt_mel
from stepedit_core.audio.resample import resample
from stepedit_core.models.speaker import SpeakerConfig, SpeakerEncoder


def crop_features(
    corpus: Corpus, record: dict, frames: int, rng: np.random.Generator
) -> torch.Tensor:
    """(frames, 80) features of a random piece through a random channel."""
    wave = corpus.audio(record)
    need = int((frames * 0.01 + 0.03) * RATE)
    if len(wave) < need:
        wave = np.tile(wave, -(-need // len(wave)))
    start = int(rng.integers(0, len(wave) - need + 1))
    piece = augment(rng, wave[start : start + need])
    return speaker_features(resample(torch.from_numpy(piece), RATE, 16_000))[:frames]


def portrait(corpus: Corpus, records: list[dict]) -> torch.Tensor:
    """What a voice is like over its clips (162,): mean and spread of the mel, F0 and its range."""
    mels, pitches = [], []
    for record in records:
        mel = prompt_mel(torch.from_numpy(corpus.audio(record)))
        level = mel.mean(0)
        mels.append(mel[:, level > level.median()])
        f0 = corpus.f0(record)
        pitches.append(np.log2(f0[f0 > 40] / 160))
    mel = torch.cat(mels, dim=1)
    height = np.concatenate(pitches)
    pitch = [float(np.median(height)), float(np.std(height))] if len(height) else [0.0, 0.0]
    return torch.cat([mel.mean(1) - mel.mean(), mel.std(1), torch.tensor(pitch)])


def portraits(corpus: Corpus, by_speaker: dict[str, list[dict]], names: list[str]) -> torch.Tensor:
    """Portraits (speakers, 162), each column with mean 0 and deviation 1."""
    rng = np.random.default_rng(0)
    rows = []
    for name in names:
        records = [r for r in by_speaker[name] if r["kind"] == "neutral"] or by_speaker[name]
        picks = rng.permutation(len(records))[:4]
        rows.append(portrait(corpus, [records[int(i)] for i in picks]))
    table = torch.stack(rows)
    return (table - table.mean(0)) / table.std(0).clamp(min=1e-3)


def main() -> None:
    """Train the classifier, keep the encoder."""
    args, config = options(__doc__ or "", "speaker")
    corpus = Corpus(args.corpus)
    by_speaker: dict[str, list[dict]] = defaultdict(list)
    for record in corpus.records:
        if record["audio"][1] > 0.8 * RATE:
            by_speaker[record["speaker"]].append(record)
    real = [n for n in by_speaker if n.startswith(("k-", "libri-"))]
    pseudo = sorted(set(by_speaker) - set(real), key=lambda n: -len(by_speaker[n]))
    names = sorted(real) + pseudo[: config["pseudo_speakers"]]
    weights = np.array([0.6 / max(1, len(real))] * len(real) + [1.0] * (len(names) - len(real)))
    weights[len(real) :] *= 0.4 / weights[len(real) :].sum()
    log.info("%d speakers, %d of them real timbres", len(names), len(real))
    torch.random.default_generator.manual_seed(config["seed"])
    sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in config["model"].items()}
    model = SpeakerEncoder(SpeakerConfig(**sizes)).to(args.device)
    classes = nn.Linear(model.config.embedding, len(names), bias=False).to(args.device)
    wanted = portraits(corpus, by_speaker, names).to(args.device)
    painter = nn.Linear(model.config.embedding, wanted.shape[1]).to(args.device)
    optimizer = torch.optim.AdamW(parameters(model, classes, painter), lr=1e-3, weight_decay=0.01)
    run = Run(args.out, config, optimizer, 5.0, model=model, classes=classes, painter=painter)
    state = run.resume()
    first = state["step"] if state else 0

    def draw(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = step_rng(config["seed"], step)
        picks = rng.choice(len(names), config["batch"], p=weights / weights.sum())
        clips = [by_speaker[names[i]][int(rng.integers(len(by_speaker[names[i]])))] for i in picks]
        crops = [crop_features(corpus, r, config["frames"], rng) for r in clips]
        return torch.stack(crops), torch.from_numpy(picks)

    batches = drawn_ahead(draw, first, args.ahead)
    for step, drawn in zip(run.steps(first), batches, strict=False):
        batch, goal = to_device(drawn, args.device)
        with fast_math(args.device):
            vectors = model(batch).float()
        cosine = functional.normalize(vectors) @ functional.normalize(classes.weight).T
        grown = min(1.0, max(0.0, run.spent(step) - 0.3) / 0.3)
        margin = functional.one_hot(goal, len(names)) * config["margin"] * grown
        who = functional.cross_entropy(config["scale"] * (cosine - margin), goal)
        unit = functional.normalize(vectors) * vectors.shape[1] ** 0.5
        like = (painter(unit) - wanted[goal]).square().mean()
        run.update(step, like + config["identity_weight"] * who)
        right = float((cosine.argmax(1) == goal).float().mean())
        run.close_step(step, {"portrait": like.item(), "who": who.item(), "acc": right})
    run.finish()


if __name__ == "__main__":
    main()
