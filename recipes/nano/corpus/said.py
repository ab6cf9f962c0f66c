"""Speech with known words and word times for the recogniser: quick voices of the fast teacher.

The other stages change a clip frame by frame and cost five times as much. Here a voice is what the
teacher's own synthesis takes: F0, noise, tilt and rate, and a resampling that moves the formants.
About 30 hours of speech per core-hour on the slow side of a shared core, 150 on a free one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recipes.nano.corpus.shards import Shard
from recipes.nano.corpus.teacher_hibari import Hibari, frame_labels
from recipes.nano.corpus.texts import Grammar
from recipes.nano.corpus.vocoder import BIN_HZ, BINS, HOP, RATE_HZ

FRAME_SECONDS = HOP / RATE_HZ
EDGE_FRAMES = 12
"""Most silence that a clip keeps at either end, 0.15 s."""
TEACHER_F0_HZ = 190.0
STEPS = 20
"""A voice's formants move by k / STEPS."""


@dataclass(frozen=True, kw_only=True)
class QuickVoice:
    """Numbers of one voice."""

    formants: int
    """Formant factor in twentieths: 16 is a long vocal tract, 25 a short one."""
    f0_hz: float
    """Mean F0; 0 whispers."""
    f0_range: float
    """Factor on the excursions of F0 in semitones."""
    rate: float
    """Of speaking; 1 is the teacher's."""
    noise: float
    """Gain of the noise, natural log."""
    tilt: float
    """Natural log of the gain of harmonics per octave above 500 Hz."""


def drawn_voice(rng: np.random.Generator) -> QuickVoice:
    """A voice: pitch and formants go together as they do in people, loosely."""
    formants = int(rng.integers(16, 26))
    pitch = np.log(110) + (formants - 17) / 8 * np.log(2.2) + rng.normal(0, 0.2)
    return QuickVoice(
        formants=formants,
        f0_hz=0.0 if rng.random() < 0.04 else float(np.clip(np.exp(pitch), 75, 340)),
        f0_range=float(rng.uniform(0.4, 1.6)),
        rate=float(np.clip(np.exp(rng.normal(0.08, 0.22)), 0.65, 1.7)),
        noise=float(rng.uniform(-0.7, 1.2)),
        tilt=float(rng.normal(0, 0.2)),
    )


def drawn_text(rng: np.random.Generator, grammar: Grammar) -> str:
    """Sentences: two of three from the verses, some rare words, the rest by the grammar."""
    draw = rng.random()
    if draw < 0.62 and grammar.verses:
        count = int(rng.integers(1, 3))
        return " ".join(
            grammar.verses[int(rng.integers(len(grammar.verses)))] for _ in range(count)
        )
    if draw < 0.74 and grammar.words:
        count = int(rng.integers(3, 8))
        return " ".join(grammar.words[int(rng.integers(len(grammar.words)))] for _ in range(count))
    return grammar.text(rng)


def say(
    teacher: Hibari, text: str, voice: QuickVoice, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Wave (N,) at 24 kHz, phones (F,) and word number (F,) at 80 Hz, -1 where no word is said.

    None where the teacher's phones have another number of words than the text.
    """
    from hibari import dsp
    from scipy.signal import resample_poly

    phonemes = teacher.phonemes(text)
    symbols = [c for c in phonemes if c in teacher.vocab]
    if "".join(symbols).count(" ") + 1 != len(text.split()):
        return None
    factor = voice.formants / STEPS
    ids = np.array([[0, *[teacher.vocab[c] for c in symbols], 0]], np.int64)
    feed = {"ids": ids, "speed": np.array([voice.rate / factor], np.float32)}
    *parts, token = teacher.session.run(None, feed)
    lh, theta, ln, lr, phi, f0 = (p[0] for p in parts)
    octaves = np.log2(np.maximum(np.arange(BINS) * BIN_HZ, 250) / 500).astype(np.float32)[:, None]
    lh = lh + voice.tilt * octaves
    ln = ln + voice.noise
    if voice.f0_hz:
        bent = np.log(np.maximum(f0, 1.0) / TEACHER_F0_HZ) * voice.f0_range
        f0 = np.where(f0 > 40, voice.f0_hz / factor * np.exp(bent), 0).astype(np.float32)
    else:
        ln = np.maximum(ln, lh - 1.0 + 0.4 * octaves)
        lh, f0 = np.full_like(lh, -20), np.zeros_like(f0)
    wave = dsp.synth(lh, theta, ln, lr, phi, f0, rng)
    token = np.repeat(token, 2)[: len(f0)]
    symbols = ["^", *symbols, "$"]
    level = 10 * np.log10((wave.reshape(-1, HOP) ** 2).mean(1) + 1e-9)
    phones = frame_labels(symbols, token, level)
    words = np.where(phones > 0, np.cumsum([c == " " for c in symbols])[token], -1)
    spoken = np.flatnonzero(phones)
    if not len(spoken):
        return None
    first = max(spoken[0] - int(rng.integers(EDGE_FRAMES)), 0)
    end = min(spoken[-1] + 1 + int(rng.integers(EDGE_FRAMES)), len(phones))
    wave = resample_poly(wave[first * HOP : end * HOP], STEPS, voice.formants).astype(np.float32)
    count = len(wave) // HOP
    at = ((np.arange(count) + 0.5) * factor).astype(int).clip(0, end - first - 1)
    return wave[: count * HOP], phones[first:end][at], words[first:end][at]


def word_spans(words: np.ndarray) -> list[list[float]]:
    """Start and end in seconds of each word, in order, of word numbers (F,) at 80 Hz."""
    spans = []
    for number in range(int(words.max()) + 1):
        where = np.flatnonzero(words == number)
        if not len(where):
            return []
        spans.append([round(t * FRAME_SECONDS, 4) for t in (int(where[0]), int(where[-1]) + 1)])
    return spans


def make_said(shard: Shard, number: int, tools: dict[str, Any]) -> None:
    """One shard of clips of 1 to 12 s, every voice in one clip; every fiftieth clip is `dev`."""
    from recipes.nano.corpus.make_corpus import level

    rng = np.random.default_rng([5, number])
    seconds, k = 0.0, 0
    while seconds < tools["args"].shard_seconds:
        voice, text = drawn_voice(rng), drawn_text(rng, tools["grammar"])
        made = say(tools["hibari"], text, voice, rng)
        if made is None or not 80 <= len(made[1]) <= 960:
            continue
        wave, phones, words = made
        spans = word_spans(words)
        if len(spans) != len(text.split()):
            continue
        record = {
            "id": f"said-{number:05d}-{k:04d}",
            "kind": "neutral",
            "text": text,
            "words": spans,
            "speaker": f"q{number:05d}-{k:04d}",
            "split": "dev" if k % 50 == 0 else "train",
            "params": vars(voice),
        }
        wave = wave * level(wave, float(rng.uniform(-27, -19)))
        shard.add(record, wave, np.zeros(len(phones), np.float32), phones)
        seconds += len(wave) / RATE_HZ
        k += 1
