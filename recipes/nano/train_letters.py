"""Recogniser of nano: letters by CTC, the space where the teacher's words meet.

Begins from the encoder of the linguistic tokenizer, which knows phones already; its further layers
and the letters are new. Where the corpus knows the times of words, the space is also learnt frame
by frame: it fills pauses, and one frame at a border without one, so that a Viterbi path through the
letters has the borders where they are. Recordings of people have words that Whisper heard.

    python -m recipes.nano.train_letters --corpus DIR --models runs/nano --out runs/nano/letters
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from scipy.signal import resample_poly
from torch import Tensor
from torch.nn import functional

from recipes.nano.ahead import drawn_ahead, to_device
from recipes.nano.channels import augment, telephone
from recipes.nano.corpus.dataset import Corpus
from recipes.nano.training import (
    FINAL,
    Run,
    bucket,
    clip_seconds,
    fast_math,
    is_dev,
    log,
    options,
    pad,
    parameters,
    saved_state,
    step_rng,
)
from stepedit_core.audio.fbank import INT16_SCALE, kaldi_fbank, stack_frames
from stepedit_core.audio.fbank import RATE as HEARD_RATE
from stepedit_core.models.letters import (
    FIRST_SECONDS,
    FRAME_SECONDS,
    PER_ROW,
    Letters,
    LettersConfig,
)
from stepedit_core.text.letters import BLANK, SPACE, letter_ids, spelled, text_of

SURE = -0.6
"""Least mean log-probability of the words that Whisper heard in a recording."""
FASTEST = 25.0
"""Most letters a second: a recogniser that repeats itself writes more."""
STEPS = 20
"""A clip is played faster or slower by k / STEPS."""


def features(wave: np.ndarray) -> Tensor:
    """(T, 560) features of a wave (N,) at 16 kHz."""
    return stack_frames(kaldi_fbank(torch.from_numpy(wave), window="hamming", scale=INT16_SCALE))


def letters_of(text: str) -> list[int]:
    """Ids of a text, with a space at both ends."""
    words = " ".join(filter(None, (spelled(word) for word in text.split())))
    return letter_ids(f" {words} ")


def space_targets(spans: list[list[float]], frames: int) -> Tensor:
    """(frames,) float32: 1 where the space is said, 0 inside words, by the words' times in seconds.

    Words that meet have one frame of space, the one at their border.
    """
    middle = FIRST_SECONDS + FRAME_SECONDS * (np.arange(frames) + 0.5)
    goal = np.ones(frames, np.float32)
    for start, end in spans:
        goal[(middle >= start) & (middle < end)] = 0
    for (_, end), (start, _) in pairwise(spans):
        at = round(((end + start) / 2 - FIRST_SECONDS) / FRAME_SECONDS - 0.5)
        goal[min(max(at, 0), frames - 1)] = 1
    return torch.from_numpy(goal)


def usable(corpus: Corpus) -> list[int]:
    """Records with words, those that are held out left out."""
    return [
        i
        for i, r in enumerate(corpus.records)
        if r.get("text")
        and not is_dev(r)
        and 0.8 < clip_seconds(r) < 20
        and ("words" in r or r.get("log_prob", 0.0) > SURE)
        and len(r["text"]) < FASTEST * clip_seconds(r)
    ]


def heard_again(
    rng: np.random.Generator, wave: np.ndarray, spans: list[list[float]] | None
) -> tuple[np.ndarray, list[list[float]] | None]:
    """A clip at another speed and through another channel, at 16 kHz, with the times of its words."""
    steps = int(rng.integers(17, 24)) if rng.random() < 0.6 else STEPS
    # 24 kHz to 16 kHz on the way
    wave = resample_poly(wave, 2 * STEPS, 3 * steps).astype(np.float32)
    spans = spans and [[time * STEPS / steps for time in span] for span in spans]
    if rng.random() < 0.25:
        return wave, spans
    wave = augment(rng, wave, HEARD_RATE)
    if rng.random() < 0.12:
        wave = telephone(rng, wave, HEARD_RATE)
    return wave, spans


def masked(rng: np.random.Generator, rows: Tensor) -> Tensor:
    """Features (T, 560) with a band and a short time at their mean (SpecAugment, 2019)."""
    rows = rows.clone().view(len(rows), -1, 80)
    low, width = int(rng.integers(0, 70)), int(rng.integers(1, 12))
    rows[..., low : low + width] = rows[..., low : low + width].mean(0, keepdim=True)
    if len(rows) > 30:
        at, long = int(rng.integers(0, len(rows) - 3)), int(rng.integers(1, 3))
        rows[at : at + long] = rows.mean(0)
    return rows.flatten(1)


def loss_of(
    model: Letters, rows: list[Tensor], words: list[list[int]], spaces: list[Tensor | None]
) -> tuple[Tensor, Tensor, Tensor]:
    """CTC per letter, cross-entropy of the space per frame, and log-probabilities (B, T, C)."""
    device = model.cmvn_shift.device
    batch, lengths = to_device(pad(rows), device)
    with fast_math(device):
        chances = model(batch, lengths)
    counts = torch.tensor([len(w) for w in words])
    ctc = functional.ctc_loss(
        chances.transpose(0, 1),
        torch.tensor([i for w in words for i in w]).to(device),
        lengths * PER_ROW,
        counts.to(device),
        blank=BLANK,
        reduction="none",
        zero_infinity=True,
    )
    goal = torch.full(chances.shape[:2], -1.0)
    for k, space in enumerate(spaces):
        if space is not None:
            goal[k, : len(space)] = space
    goal = goal.to(device)
    known = goal >= 0
    said = chances[..., SPACE][known].clamp(max=-1e-6)
    space_loss = -(
        goal[known] * said + (1 - goal[known]) * torch.log1p(-said.exp().clamp(max=1 - 1e-6))
    )
    return ctc.sum() / counts.sum(), space_loss.mean() if known.any() else ctc.sum() * 0, chances


def greedy(chances: Tensor) -> str:
    """The text of the best id of each frame (T, C)."""
    best = torch.unique_consecutive(chances.argmax(-1))
    return " ".join(text_of(best[best != BLANK].tolist()).split())


def letter_errors(one: str, other: str) -> int:
    """Letters to be put in, left out or changed (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        above, row = row, [i]
        for j, b in enumerate(other, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b)))
    return row[-1]


