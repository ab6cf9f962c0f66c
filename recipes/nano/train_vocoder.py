"""Vocoder of nano: pitch from the teacher's F0, gains by multi-resolution spectral losses.

Spectral losses alone leave a buzz, so small discriminators on spectra join for the last steps.

    python -m recipes.nano.train_vocoder --corpus DIR --out runs/nano/vocoder
"""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from recipes.nano.ahead import drawn_ahead, to_device
from recipes.nano.corpus.dataset import Corpus
from recipes.nano.spectral import (
    NARROW_HZ,
    loudness,
    resolutions,
    spectra,
    spectral_distance,
)
from recipes.nano.training import (
    RATE,
    Run,
    Timer,
    clip_seconds,
    fast_math,
    is_dev,
    join_workers,
    learning_rate,
    log,
    mean_gradients,
    options,
    parameters,
    saved_state,
    stage_weight,
    step_rng,
)
from recipes.nano.words_heard import WordsHeard
from stepedit_core.audio.mel import prompt_mel
from stepedit_core.measure.whisper import WHISPER_VARIABLE
from stepedit_core.models.source_filter import SourceFilter, SourceFilterConfig
from stepedit_core.train.run_folder import write_state as save_checkpoint

HOP = 480
NARROW_STAGES = ("people", "acted", "libri", "real")


class SpectrumJudge(nn.Module):
    """Patch discriminators on log-magnitude spectra of three sizes up to 7.5 kHz (UnivNet, arXiv:2106.07889)."""

    SIZES = ((2048, 480), (1024, 240), (400, 100))

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
                wave,
                size,
                hop,
                window=torch.hann_window(size, device=wave.device),
                return_complex=True,
            )
            power = torch.view_as_real(spectrum).square().sum(-1)
            power = power[:, : int(NARROW_HZ * size / RATE)]
            x = (power + 1e-6).log()[:, None] * 0.3
            with fast_math(wave.device):
                for layer in stack:  # type: ignore[attr-defined]
                    x = functional.leaky_relu(layer(x), 0.1)
                    features.append(x)
                verdicts.append(end(x).float())
        return verdicts, features


def select(corpus: Corpus) -> np.ndarray:
    """Probability of each record."""
    weights = np.array(
        [(not is_dev(r)) * stage_weight(r) * clip_seconds(r) for r in corpus.records]
    )
    return weights / weights.sum()


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A piece of a clip, or a batch of them."""

    mel: Tensor
    """(80, frames)."""
    wave: Tensor
    """(480 frames,)."""
    pitch: Tensor
    """(frames,) in Hz, between voiced frames linear; 0 in a clip without voice."""
    voiced: Tensor
    """(frames,) 1 where the recording has a pitch."""
    wide: Tensor
    """() whether the recording goes beyond 8 kHz."""


def batch(crops: list[Crop]) -> Crop:
    """Crops stacked."""
    names = ("mel", "wave", "pitch", "voiced", "wide")
    return Crop(**{name: torch.stack([getattr(c, name) for c in crops]) for name in names})


def equalise(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Wave (N,) through a smooth random curve of a few dB."""
    spectrum = np.fft.rfft(wave)
    octave = np.log2(np.maximum(np.fft.rfftfreq(len(wave), 1 / RATE), 60) / 60)
    spectrum *= 10 ** (np.interp(octave, np.arange(9), rng.normal(0, 2.0, 9)) / 20)
    return np.fft.irfft(spectrum, len(wave))


