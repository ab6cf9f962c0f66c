"""Parametric speech at 24 kHz: clip <-> (harmonic gains, noise gains, F0), one frame each 12.5 ms.

A source-filter analysis in the manner of WORLD (Morise et al. 2016) with a known F0: a spectral
envelope smoothed over one F0, split into a harmonic and a noise part. Frame k covers samples
[300 k, 300 k + 300). Every edit of the corpus changes these arrays, never the waveform.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft as sfft

RATE_HZ = 24000
HOP = 300
N_FFT = 1200
BINS = N_FFT // 2 + 1
BIN_HZ = RATE_HZ / N_FFT
FLOOR = 1e-5
"""Gain floor: -100 dB, inaudible, keeps logarithms finite."""
VOICED_HZ = 40.0
_WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(2 * HOP) + 0.5) / (2 * HOP))).astype(
    np.float32
)
_POWER = float((_WINDOW**2).sum())


@dataclass(frozen=True, kw_only=True)
class Frames:
    """One utterance in the parameter domain."""

    harmonic: np.ndarray
    """(F, 601) float32, natural log of the amplitude of a harmonic at each 20 Hz bin."""
    noise: np.ndarray
    """(F, 601) float32, natural log of the standard deviation of shaped white noise."""
    f0: np.ndarray
    """(F,) float32 Hz, 0 where unvoiced."""
    phones: np.ndarray
    """(F,) uint8, index into phones.json."""
    words: np.ndarray
    """(F,) int16, index of the word (split at spaces) being spoken; -1 in inserted sounds."""

    def __len__(self) -> int:
        return len(self.f0)

    def take(self, index: np.ndarray) -> "Frames":
        """Frames at integer positions `index` (n,)."""
        return Frames(
            harmonic=self.harmonic[index],
            noise=self.noise[index],
            f0=self.f0[index],
            phones=self.phones[index],
            words=self.words[index],
        )

    def with_(self, **changes: np.ndarray) -> "Frames":
        """A copy with some arrays replaced."""
        return replace(self, **changes)


def silence(frames: int) -> Frames:
    """`frames` frames of digital silence, phone 0."""
    quiet = np.full((frames, BINS), np.log(FLOOR), np.float32)
    return Frames(
        harmonic=quiet,
        noise=quiet.copy(),
        f0=np.zeros(frames, np.float32),
        phones=np.zeros(frames, np.uint8),
        words=np.full(frames, -1, np.int16),
    )


def join(parts: list[Frames]) -> Frames:
    """Concatenate along time."""
    return Frames(
        harmonic=np.concatenate([p.harmonic for p in parts]),
        noise=np.concatenate([p.noise for p in parts]),
        f0=np.concatenate([p.f0 for p in parts]),
        phones=np.concatenate([p.phones for p in parts]),
        words=np.concatenate([p.words for p in parts]),
    )


def stretch(frames: Frames, count: int) -> Frames:
    """Resample the time axis to `count` frames: spectra and F0 linearly, labels by nearest."""
    at = np.linspace(0, len(frames) - 1, count)
    low = np.minimum(at.astype(int), len(frames) - 2)
    part = (at - low).astype(np.float32)
    near = frames.take(np.rint(at).astype(int))
    mix = part[:, None]
    both = (frames.f0[low] > 0) & (frames.f0[low + 1] > 0)
    line = frames.f0[low] * (1 - part) + frames.f0[low + 1] * part
    return near.with_(
        harmonic=frames.harmonic[low] * (1 - mix) + frames.harmonic[low + 1] * mix,
        noise=frames.noise[low] * (1 - mix) + frames.noise[low + 1] * mix,
        f0=np.where(both, line, near.f0).astype(np.float32),
    )


def power_frames(wave: np.ndarray, frames: int) -> np.ndarray:
    """(F, 601) float32 power of 25 ms Hann frames of wave (N,), frame k centred on its hop."""
    padded = np.zeros((frames + 1) * HOP, np.float32)
    n = min(len(wave), frames * HOP)
    padded[HOP // 2 : HOP // 2 + n] = wave[:n]
    cut = np.lib.stride_tricks.sliding_window_view(padded, 2 * HOP)[::HOP][:frames]
    spec = sfft.rfft(cut * _WINDOW, N_FFT, axis=1)
    return spec.real**2 + spec.imag**2


def smooth(power: np.ndarray, width_hz: np.ndarray) -> np.ndarray:
    """Box mean over a frequency width (F,) Hz per frame, mirrored at 0 Hz; (F, 601) -> (F, 601)."""
    pad = 40
    mirrored = np.concatenate([power[:, pad:0:-1], power, power[:, -2 : -pad - 2 : -1]], axis=1)
    total = np.zeros((len(power), mirrored.shape[1] + 1), np.float64)
    np.cumsum(mirrored, axis=1, out=total[:, 1:])
    half = np.clip(width_hz / BIN_HZ / 2, 0.5, pad - 2)[:, None]
    centre = np.arange(BINS)[None] + pad + 0.5
    edges = [centre - half, centre + half]
    values = []
    for edge in edges:
        low = np.floor(edge).astype(np.int64)
        part = (edge - low).astype(np.float64)
        at = np.take_along_axis(total, low, 1)
        values.append(at + part * (np.take_along_axis(total, low + 1, 1) - at))
    return ((values[1] - values[0]) / (2 * half)).astype(np.float32)


def aperiodicity(wave: np.ndarray, f0: np.ndarray) -> np.ndarray:
    """(F, 601) share of noise power, from energy between harmonics in a window of 3 periods.

    For voices without a noise branch of their own. Compares the 50 ms spectrum at the harmonics
    with the spectrum half-way between them in bands of four harmonics.
    """
    frames = len(f0)
    padded = np.zeros((frames + 3) * HOP, np.float32)
    n = min(len(wave), frames * HOP)
    padded[3 * HOP // 2 : 3 * HOP // 2 + n] = wave[:n]
    cut = np.lib.stride_tricks.sliding_window_view(padded, 4 * HOP)[::HOP][:frames]
    window = np.blackman(4 * HOP).astype(np.float32)
    spec = sfft.rfft(cut * window, 2 * N_FFT, axis=1)
    power = spec.real**2 + spec.imag**2  # 10 Hz bins
    share = np.ones((frames, BINS), np.float32)
    for k in np.flatnonzero(f0 > VOICED_HZ):
        count = int(11000 / f0[k])
        at = np.arange(1, count) * f0[k] / (BIN_HZ / 2)
        peak = np.maximum(power[k][np.rint(at).astype(int)], power[k][np.rint(at - 1).astype(int)])
        peak = np.maximum(peak, power[k][np.rint(at + 1).astype(int)])
        gap = power[k][np.rint(at + f0[k] / BIN_HZ).astype(int)]
        band = np.ones(4) / 4
        ratio = np.convolve(gap, band, "same") / (np.convolve(peak, band, "same") + 1e-12)
        share[k] = np.interp(np.arange(BINS) * 2, at, np.clip(2.0 * ratio, 0, 1))
    return share


def noise_ramp() -> np.ndarray:
    """(601,) weight of measured noise in voiced frames: 0.05 below 0.6 kHz, 1 above 3.5 kHz."""
    hz = np.arange(BINS) * BIN_HZ
    return np.clip((hz - 600) / 2900, 0.05, 1).astype(np.float32)


def analyse(
    wave: np.ndarray,
    f0: np.ndarray,
    share: np.ndarray,
    phones: np.ndarray,
    words: np.ndarray,
) -> Frames:
    """Wave (N,) 24 kHz, f0 (F,) Hz, share (F, 601) noise share of power -> Frames."""
    voiced = f0 > VOICED_HZ
    width = np.where(voiced, f0, 160.0).astype(np.float32)
    power = smooth(smooth(power_frames(wave, len(f0)), width), width * 0.5)
    share = np.where(voiced[:, None], share * noise_ramp(), 1.0)
    share[:, int(10500 / BIN_HZ) :] = 1.0  # the pulse source ends at 11 kHz
    density = power / _POWER
    amplitude = np.sqrt(4 * (width / BIN_HZ)[:, None] / N_FFT * density * np.maximum(1 - share, 0))
    sigma = np.sqrt(density * share)
    return Frames(
        harmonic=np.log(np.maximum(amplitude, FLOOR)).astype(np.float32),
        noise=np.log(np.maximum(sigma, FLOOR)).astype(np.float32),
        f0=np.where(voiced, f0, 0).astype(np.float32),
        phones=phones.astype(np.uint8),
        words=words.astype(np.int16),
    )


def pulses(f0: np.ndarray, phase: float = 0.0) -> np.ndarray:
    """(300 F,) float32: all harmonics below 11 kHz at amplitude 1; 0 where unvoiced."""
    hz = np.repeat(f0, HOP)
    inside = np.convolve(np.pad(f0, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
    both = np.where((f0 > 0) & (inside > 0.9 * f0), inside, f0)
    x = np.arange(len(hz)) / HOP - 0.5
    line = np.interp(x, np.arange(len(f0)), both)
    hz = np.where((hz > VOICED_HZ) & (np.abs(line - hz) < 0.2 * hz), line, hz)
    voiced = hz > VOICED_HZ
    hz = np.maximum(hz, VOICED_HZ)
    t = (np.cumsum(hz / RATE_HZ) + phase) % 1.0 * 2 * np.pi
    order = np.floor(11000 / hz) + 0.5
    below = 2 * np.sin(t / 2)
    near = np.abs(below) <= 2e-3
    below[near] = 1
    out = np.sin(order * t) / below
    out[near] = order[near]
    out -= 0.5
    out[~voiced] = 0
    return out.astype(np.float32)


def _minimum_phase(log_gain: np.ndarray) -> np.ndarray:
    """(F, 601) log amplitude -> complex64 minimum-phase response (Oppenheim, folded cepstrum)."""
    cepstrum = sfft.irfft(log_gain, N_FFT, axis=1)
    cepstrum[:, 1 : N_FFT // 2] *= 2
    cepstrum[:, N_FFT // 2 + 1 :] = 0
    return np.exp(sfft.rfft(cepstrum, N_FFT, axis=1))


def synthesise(frames: Frames, rng: np.random.Generator) -> np.ndarray:
    """Frames -> float32 wave (300 F,), 24 kHz. Overlap-add of filtered 25 ms Hann slices."""
    count = len(frames)
    sources = (
        (pulses(frames.f0, float(rng.random())), frames.harmonic, True),
        (rng.standard_normal(count * HOP, dtype=np.float32), frames.noise, False),
    )
    spec = np.zeros((count, BINS), np.complex64)
    for wave, log_gain, minimum in sources:
        padded = np.zeros((count + 1) * HOP, np.float32)
        padded[HOP // 2 : HOP // 2 + count * HOP] = wave
        cut = np.lib.stride_tricks.sliding_window_view(padded, 2 * HOP)[::HOP][:count]
        gain = _minimum_phase(log_gain) if minimum else np.exp(log_gain)
        spec += sfft.rfft(cut * _WINDOW, N_FFT, axis=1) * gain
    slices = sfft.irfft(spec, N_FFT, axis=1)
    # a zero-phase tail wraps to the end of the slice: roll it back in front
    slices = np.roll(slices, HOP, axis=1).reshape(count, N_FFT // HOP, HOP)
    out = np.zeros((count + N_FFT // HOP, HOP), np.float32)
    for k in range(N_FFT // HOP):
        out[k : k + count] += slices[:, k]
    start = HOP + HOP // 2
    return out.reshape(-1)[start : start + count * HOP]
