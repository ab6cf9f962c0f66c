"""Speaker encoder of nano (CAM++): which of the corpus's speakers is it, by additive-margin softmax.

Kokoro voices and blends, LibriSpeech readers and pseudo speakers, all through random channels.

    python -m recipes.nano.train_speaker --corpus DIR --out runs/nano/speaker
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.training import (
    RATE,
    Timer,
    augment,
    learning_rate,
    load_checkpoint,
    log,
    parameters,
    read_config,
    save_checkpoint,
    set_lr,
    setup,
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--config", type=Path, default=Path(__file__).parent / "configs/speaker.json"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[])
    args = parser.parse_args()
    setup(args.threads)
    config = read_config(args.config, args.set)
    corpus = Corpus(args.corpus)
    by_speaker: dict[str, list[dict]] = defaultdict(list)
    for record in corpus.records:
        if record["audio"][1] > 0.8 * RATE:
            by_speaker[record["speaker"]].append(record)
    names = sorted(by_speaker)
    real = np.array([not by_speaker[n][0]["shard"].startswith(("plain", "edits")) for n in names])
    weights = np.where(real, 0.6 / max(1, real.sum()), 0.4 / max(1, (~real).sum()))
    weights = weights / weights.sum()
    log.info("%d speakers, %d of them real timbres", len(names), real.sum())
    torch.random.default_generator.manual_seed(config["seed"])
    sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in config["model"].items()}
    model = SpeakerEncoder(SpeakerConfig(**sizes))
    classes = nn.Parameter(torch.randn(len(names), model.config.embedding) * 0.05)
    optimizer = torch.optim.AdamW([*parameters(model), classes], lr=1e-3, weight_decay=0.01)
    checkpoint = args.out / "last.pt"
    first = 0
    if (state := load_checkpoint(checkpoint)) is not None and len(state["classes"]) == len(names):
        model.load_state_dict(state["model"])
        classes.data.copy_(state["classes"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    timer = Timer()
    for step in range(first, config["steps"]):
        rng = step_rng(config["seed"], step)
        picks = rng.choice(len(names), config["batch"], p=weights)
        batch = torch.stack(
            [
                crop_features(
                    corpus,
                    by_speaker[names[i]][int(rng.integers(len(by_speaker[names[i]])))],
                    config["frames"],
                    rng,
                )
                for i in picks
            ]
        )
        goal = torch.from_numpy(picks)
        vectors = functional.normalize(model(batch), dim=1)
        cosine = vectors @ functional.normalize(classes, dim=1).T
        margin = functional.one_hot(goal, len(names)) * config["margin"] * min(1.0, step / 800)
        loss = functional.cross_entropy(config["scale"] * (cosine - margin), goal)
        set_lr(
            optimizer,
            learning_rate(
                step, peak=config["peak_lr"], warmup=config["warmup"], steps=config["steps"]
            ),
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([*parameters(model), classes], 5.0)
        optimizer.step()
        timer.add(loss=loss.item(), acc=float((cosine.argmax(1) == goal).float().mean()))
        if step % 50 == 49:
            log.info(timer.line(step + 1))
        if step % 200 == 199 or step + 1 == config["steps"]:
            save_checkpoint(
                checkpoint,
                {
                    "model": model.state_dict(),
                    "classes": classes.data,
                    "optimizer": optimizer.state_dict(),
                    "step": step + 1,
                },
            )
    save_checkpoint(args.out / "final.pt", {"model": model.state_dict(), "config": config["model"]})


if __name__ == "__main__":
    main()
