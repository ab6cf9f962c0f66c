"""How a row of the table of archetypes changes the frames of a neutral clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recipes.nano.corpus.archetypes import Archetype
from recipes.nano.corpus.speakers import DB, breathe, even_noise, tilt_curve, warp_bins
from recipes.nano.corpus.vocoder import BIN_HZ, BINS, FLOOR, Frames, stretch


def scaled(row: Archetype, strength: float) -> Archetype:
    """The row at a strength: additive numbers times it, factors to its power."""
    factors = ("f0_range", "length", "dynamics", "formant")
    changes = {}
    for name, value in vars(row).items():
        if name in factors:
            changes[name] = value**strength
        elif name != "source":
            changes[name] = value * strength
    return replace(row, **changes)


def apply(frames: Frames, row: Archetype, mean_hz: float, rng: np.random.Generator) -> Frames:
    """Neutral frames in the manner of a row already scaled; mean_hz is the speaker's mean F0."""
    if row.length != 1:
        frames = stretch(frames, max(round(len(frames) * row.length), 8))
    count = len(frames)
    voiced = frames.f0 > 0
    spoken = np.flatnonzero(frames.phones)
    first, last = (spoken[0], spoken[-1]) if len(spoken) else (0, count - 1)
    place = np.clip((np.arange(count) - first) / max(last - first, 1), 0, 1)
    seconds = np.arange(count) / 80
    st = 12 * np.log2(np.maximum(frames.f0, 1) / mean_hz) * row.f0_range + row.f0_st
    st += row.slope_st * (place - 0.5) + row.end_st * np.clip(place * 4 - 3, 0, 1)
    phase = rng.uniform(0, 2 * np.pi)
    st += row.bounce_st * np.sin(2 * np.pi * 2.0 * seconds + phase)
    st += row.tremor_st * np.sin(2 * np.pi * 6.0 * seconds + phase)
    st += row.jitter_st * rng.normal(0, 1, count)
    f0 = np.where(voiced, np.clip(mean_hz * 2 ** (np.clip(st, -16, 18) / 12), 50, 650), 0)
    gain = tilt_curve(row.tilt_db)[None] + row.level_db * DB + _dynamics(frames, row.dynamics)
    if row.band > 0:
        gain = gain + min(row.band, 1.2) * _receiver()
    spread = np.where(voiced, np.log(np.maximum(f0, 50) / np.maximum(frames.f0, 50)) / 2, 0)
    new = frames.with_(
        harmonic=(warp_bins(frames.harmonic, row.formant) + gain + spread[:, None]),
        noise=(warp_bins(frames.noise, row.formant) + gain),
        f0=f0.astype(np.float32),
    )
    if row.breath > 0:
        new = breathe(new, min(row.breath, 0.8))
    if row.whisper > 0:
        new = _whisper(new, row.whisper)
    floor = np.log(FLOOR)
    return new.with_(
        harmonic=np.clip(new.harmonic, floor, 4).astype(np.float32),
        noise=np.clip(new.noise, floor, 4).astype(np.float32),
    )


def levels(frames: Frames) -> np.ndarray:
    """(F,) dB of each frame, smoothed over 100 ms."""
    tonal = (np.exp(2 * even_noise(frames)) * (frames.f0 > 0)[:, None]).mean(1)
    power = tonal + np.exp(2 * frames.noise).mean(1)
    return 10 * np.log10(np.convolve(power, np.ones(8) / 8, "same") + 1e-12)


def _dynamics(frames: Frames, factor: float) -> np.ndarray:
    """(F, 1) log gain that widens (factor above 1) or flattens the level contour of speech."""
    if factor == 1:
        return np.zeros((len(frames), 1))
    db = levels(frames)
    speech = db > db.max() - 25
    change = np.clip((factor - 1) * (db - db[speech].mean()), -7, 7)
    change[~speech] = change[speech].min() if factor > 1 else 0
    return (np.convolve(np.pad(change, 3, "edge"), np.ones(7) / 7, "valid") * DB)[:, None]


def _receiver() -> np.ndarray:
    """(601,) log gain of an old receiver: 250 to 3800 Hz with a bump at 1.8 kHz."""
    hz = np.maximum(np.arange(BINS) * BIN_HZ, 20)
    low = -18 * np.clip(np.log2(250 / hz), 0, 2.5)
    high = -20 * np.clip(np.log2(hz / 3800), 0, 2)
    return (low + high + 3 * np.exp(-(np.log2(hz / 1800) ** 2))) * DB


def _whisper(frames: Frames, amount: float) -> Frames:
    """Let noise through the vocal tract take over; at 1 no voice is left and F0 is 0."""
    hz = np.maximum(np.arange(BINS) * BIN_HZ, 60)
    colour = (-9 * np.clip(np.log2(700 / hz), 0, 3) + 3 * np.clip(np.log2(hz / 700), 0, 2.5)) * DB
    voiced = frames.f0 > 0
    drop = (-3 - 16 * max(1 - amount, 0)) * DB
    target = even_noise(frames) + colour + drop
    noise = frames.noise.copy()
    noise[voiced] = np.logaddexp(2 * noise[voiced], 2 * target[voiced]) / 2
    if amount >= 0.999:
        quiet = np.full_like(frames.harmonic, np.log(FLOOR))
        return frames.with_(harmonic=quiet, noise=noise, f0=np.zeros_like(frames.f0))
    return frames.with_(harmonic=frames.harmonic - 26 * amount**1.3 * DB, noise=noise)
