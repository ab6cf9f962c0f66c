"""Pseudo speakers: numbers that turn the teacher's one voice into thousands (ours).

A speaker is a vocal-tract warp, an F0 mean and range, a tilt, breathiness, rate, jitter and an
equaliser, all drawn from its integer id. Pitch and tract length go together as they do in people.
"""

from dataclasses import dataclass

import numpy as np

from recipes.nano.corpus.vocoder import BIN_HZ, BINS, FLOOR, Frames

TEACHER_F0_HZ = 190.0
EQ_HZ = (80.0, 250.0, 500.0, 1000.0, 2000.0, 3500.0, 6000.0, 10000.0)
DB = np.log(10) / 20
"""Natural-log amplitude of one decibel."""


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """All numbers of one pseudo speaker."""

    id: str
    warp: float
    """Formant factor: above 1 is a shorter vocal tract."""
    f0_hz: float
    """Mean F0 of neutral speech."""
    f0_range: float
    """Factor on the teacher's F0 excursions in semitones."""
    tilt_db: float
    """dB per octave above 500 Hz."""
    breath: float
    """0 clear to 1 breathy."""
    rate: float
    """Speaking rate given to the teacher."""
    jitter: float
    """Standard deviation of F0 per frame, semitones."""
    level_db: float
    """RMS of neutral speech, dBFS."""
    eq_db: tuple[float, ...]
    """Gains at EQ_HZ."""


def speaker(number: int) -> Speaker:
    """The pseudo speaker with this number; the same numbers for ever."""
    rng = np.random.default_rng([77, number])
    kind = rng.choice(3, p=[0.46, 0.42, 0.12])  # lower, higher, childlike
    warp = rng.uniform(*((0.82, 0.96), (0.94, 1.10), (1.08, 1.22))[kind])
    low, high = ((80, 165), (150, 255), (225, 320))[kind]
    return Speaker(
        id=f"p{number:05d}",
        warp=round(float(warp), 3),
        f0_hz=round(float(np.exp(rng.uniform(np.log(low), np.log(high)))), 1),
        f0_range=round(float(rng.uniform(0.65, 1.35)), 2),
        tilt_db=round(float(rng.normal(0, 1.2)), 2),
        breath=round(float(np.clip(rng.beta(1.2, 4), 0, 0.7)), 2),
        rate=round(float(np.clip(rng.normal(1.05, 0.1), 0.85, 1.3)), 2),
        jitter=round(float(rng.gamma(1.5, 0.06)), 3),
        level_db=round(float(rng.uniform(-27, -19)), 1),
        eq_db=tuple(round(float(g), 1) for g in np.clip(rng.normal(0, 2.6, len(EQ_HZ)), -8, 8)),
    )


def warp_bins(rows: np.ndarray, factor: float) -> np.ndarray:
    """(F, 601) log spectra with frequencies multiplied by factor, edge held."""
    if factor == 1:
        return rows
    at = np.minimum(np.arange(BINS) / factor, BINS - 1)
    low = np.minimum(at.astype(int), BINS - 2)
    part = (at - low).astype(np.float32)
    return rows[:, low] * (1 - part) + rows[:, low + 1] * part


def tilt_curve(db_per_octave: float) -> np.ndarray:
    """(601,) natural-log gain, 0 at 500 Hz, clamped below 125 Hz."""
    hz = np.maximum(np.arange(BINS) * BIN_HZ, 125)
    return (db_per_octave * DB * np.log2(hz / 500)).astype(np.float32)


def breathe(frames: Frames, amount: float) -> Frames:
    """Raise noise towards the harmonic envelope and lower high harmonics; amount 0 to 1.

    Noise of the same power per hertz as the harmonics is ln sqrt(N_FFT / (4 f0 bins)) above them;
    full breathiness puts it 8 dB under that from 1.5 kHz up, and takes 14 dB off the harmonics there.
    """
    if amount <= 0:
        return frames
    hz = np.arange(BINS) * BIN_HZ
    high = np.clip((hz - 700) / 2500, 0, 1).astype(np.float32)
    voiced = frames.f0 > 0
    even = even_noise(frames)
    drop = (-8 - 24 * (1 - amount) - 14 * (1 - high)) * DB
    noise = frames.noise.copy()
    noise[voiced] = np.logaddexp(2 * noise[voiced], 2 * (even + drop)[voiced]) / 2
    harmonic = frames.harmonic - (14 * amount * DB * high)[None]
    return frames.with_(harmonic=harmonic.astype(np.float32), noise=noise.astype(np.float32))


def even_noise(frames: Frames) -> np.ndarray:
    """(F, 601) log sigma of white noise with the power per hertz of the harmonics."""
    spacing = np.maximum(frames.f0, 60.0)[:, None] / BIN_HZ
    return frames.harmonic + 0.5 * np.log(1200 / (4 * spacing)).astype(np.float32)


def revoice(frames: Frames, who: Speaker, rng: np.random.Generator) -> Frames:
    """The teacher's frames in the voice of `who` (rate and level are applied elsewhere)."""
    eq = np.interp(
        np.log(np.maximum(np.arange(BINS) * BIN_HZ, 20)), np.log(EQ_HZ), np.array(who.eq_db) * DB
    ).astype(np.float32)
    shape = eq + tilt_curve(who.tilt_db)
    voiced = frames.f0 > 0
    f0 = frames.f0.copy()
    st = np.log(np.maximum(f0, 1) / TEACHER_F0_HZ) * who.f0_range
    if who.jitter:
        st = st + rng.normal(0, who.jitter / 12 * np.log(2), len(f0))
    f0 = np.where(voiced, who.f0_hz * np.exp(st), 0)
    new = frames.with_(
        harmonic=np.maximum(warp_bins(frames.harmonic, who.warp) + shape, np.log(FLOOR)),
        noise=np.maximum(warp_bins(frames.noise, who.warp) + shape, np.log(FLOOR)),
        f0=np.where(voiced, np.clip(f0, 55, 600), 0).astype(np.float32),
    )
    # the same harmonic amplitudes at another F0 carry another power: keep power per hertz
    spacing = np.log(np.maximum(new.f0, 55) / np.maximum(frames.f0, 55)) / 2
    new = new.with_(
        harmonic=(new.harmonic + np.where(voiced, spacing, 0)[:, None]).astype(np.float32)
    )
    return breathe(new, who.breath)
