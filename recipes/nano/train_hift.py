"""HiFT vocoder of nano: pitch from the teacher's F0, wave by multi-resolution spectral losses.

python -m recipes.nano.train_hift --corpus DIR --out runs/nano/hift
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.training import (
    Run,
    Timer,
    clip_seconds,
    learning_rate,
    log,
    options,
    parameters,
    stage_weight,
    step_rng,
)
from stepedit_core.audio.mel import mel_filters, prompt_mel
from stepedit_core.models.hift import HiFT, HiFTConfig

HOP = 480
RESOLUTIONS = ((512, 128, 40), (1024, 256, 80), (2048, 512, 128), (256, 64, 0))


def spectral_loss(wave: Tensor, goal: Tensor, filters: dict[int, Tensor]) -> Tensor:
    """Mean over resolutions of log-magnitude L1, spectral convergence and log-mel L1."""
    total = torch.zeros(())
    for size, hop, bands in RESOLUTIONS:
        window = torch.hann_window(size)
        both = torch.stft(
            torch.cat([wave, goal]), size, hop, window=window, return_complex=True, center=True
        )
        magnitude = (both.real.square() + both.imag.square() + 1e-7).sqrt()
        x, y = magnitude.chunk(2)
        total = total + (x.clamp(min=1e-3).log() - y.clamp(min=1e-3).log()).abs().mean()
        total = total + (x - y).norm() / (y.norm() + 1e-3) * 0.5
        if bands:
            mel_x, mel_y = (torch.matmul(filters[size], m).clamp(min=1e-5).log() for m in (x, y))
            total = total + (mel_x - mel_y).abs().mean()
    return total / len(RESOLUTIONS)


def select(corpus: Corpus) -> np.ndarray:
    """Probability of each record."""
    weights = np.array([stage_weight(r) * clip_seconds(r) for r in corpus.records])
    return weights / weights.sum()


def crop(
    corpus: Corpus, record: dict, frames: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Random crop: mel (80, frames), wave (480 frames,), F0 (frames,) in Hz, 0 unvoiced."""
    wave = corpus.audio(record)
    track = corpus.f0(record).astype(np.float32)
    margin = 2
    need = (frames + 2 * margin) * HOP
    if len(wave) < need:
        wave = np.pad(wave, (0, need - len(wave)))
    start = int(rng.integers(0, (len(wave) - need) // HOP + 1)) * HOP
    piece = wave[start : start + need]
    peak = np.abs(piece).max()
    gain = 10 ** rng.uniform(-0.5, 0.2)
    piece = piece * min(gain, 0.6 / max(peak, 1e-4))
    x = torch.from_numpy(piece.astype(np.float32))
    mel = prompt_mel(x)[:, margin : margin + frames]
    at = (start / 24_000 + (np.arange(frames) + margin + 0.5) * 0.02) / 0.0125
    f0 = track[np.clip(at.astype(int), 0, len(track) - 1)]
    if at[-1] > len(track):
        f0 = np.where(at < len(track), f0, 0.0)
    return mel, x[margin * HOP : (margin + frames) * HOP], torch.from_numpy(f0.astype(np.float32))


def pitch_loss(predicted: Tensor, f0: Tensor) -> Tensor:
    """Mean distance in octaves, softened near 0 Hz, which stands for unvoiced."""
    return ((predicted + 20).log2() - (f0 + 20).log2()).abs().mean()


def train_pitch(model: HiFT, corpus: Corpus, config: dict[str, Any], weights: np.ndarray) -> None:
    """The pitch predictor alone: cheap steps that everything after relies on."""
    optimizer = torch.optim.AdamW(model.f0_predictor.parameters(), lr=1e-3, weight_decay=0.0)
    with torch.no_grad():
        model.f0_predictor.classifier.bias.fill_(100.0)
    timer = Timer()
    steps = config["pitch_steps"]
    for step in range(steps):
        rng = step_rng(config["seed"] + 100, step)
        picks = rng.choice(len(corpus.records), 24, p=weights)
        crops = [crop(corpus, corpus.records[i], 80, rng) for i in picks]
        mel, f0 = torch.stack([c[0] for c in crops]), torch.stack([c[2] for c in crops])
        predicted = model.f0_predictor(mel)
        loss = pitch_loss(predicted, f0)
        rate = learning_rate(step, peak=config["pitch_lr"], warmup=50, steps=steps)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.f0_predictor.parameters(), 1.0)
        optimizer.step()
        timer.add(f0=loss.item(), cents=median_cents(predicted.detach(), f0))
        if step % 100 == 99:
            log.info("pitch %s", timer.line(step + 1))


def median_cents(predicted: Tensor, f0: Tensor) -> float:
    """Median pitch error in cents over frames voiced in both."""
    both = (f0 > 40) & (predicted > 40)
    if not both.any():
        return 1200.0
    return float((1200 * (predicted[both] / f0[both]).log2().abs()).median())


@torch.no_grad()
def start_filter(model: HiFT) -> None:
    """Weights at the scale of their inputs, residual branches small, magnitudes near speech's.

    The model's own start (deviation 0.01 everywhere, as in HiFi-GAN) relies on weight norm and on
    hundreds of thousands of steps.
    """
    for name, module in model.named_modules():
        if name.startswith(("ups.", "resblocks.", "source_resblocks.", "conv_post")) and isinstance(
            module, (nn.Conv1d, nn.ConvTranspose1d)
        ):
            module.reset_parameters()
            if ".convs2." in name:
                module.weight.mul_(0.3)
    bins = model.config.n_fft // 2 + 1
    model.conv_post.bias[:bins] = -3.0  # type: ignore[index]


def main() -> None:
    """Train pitch and filter together; the model's own pitch drives the source later."""
    args, config = options(__doc__ or "", "hift")
    corpus = Corpus(args.corpus)
    torch.random.default_generator.manual_seed(config["seed"])
    sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in config["model"].items()}
    model = HiFT(HiFTConfig(**sizes))
    pitch = parameters(model.f0_predictor)
    known = {id(p) for p in pitch}
    rest = [p for p in parameters(model) if id(p) not in known]
    # pitch is in Hz: its last layer has a long way to go
    groups = [{"params": rest}, {"params": pitch, "scale": config["pitch_lr_factor"]}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.8, 0.99), weight_decay=0.0)
    run = Run(args.out, config, optimizer, 5.0, model=model)
    state = run.resume()
    first = state["step"] if state else 0
    filters = {
        size: mel_filters(24_000, size, bands, 0.0, 12_000.0)
        for size, _, bands in RESOLUTIONS
        if bands
    }
    weights = select(corpus)
    log.info("%d clips", len(corpus.records))
    if not first:
        start_filter(model)
        train_pitch(model, corpus, config, weights)
    for step in range(first, config["steps"]):
        if step % 100 == 0 and corpus.refresh():  # the corpus may still grow
            weights = select(corpus)
        rng = step_rng(config["seed"], step)
        picks = rng.choice(len(corpus.records), config["batch"], p=weights)
        mel, wave, f0 = map(
            torch.stack,
            zip(
                *[crop(corpus, corpus.records[i], config["frames"], rng) for i in picks],
                strict=True,
            ),
        )
        predicted = model.f0_predictor(mel)
        loss_f0 = pitch_loss(predicted, f0)
        drive = f0 if step < config["own_f0_from"] and rng.random() < 0.7 else predicted.detach()
        noise = torch.from_numpy(
            rng.standard_normal((len(picks), 9, wave.shape[1]), dtype=np.float32)
        )
        out = model.decode(mel, model.source(drive, noise))
        loss_wave = spectral_loss(out, wave, filters)
        loss = loss_wave + 0.5 * loss_f0
        run.update(step, loss)
        values = {"wave": loss_wave.item(), "f0": loss_f0.item()}
        run.close_step(step, values | {"cents": median_cents(predicted.detach(), f0)})
    run.finish()


if __name__ == "__main__":
    main()
