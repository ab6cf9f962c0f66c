"""Spoil clean clips for the denoise and trim_silence edits: noise, room, telephone, pauses (ours)."""

import numpy as np
from scipy.signal import fftconvolve, lfilter

from recipes.nano.corpus.vocoder import RATE_HZ, Frames, join, silence

NOISES = ("white", "pink", "brown", "hum", "babble", "engine", "wind")


def noise(kind: str, samples: int, others: list[np.ndarray], rng: np.random.Generator):
    """(samples,) float32 noise of RMS 1. others: waves of other talkers, for babble."""
    white = rng.standard_normal(samples)
    t = np.arange(samples) / RATE_HZ
    if kind == "pink":
        out = lfilter([0.05, -0.096, 0.0506, -0.0044], [1, -2.495, 2.017, -0.522], white)
    elif kind == "brown":
        out = lfilter([1], [1, -0.985], white)
    elif kind == "hum":
        base = rng.choice([50.0, 60.0, 100.0])
        out = sum(rng.uniform(0.1, 1) / k * np.sin(2 * np.pi * base * k * t) for k in range(1, 12))
        out = out + 0.1 * white
    elif kind == "babble" and len(others) >= 3:
        out = np.zeros(samples)
        for k in rng.choice(len(others), min(6, len(others)), replace=False):
            piece = np.resize(others[k], samples)
            out += np.roll(piece, int(rng.integers(samples)))
    elif kind == "engine":
        rate = rng.uniform(20, 90)
        out = lfilter([1], [1, -0.9], white) * (1 + 0.7 * np.sin(2 * np.pi * rate * t))
    elif kind == "wind":
        slow = np.interp(
            t,
            np.arange(0, t[-1] + 1, 0.25)[: int(t[-1] / 0.25) + 2],
            rng.uniform(0.1, 1, int(t[-1] / 0.25) + 2),
        )
        out = lfilter([1], [1, -0.96], white) * slow
    else:
        out = white
    return (out / (np.sqrt((out**2).mean()) + 1e-9)).astype(np.float32)


def room(wave: np.ndarray, seconds: float, wet: float, rng: np.random.Generator) -> np.ndarray:
    """Reverberation of a decay time (s, -60 dB) with a share of wet sound; same length."""
    n = int(seconds * RATE_HZ)
    tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail[: int(0.004 * RATE_HZ)] = 0
    tail = lfilter([0.35], [1, -0.65], tail)
    tail *= wet / np.sqrt((tail**2).sum())
    tail[0] = 1
    return fftconvolve(wave, tail)[: len(wave)].astype(np.float32)


def spoil(
    wave: np.ndarray, amount: float, others: list[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, dict]:
    """A noisy copy of the same length and what was done. amount 1: 0 to 8 dB SNR, 0.5: 10 to 20."""
    kind = NOISES[int(rng.integers(len(NOISES)))]
    snr = rng.uniform(0, 8) if amount >= 1 else rng.uniform(10, 20)
    out, told = wave, {"noise": kind, "snr_db": round(float(snr), 1)}
    if rng.random() < 0.4:
        told["rt60_s"] = round(float(rng.uniform(0.2, 0.9)), 2)
        out = room(out, told["rt60_s"], 0.4 + 0.6 * amount * rng.random(), rng)
    hiss = noise(kind, len(wave), others, rng)
    speech = np.sqrt(np.sort(wave**2)[len(wave) // 2 :].mean())
    out = out + hiss * speech * 10 ** (-snr / 20)
    peak = np.abs(out).max()
    return (out * min(1, 0.97 / peak)).astype(np.float32), told


def add_pauses(frames: Frames, amount: float, rng: np.random.Generator) -> Frames:
    """Silence before, after and between words; amount 1 adds about twice as much as 0.5."""
    longest = 0.4 + 0.6 * amount
    parts = [silence(int(rng.uniform(0.2, longest) * 80))]
    starts = np.flatnonzero(np.diff(frames.words) > 0) + 1
    starts = starts[(starts > 12) & (starts < len(frames) - 12)]
    count = min(len(starts), 1 + int(amount >= 1) + int(rng.integers(0, 2)))
    before = 0
    for at in sorted(rng.choice(starts, count, replace=False)) if count else []:
        parts += [frames.take(np.arange(before, at)), silence(int(rng.uniform(0.3, longest) * 80))]
        before = at
    parts += [frames.take(np.arange(before, len(frames)))]
    parts += [silence(int(rng.uniform(0.2, longest) * 80))]
    return join(parts)
