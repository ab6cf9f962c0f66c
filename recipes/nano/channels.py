"""Random recording channels: what tokenizers and speaker encoder must not mind."""

from __future__ import annotations

import numpy as np
import scipy.fft

from recipes.nano.training import RATE


def augment(rng: np.random.Generator, wave: np.ndarray, rate: int = RATE) -> np.ndarray:
    """One random recording channel: gain, equaliser, band limit, reverberation, noise.

    wave (N,) float32. Half of the draws leave each part out; a quarter leaves the clip clean.
    """
    n = len(wave)
    wave = wave * 10 ** rng.uniform(-0.7, 0.15)
    if rng.random() < 0.25:
        return wave.astype(np.float32)
    size = scipy.fft.next_fast_len(n + rate // 4, real=True)
    spectrum = scipy.fft.rfft(wave.astype(np.float32), size)
    hz = np.fft.rfftfreq(size, 1 / rate)
    octave = np.log2(np.maximum(hz, 50) / 50)
    if rng.random() < 0.6:
        knots = np.cumsum(rng.normal(0, 2.0, 9))
        spectrum *= 10 ** (np.interp(octave, np.arange(9), knots - knots[4]) / 20)
    if rng.random() < 0.3:
        cut = rng.uniform(3400, 9000)
        spectrum /= np.sqrt(1 + (hz / cut) ** rng.choice([8, 16, 32]))
    if rng.random() < 0.25:
        low = rng.uniform(60, 250)
        spectrum /= np.sqrt(1 + (low / np.maximum(hz, 1)) ** 8)
    if rng.random() < 0.35:
        length = int(rate * 0.25)
        decay = np.exp(-np.arange(length) / rate * 6.9 / rng.uniform(0.1, 0.5))
        echo = rng.normal(size=length) * decay * rng.uniform(0.02, 0.12)
        echo[0] = 1.0
        spectrum *= scipy.fft.rfft(echo.astype(np.float32), size)
    out = scipy.fft.irfft(spectrum.astype(np.complex64), size)[:n]
    if rng.random() < 0.5:
        level = np.sqrt(np.mean(out**2) + 1e-9) * 10 ** (-rng.uniform(12, 45) / 20)
        noise = scipy.fft.rfft(rng.standard_normal(size, dtype=np.float32))
        slope = np.float32(-rng.choice([0.0, 0.25, 0.5]))
        colour = np.maximum(np.arange(len(noise), dtype=np.float32), 1.0) ** slope
        shaped = scipy.fft.irfft(noise * colour, size)[:n]
        out = out + shaped * level / (np.std(shaped) + 1e-9)
    return out.astype(np.float32)


def telephone(rng: np.random.Generator, wave: np.ndarray, rate: int = RATE) -> np.ndarray:
    """A telephone line: 300 to 3400 Hz, and often eight bits by the mu-law (G.711)."""
    spectrum = scipy.fft.rfft(wave.astype(np.float32))
    hz = np.fft.rfftfreq(len(wave), 1 / rate)
    low, high = rng.uniform(150, 350), rng.uniform(3000, 3800)
    spectrum /= np.sqrt(1 + (low / np.maximum(hz, 1)) ** 10 + (hz / high) ** 24)
    out = scipy.fft.irfft(spectrum.astype(np.complex64), len(wave))
    if rng.random() < 0.6:
        peak = np.abs(out).max() + 1e-9
        bent = np.sign(out) * np.log1p(255 * np.abs(out) / peak) / np.log(256)
        bent = np.round(bent * 127) / 127
        out = np.sign(bent) * np.expm1(np.abs(bent) * np.log(256)) / 255 * peak
    return np.asarray(out, np.float32)