@torch.no_grad()
def check(model: Letters, corpus: Corpus, count: int) -> str:
    """Letter error rates of held-out clips, by stage, with an example."""
    out = []
    for stage in ("said", "read"):
        held = [
            r
            for r in corpus.records
            if r["shard"].startswith(stage) and is_dev(r) and r.get("text") and clip_seconds(r) < 20
        ][:count]
        wrong = total = 0
        heard = ""
        for record in held:
            wave = resample_poly(corpus.audio(record), 2, 3).astype(np.float32)
            rows = features(wave).to(model.cmvn_shift)
            heard = greedy(model(rows[None])[0])
            said = text_of(letters_of(record["text"])).strip()
            wrong, total = wrong + letter_errors(said, heard), total + len(said)
        if total:
            out.append(f"{stage} {wrong / total:.3f} of {total} letters, '{heard[:60]}'")
    return "; ".join(out)


def begin(model: Letters, models: Path) -> None:
    """Take CMVN and the layers of the trained linguistic tokenizer."""
    state = saved_state(models / "linguistic" / FINAL)
    if state is None:
        raise SystemExit(
            f"{models}/linguistic has no {FINAL}. Train it first, or unpack a bundle: export --unpack."
        )
    known = {k: v for k, v in state["model"].items() if k != "codebook"}
    missing, _ = model.load_state_dict(known, strict=False)
    log.info("begins from the linguistic tokenizer; new are %d tensors", len(missing))


def main() -> None:
    """Train."""
    args, config = options(__doc__ or "", "letters", "models")
    corpus = Corpus(args.corpus, ("said", "read", "copied"))
    torch.random.default_generator.manual_seed(config["seed"])
    model = Letters(LettersConfig(**config["model"])).to(args.device)
    average = Letters(LettersConfig(**config["model"])).to(args.device)
    optimizer = torch.optim.AdamW(parameters(model), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.02)
    run = Run(args.out, config, optimizer, 1.0, model=model, average=average)
    state = run.resume()
    first = state["step"] if state else 0
    if state is None and run.fresh:
        begin(model, args.models)
    if state is None:
        average.load_state_dict(model.state_dict())
    records: list[int] = []
    seconds = weights = np.zeros(0)

    def select() -> None:
        nonlocal records, seconds, weights
        records = usable(corpus)
        seconds = np.array([clip_seconds(corpus.records[i]) for i in records])
        stages = np.array([corpus.records[i]["shard"].split("/")[0] for i in records])
        hours = {s: float(seconds[stages == s].sum()) / 3600 for s in config["shares"]}
        each = {s: config["shares"][s] / hours[s] for s in hours if hours[s]}
        weights = seconds * [each[stage] for stage in stages]
        weights /= weights.sum()
        log.info("hours: %s", {s: round(h, 1) for s, h in hours.items()})

    select()

    def draw(step: int) -> tuple[list[Tensor], list[list[int]], list[Tensor | None]]:
        if step % 100 == 0 and corpus.refresh():  # the corpus may still grow
            select()
        rng = step_rng(config["seed"], step)
        rows, words, spaces = [], [], []
        for j in bucket(rng, seconds, weights, config["batch_seconds"]):
            record = corpus.records[records[j]]
            wave, spans = heard_again(rng, corpus.audio(record), record.get("words"))
            found = features(wave)
            rows.append(masked(rng, found) if rng.random() < 0.5 else found)
            words.append(letters_of(record["text"]))
            spaces.append(None if spans is None else space_targets(spans, PER_ROW * len(rows[-1])))
        return rows, words, spaces

    batches = drawn_ahead(draw, first, args.ahead)
    for step in run.steps(first):
        rows, words, spaces = next(batches)
        ctc, space, _ = loss_of(model, rows, words, spaces)
        run.update(step, ctc + config["space_weight"] * space)
        follow(average, model, config["average"] * min(1.0, (step - first + 1) / 100))
        run.close_step(step, {"ctc": ctc.item(), "space": space.item()})
        if step % config["check_every"] == config["check_every"] - 1:
            log.info(check(average.eval(), corpus, config["checked_clips"]))
    run.finish(average.state_dict())


@torch.no_grad()
def follow(average: Letters, model: Letters, keep: float) -> None:
    """Move the averaged weights towards the model's."""
    for old, new in zip(average.parameters(), model.parameters(), strict=True):
        old.lerp_(new, 1 - keep)
    for old, new in zip(average.buffers(), model.buffers(), strict=True):
        old.copy_(new)


if __name__ == "__main__":
    main()