def crop(corpus: Corpus, record: dict, frames: int, rng: np.random.Generator) -> Crop:
    """Random piece of a clip at a random level, half of them through an equaliser."""
    wave = corpus.audio(record)
    track = corpus.f0(record).astype(np.float32)
    margin = 2
    need = (frames + 2 * margin) * HOP
    if len(wave) < need:
        wave = np.pad(wave, (0, need - len(wave)))
    start = int(rng.integers(0, (len(wave) - need) // HOP + 1)) * HOP
    piece = wave[start : start + need]
    if rng.random() < 0.5:
        piece = equalise(piece, rng)
    gain = 10 ** rng.uniform(-0.5, 0.2)
    piece = piece * min(gain, 0.6 / max(np.abs(piece).max(), 1e-4))
    x = torch.from_numpy(piece.astype(np.float32))
    at = (start / RATE + (np.arange(frames) + margin + 0.5) * 0.02) / 0.0125 - 0.5
    near = np.rint(at).astype(int)
    known = np.flatnonzero(track > 0)
    inside = (near >= 0) & (near < len(track))
    voiced = inside & (track[near.clip(0, len(track) - 1)] > 0)
    pitch = np.interp(at, known, track[known]) if len(known) else np.zeros(frames)
    return Crop(
        mel=prompt_mel(x)[:, margin : margin + frames],
        wave=x[margin * HOP : (margin + frames) * HOP],
        pitch=torch.from_numpy(pitch.astype(np.float32)),
        voiced=torch.from_numpy(voiced.astype(np.float32)),
        wide=torch.tensor(record["shard"].split("/")[0] not in NARROW_STAGES),
    )


def pitch_loss(predicted: Tensor, goal: Crop) -> Tensor:
    """Mean distance in octaves; frames between voiced ones count a tenth.

    The pulses go on there (`fill_pitch`) and the gains say what is voiced, so the predictor need
    not: asked for 0 Hz it slides through wrong pitches at every border.
    """
    weight = (goal.pitch > 0) * (0.1 + 0.9 * goal.voiced)
    distance = ((predicted + 20).log2() - (goal.pitch + 20).log2()).abs()
    return (distance * weight).sum() / weight.sum().clamp(min=1.0)


class Draw:
    """Batches of crops by their step, worker and seed."""

    def __init__(self, corpus: Corpus, config: dict[str, Any], seed: int) -> None:
        self.corpus, self.config, self.seed = corpus, config, seed
        self.weights = select(corpus)

    def crops(self, step: int, count: int, frames: int) -> tuple[Crop, np.random.Generator]:
        """So many crops, and the step's generator after them."""
        if step % 100 == 0 and self.corpus.refresh():  # the corpus may still grow
            self.weights = select(self.corpus)
        rng = step_rng(self.seed, step)
        picks = rng.choice(len(self.corpus.records), count, p=self.weights)
        records = [self.corpus.records[i] for i in picks]
        return batch([crop(self.corpus, record, frames, rng) for record in records]), rng

    def pitched(self, step: int) -> Crop:
        """A batch for the pitch predictor."""
        return self.crops(step, 24, 80)[0]

    def voiced(self, step: int) -> tuple[Crop, Tensor]:
        """A batch for the gains, and its noise: one row each, two where draws are compared."""
        goal, rng = self.crops(step, self.config["batch"], self.config["frames"])
        rows = (2 if self.config["repulsion"] else 1) * len(goal.wave)
        shape = (rows, goal.wave.shape[-1])
        return goal, torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def train_pitch(
    model: SourceFilter,
    draw: Draw,
    config: dict[str, Any],
    *,
    fresh: bool,
    ahead: int,
) -> None:
    """The pitch predictor alone: cheap steps that everything after relies on."""
    optimizer = torch.optim.AdamW(model.f0_predictor.parameters(), lr=1e-3, weight_decay=0.0)
    if fresh:
        with torch.no_grad():  # the output is in Hz: from -300 to 300 around 100 to begin with
            model.f0_predictor.classifier.bias.fill_(100.0)
            model.f0_predictor.classifier.weight.mul_(30.0)
    timer = Timer()
    steps = config["pitch_steps"]
    device = next(model.parameters()).device
    for step, drawn in zip(range(steps), drawn_ahead(draw.pitched, 0, ahead), strict=False):
        goal = to_device(drawn, device)
        predicted = model.f0_predictor(goal.mel)
        loss = pitch_loss(predicted, goal)
        rate = learning_rate(step, peak=config["pitch_lr"], warmup=50, steps=steps)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.f0_predictor.parameters(), 1.0)
        optimizer.step()
        timer.add(f0=loss.item(), cents=median_cents(predicted.detach(), goal))
        if step % 100 == 99:
            log.info("pitch %s", timer.line(step + 1))


def median_cents(predicted: Tensor, goal: Crop) -> float:
    """Median pitch error in cents over voiced frames."""
    both = (goal.voiced > 0) & (predicted > 40)
    if not both.any():
        return 1200.0
    return float((1200 * (predicted[both] / goal.pitch[both]).log2().abs()).median())


def mel_statistics(corpus: Corpus, seed: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (80,) of the mel over 200 clips of those the run begins with."""
    picks = step_rng(seed, 1_000_000).choice(len(corpus.records), 200)
    mels = [crop(corpus, corpus.records[i], 100, step_rng(seed, int(i))).mel for i in picks]
    joined = torch.cat(mels, dim=1)
    return joined.mean(1), joined.std(1)


def main() -> None:
    """Train pitch alone, then the gains, with the judges at the end."""
    args, config = options(__doc__ or "", "vocoder")
    worker = join_workers()
    corpus = Corpus(args.corpus)
    torch.random.default_generator.manual_seed(config["seed"])
    model = SourceFilter(SourceFilterConfig(**config["model"])).to(args.device)
    # pitch is learnt before; at the full rate it would be lost again within 200 steps
    pitch = parameters(model.f0_predictor)
    rest = [w for name, w in model.named_parameters() if not name.startswith("f0_predictor.")]
    groups = [{"params": pitch, "scale": config["pitch_lr_factor"]}, {"params": rest}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.8, 0.99), weight_decay=0.0)
    judge = SpectrumJudge(config["judge_channels"]).to(args.device)
    judge_optimizer = torch.optim.AdamW(
        judge.parameters(), lr=config["judge_lr"], betas=(0.8, 0.99)
    )
    run = Run(args.out, config, optimizer, 2.0, model=model, judge=judge)
    run.writes = worker == 0
    state = run.resume()
    first = state["step"] if state else 0
    if state:
        judge_optimizer.load_state_dict(state["judge_optimizer"])
        judge_optimizer.param_groups[0]["lr"] = config["judge_lr"]
    judge_file = args.out / "judge.pt"
    if state is None and (known_judge := saved_state(judge_file)) is not None:
        judge.load_state_dict(known_judge)
    listener = None
    if config["words_weight"]:
        listener = WordsHeard(Path(os.environ[WHISPER_VARIABLE]), device=args.device)
    stfts = resolutions()
    log.info("%d clips", len(corpus.records))
    if state is None:
        if run.fresh:
            mean, std = mel_statistics(corpus, config["seed"])
            model.mel_mean.copy_(mean)
            model.mel_std.copy_(std)
            nn.init.constant_(model.out.bias, -4.0)  # near the level of speech
        pitch_file = args.out / "pitch.pt"
        if (known_pitch := saved_state(pitch_file)) is None:
            of_pitch = Draw(corpus, config, config["seed"] + 100)
            train_pitch(model, of_pitch, config, fresh=run.fresh, ahead=args.ahead)
            save_checkpoint(pitch_file, model.f0_predictor.state_dict())
        else:
            model.f0_predictor.load_state_dict(known_pitch)
    average = state["average"] if state else copy.deepcopy(model.state_dict())
    draw = Draw(corpus, config, config["seed"] + 1000 * worker)
    draws = 2 if config["repulsion"] else 1
    step = first
    batches = drawn_ahead(draw.voiced, first, args.ahead)
    for step, drawn in zip(run.steps(first), batches, strict=False):
        goal, noise = to_device(drawn, args.device)
        predicted = model.f0_predictor(goal.mel)
        loss_f0 = pitch_loss(predicted, goal)
        with fast_math(args.device):
            gains, turn = model.gains(goal.mel)
        out = model.render(
            gains.repeat(draws, 1, 1),
            None if turn is None else turn.repeat(draws, 1, 1),
            (goal.pitch if config["true_pitch"] else predicted.detach()).repeat(draws, 1),
            noise,
        )
        natural = spectra(goal.wave, stfts)
        made = [spectra(part, stfts) for part in out.chunk(draws)]
        heard = loudness(natural, goal.wide, stfts, config["loudness"])
        loss_wave = torch.stack([spectral_distance(m, natural, heard, stfts) for m in made]).mean()
        values = {"wave": loss_wave.item(), "f0": loss_f0.item()}
        values["cents"] = median_cents(predicted.detach(), goal)
        loss = loss_wave + 0.5 * loss_f0
        if draws == 2:
            apart = spectral_distance(made[0], made[1], heard, stfts)
            loss = loss - 0.5 * config["repulsion"] * apart
            values["apart"] = apart.item()
        out = out[: len(goal.wave)]
        if listener is not None:
            with fast_math(args.device):
                with torch.no_grad():
                    natural_words = listener(goal.wave)
                words = torch.stack(
                    [
                        (a - b).abs().mean()
                        for a, b in zip(listener(out), natural_words, strict=True)
                    ]
                ).mean()
            loss = loss + config["words_weight"] * words
            values["words"] = words.item()
        judging = step >= config["judge_from"] - config["judge_alone"]
        if judging and step % config["judge_every"] == 0:
            pairs = [v.chunk(2) for v in judge(torch.cat([goal.wave, out.detach()]))[0]]
            loss_judge = sum((r - 1).square().mean() + m.square().mean() for r, m in pairs)
            judge_optimizer.zero_grad(set_to_none=True)
            loss_judge.backward()
            mean_gradients(parameters(judge))
            judge_optimizer.step()
            values["judge"] = loss_judge.item() * config["judge_every"]
        if step >= config["judge_from"]:
            judge.requires_grad_(False)
            verdicts, of_made = judge(out)
            with torch.no_grad():
                real = judge(goal.wave)[1]
            judge.requires_grad_(True)
            fooled = sum((v - 1).square().mean() for v in verdicts)
            alike = sum((a - b).abs().mean() for a, b in zip(of_made, real, strict=True))
            alike = alike / len(real)
            loss = loss + config["judge_weight"] * (fooled + 20 * alike)
            values |= {"fooled": fooled.item(), "alike": alike.item()}
        run.update(step, loss)
        with torch.no_grad():
            for name, value in model.state_dict().items():
                average[name].lerp_(value, 1 - min(config["average"], (step + 1) / (step + 10)))
        run.close_step(step, values, average=average, judge_optimizer=judge_optimizer.state_dict())
    run.finish(average)
    if run.writes:
        save_checkpoint(judge_file, judge.state_dict())
    log.info("%d steps in %.0f minutes; %s", step + 1, run.seconds / 60, run.last)


if __name__ == "__main__":
    main()
