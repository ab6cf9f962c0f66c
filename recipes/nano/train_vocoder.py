"""Vocoder of nano: pitch from the teacher's F0, gains by multi-resolution spectral losses.

Spectral losses alone leave a buzz, so small discriminators on spectra join for the last steps.

    python -m recipes.nano.train_vocoder --corpus DIR --out runs/nano/vocoder
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from recipes.nano.corpus.dataset import Corpus
from recipes.nano.training import (
    Run,
    Timer,
    clip_seconds,
    fast_math,
    learning_rate,
    log,
    options,
    parameters,
    stage_weight,
    step_rng,
)
from stepedit_core.audio.mel import mel_filters, prompt_mel
from stepedit_core.models.source_filter import SourceFilter, SourceFilterConfig
from stepedit_core.train.run_folder import read_state as load_checkpoint
from stepedit_core.train.run_folder import write_state as save_checkpoint

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


class SpectrumJudge(nn.Module):
    """Patch discriminators on log-magnitude spectra of two sizes (UnivNet, arXiv:2106.07889)."""

    SIZES = ((1024, 240), (400, 100))

    def __init__(self, channels: int) -> None:
        super().__init__()
        shapes = [(1, 2, 1), (channels, 2, 2), (channels, 2, 2), (channels, 1, 1)]
        self.stacks = nn.ModuleList(
            nn.ModuleList(
                weight_norm(nn.Conv2d(c, channels, (7, 3), (up, along), (3, 1)))
                for c, up, along in shapes
            )
            for _ in self.SIZES
        )
        self.ends = nn.ModuleList(
            weight_norm(nn.Conv2d(channels, 1, 3, padding=1)) for _ in self.SIZES
        )

    def forward(self, wave: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Wave (B, N) -> a map of verdicts per size (1 natural, 0 made) and all features."""
        verdicts, features = [], []
        for (size, hop), stack, end in zip(self.SIZES, self.stacks, self.ends, strict=True):
            spectrum = torch.stft(
                wave, size, hop, window=torch.hann_window(size), return_complex=True
            )
            power = torch.view_as_real(spectrum).square().sum(-1)
            x = (power + 1e-6).log()[:, None] * 0.3
            with fast_math():
                for layer in stack:  # type: ignore[attr-defined]
                    x = functional.leaky_relu(layer(x), 0.1)
                    features.append(x)
                verdicts.append(end(x).float())
        return verdicts, features


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


def train_pitch(
    model: SourceFilter, corpus: Corpus, config: dict[str, Any], weights: np.ndarray
) -> None:
    """The pitch predictor alone: cheap steps that everything after relies on."""
    optimizer = torch.optim.AdamW(model.f0_predictor.parameters(), lr=1e-3, weight_decay=0.0)
    with torch.no_grad():  # the output is in Hz: from -300 to 300 around 100 to begin with
        model.f0_predictor.classifier.bias.fill_(100.0)
        model.f0_predictor.classifier.weight.mul_(30.0)
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


def mel_statistics(corpus: Corpus, seed: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (80,) of the mel over 200 clips of those the run begins with."""
    picks = step_rng(seed, 1_000_000).choice(len(corpus.records), 200)
    mels = [crop(corpus, corpus.records[i], 100, step_rng(seed, int(i)))[0] for i in picks]
    joined = torch.cat(mels, dim=1)
    return joined.mean(1), joined.std(1)


def main() -> None:
    """Train pitch alone, then the gains, with the judges at the end."""
    args, config = options(__doc__ or "", "vocoder")
    corpus = Corpus(args.corpus)
    torch.random.default_generator.manual_seed(config["seed"])
    model = SourceFilter(SourceFilterConfig(**config["model"]))
    # pitch is learnt before; at the full rate it would be lost again within 200 steps
    pitch = parameters(model.f0_predictor)
    rest = [w for name, w in model.named_parameters() if not name.startswith("f0_predictor.")]
    groups = [{"params": pitch, "scale": config["pitch_lr_factor"]}, {"params": rest}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.8, 0.99), weight_decay=0.0)
    judge = SpectrumJudge(config["judge_channels"])
    judge_optimizer = torch.optim.AdamW(
        judge.parameters(), lr=config["judge_lr"], betas=(0.8, 0.99)
    )
    run = Run(args.out, config, optimizer, 2.0, model=model, judge=judge)
    state = run.resume()
    first = state["step"] if state else 0
    if state:
        judge_optimizer.load_state_dict(state["judge_optimizer"])
    filters = {
        size: mel_filters(24_000, size, bands, 0.0, 12_000.0)
        for size, _, bands in RESOLUTIONS
        if bands
    }
    weights = select(corpus)
    log.info("%d clips", len(corpus.records))
    if run.fresh and state is None:
        model.mel_mean, model.mel_std = mel_statistics(corpus, config["seed"])
        nn.init.constant_(model.out.bias, -4.0)  # near the level of speech
        pitch_file = args.out / "pitch.pt"
        if (known_pitch := load_checkpoint(pitch_file)) is None:
            train_pitch(model, corpus, config, weights)
            save_checkpoint(pitch_file, model.f0_predictor.state_dict())
        else:
            model.f0_predictor.load_state_dict(known_pitch)
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
        noise = torch.from_numpy(rng.standard_normal(wave.shape, dtype=np.float32))
        with fast_math():
            out = model.decode(mel, predicted.detach(), noise).float()
        loss_wave = spectral_loss(out, wave, filters)
        loss = loss_wave + 0.5 * loss_f0
        values = {"wave": loss_wave.item(), "f0": loss_f0.item()}
        values["cents"] = median_cents(predicted.detach(), f0)
        if step >= config["judge_from"]:
            if step % config["judge_every"] == 0:
                pairs = [v.chunk(2) for v in judge(torch.cat([wave, out.detach()]))[0]]
                loss_judge = sum((r - 1).square().mean() + m.square().mean() for r, m in pairs)
                judge_optimizer.zero_grad(set_to_none=True)
                loss_judge.backward()
                judge_optimizer.step()
                values["judge"] = loss_judge.item() * config["judge_every"]
            judge.requires_grad_(False)
            made, of_made = judge(out)
            with torch.no_grad():
                natural = judge(wave)[1]
            judge.requires_grad_(True)
            fooled = sum((v - 1).square().mean() for v in made)
            alike = sum((a - b).abs().mean() for a, b in zip(of_made, natural, strict=True)) / len(
                natural
            )
            loss = loss + config["judge_weight"] * (fooled + 20 * alike)
            values |= {"fooled": fooled.item(), "alike": alike.item()}
        run.update(step, loss)
        run.close_step(step, values, judge_optimizer=judge_optimizer.state_dict())
    run.finish()


if __name__ == "__main__":
    main()
