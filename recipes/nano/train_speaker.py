"""Speaker encoder of nano (CAM++): which of the corpus's speakers is it, by additive-margin softmax.

Kokoro voices and blends, LibriSpeech readers and pseudo speakers, all through random channels.

    python -m recipes.nano.train_speaker --corpus DIR --out runs/nano/speaker
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.training import (
    RATE,
    Run,
    augment,
    fast_math,
    log,
    options,
    parameters,
    step_rng,
)
from stepedit_core.audio.fbank import speaker_features
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
    weights = np.array([0.6 / len(real)] * len(real) + [1.0] * (len(names) - len(real)))
    weights[len(real) :] *= 0.4 / weights[len(real) :].sum()
    log.info("%d speakers, %d of them real timbres", len(names), len(real))
    torch.random.default_generator.manual_seed(config["seed"])
    sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in config["model"].items()}
    model = SpeakerEncoder(SpeakerConfig(**sizes))
    classes = nn.Linear(model.config.embedding, len(names), bias=False)
    optimizer = torch.optim.AdamW(parameters(model, classes), lr=1e-3, weight_decay=0.01)
    run = Run(args.out, config, optimizer, 5.0, model=model, classes=classes)
    state = run.resume()
    for step in range(state["step"] if state else 0, config["steps"]):
        rng = step_rng(config["seed"], step)
        picks = rng.choice(len(names), config["batch"], p=weights / weights.sum())
        clips = [by_speaker[names[i]][int(rng.integers(len(by_speaker[names[i]])))] for i in picks]
        batch = torch.stack([crop_features(corpus, r, config["frames"], rng) for r in clips])
        goal = torch.from_numpy(picks)
        with fast_math():
            vectors = model(batch).float()
        cosine = functional.normalize(vectors) @ functional.normalize(classes.weight).T
        grown = min(1.0, max(0.0, step / config["steps"] - 0.3) / 0.3)
        margin = functional.one_hot(goal, len(names)) * config["margin"] * grown
        loss = functional.cross_entropy(config["scale"] * (cosine - margin), goal)
        run.update(step, loss)
        run.close_step(step, {"acc": float((cosine.argmax(1) == goal).float().mean())})
    run.finish()


if __name__ == "__main__":
    main()
