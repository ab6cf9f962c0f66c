"""Channels to one wave: their average, or the best of them where the average loses the speech.

A network hears one channel. The average is right for every recording whose channels agree or are
independent. It is not where they cancel, wholly or by frequency, or where one has no speech but an
offset or hum that is louder than it. Both are measured above 70 Hz, where voices are.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import torch
from torch import Tensor

from ..printable import is_new, shown

MOST_CHANNELS = 64
CANCELLED = 0.1
"""Channels whose average has less than this share of the best one's level cancel: -20 dB."""
COMBED = 0.35
"""Share of the power of independent channels below which the average has lost part of the sound."""
ALIKE = 0.9
"""Correlation of the average with the best channel from which on it is the same sound, weaker."""
SPOILT = 0.25
"""An average has an offset or hum where speech is less than this share of what it is in the best
channel, each as a part of all its power."""
AS_GOOD = 0.9
"""Of channels with this share of the power of the strongest the first is the best."""
VOICE_HZ = 70.0
"""Below it is no speech."""
BLOCK = 2**16
"""Samples that are looked at together."""
MOST_BLOCKS = 128
"""Of a long recording so many, evenly spread, are looked at."""
PART_S = 0.5
"""Seconds that are judged by themselves: channels may cancel for a part of the time."""
SPEECH_LIKE = 0.1
"""Share of the level of the loudest part from which on a part counts: -20 dB."""
SMALLEST_OFFSET = 0.1
"""Of full scale: quiet recordings of LibriSpeech have 0.04, and nothing is done about that."""
log = logging.getLogger(__name__)


class Mixed(NamedTuple):
    """One wave (N,) of several channels."""

    wave: Tensor
    notes: tuple[str, ...] = ()
    """What was wrong with the channels, a sentence each."""


class _Powers(NamedTuple):
    """Power of the channels (C,) and of their average, of all and of the speech band."""

    all: Tensor
    voice: Tensor
    average: float
    average_voice: float
    common: Tensor
    """Of each channel with the average, in the speech band."""


def mixed(channels: Tensor, rate: int) -> Tensor:
    """As mix, the wave alone; what was wrong is logged."""
    found = mix(channels, rate)
    say(found.notes)
    return found.wave


def say(notes: tuple[str, ...]) -> None:
    """Log what was wrong with a recording that is used."""
    for note in notes:
        if is_new(note):
            log.warning("%s", shown(note))


def mix(channels: Tensor, rate: int) -> Mixed:
    """One wave of channels (C, N): their average, or the best where the average loses the speech.

    Raises ValueError for no channel, and for more than a recording has.
    """
    count, samples = channels.shape
    if count == 0:
        raise ValueError(
            "audio has 0 channels; one or more are needed. Pass a recording with sound."
        )
    if count > MOST_CHANNELS:
        last = ", samples before channels: pass wave.T" if samples < count else ". Pass fewer"
        raise ValueError(
            f"audio has {count} channels of {samples} samples; at most {MOST_CHANNELS} channels "
            f"are mixed, (channels, samples){last}."
        )
    average = channels.mean(0)
    if count == 1 or not samples or not bool(torch.isfinite(channels).all()):
        return Mixed(average)
    powers = _powers(channels, average, rate)
    level = powers.voice if float(powers.voice.max()) > 0 else powers.all
    best = int((level >= AS_GOOD * level.max()).to(torch.uint8).argmax())
    found = _fault(powers, best)
    if not found:
        best, seconds = _cancelled_for(channels, average, rate)
        found = f"cancel each other for {seconds:.1f} s" if seconds else ""
    if not found:
        return Mixed(average)
    note = f"the {count} channels {found}; number {best + 1} is taken."
    return Mixed(channels[best].clone(), (note,))


def _fault(powers: _Powers, best: int) -> str:
    """What their average would lose; empty where nothing is."""
    voice, average = powers.voice, powers.average_voice
    if powers.average < CANCELLED**2 * float(powers.all.max()):
        return "cancel each other"
    if float(voice[best]) == 0:
        return ""
    if average < CANCELLED**2 * float(voice[best]):
        return "cancel each other"
    alike = float(powers.common[best]) / max(1e-300, average * float(voice[best])) ** 0.5
    if average < COMBED * float(voice.sum()) / len(voice) ** 2 and alike < ALIKE:
        return "cancel each other in part"
    if average / powers.average < SPOILT * float(voice[best]) / float(powers.all[best]):
        return "differ, one has an offset or hum louder than the speech"
    return ""


def _powers(channels: Tensor, average: Tensor, rate: int) -> _Powers:
    """Sums over blocks of the recording, each faded in and out so that a hum stays where it is."""
    count, samples = channels.shape
    size = min(BLOCK, samples)
    step = max(size, (samples - size) // MOST_BLOCKS)
    window = torch.hann_window(size, dtype=torch.float64)
    above = torch.fft.rfftfreq(size, 1 / rate, dtype=torch.float64) >= VOICE_HZ
    total = torch.zeros(count + 1, dtype=torch.float64)
    voice, common = total.clone(), total.clone()
    for start in range(0, samples - size + 1, step):
        part = slice(start, start + size)
        block = torch.cat([channels[:, part], average[None, part]]).double()
        spectrum = torch.fft.rfft(block * window)
        total += spectrum.abs().square().sum(1)
        spectrum = spectrum[:, above]
        voice += spectrum.abs().square().sum(1)
        common += (spectrum * spectrum[-1].conj()).real.sum(1)
    return _Powers(total[:-1], voice[:-1], float(total[-1]), float(voice[-1]), common[:-1])


def _cancelled_for(channels: Tensor, average: Tensor, rate: int) -> tuple[int, float]:
    """The channel that keeps all parts that the average loses, and how many seconds it loses.

    0 seconds where it loses none, or where every channel loses a part, as of two people who speak
    in turns.
    """
    size = min(round(PART_S * rate), len(average))
    window = torch.hann_window(size, dtype=torch.float64)
    above = torch.fft.rfftfreq(size, 1 / rate, dtype=torch.float64) >= VOICE_HZ
    powers = []
    for start in range(0, len(average) - size + 1, size):
        part = slice(start, start + size)
        block = torch.cat([channels[:, part], average[None, part]]).double()
        spectrum = torch.fft.rfft(block * window)[:, above]
        powers.append(spectrum.abs().square().sum(1))
    voice = torch.stack(powers)
    most = voice[:, :-1].amax(1)
    spoken = most > max(1e-300, SPEECH_LIKE**2 * float(most.max()))
    shares = voice[spoken] / most[spoken, None]
    if not len(shares):
        return 0, 0.0
    lost = int((shares[:, -1] < CANCELLED**2).sum())
    least = shares[:, :-1].amin(0)
    best = int((least >= AS_GOOD * least.max()).to(torch.uint8).argmax())
    return (best, lost * size / rate) if float(least[best]) >= CANCELLED**2 else (0, 0.0)


def without_offset(wave: Tensor) -> Mixed:
    """A wave (N,) around zero: one whose offset is louder than its sound is moved there.

    That is a fault of the sound card: nothing of it is heard, but levels and trims count it.
    """
    if not len(wave) or not bool(torch.isfinite(wave).all()):
        return Mixed(wave)
    mean, spread = float(wave.double().mean()), float(wave.double().std(correction=0))
    if not max(SMALLEST_OFFSET, spread) <= abs(mean) <= 1:
        return Mixed(wave)
    note = (
        f"the recording lies {mean:+.2f} of full scale off zero, more than its sound; it is moved."
    )
    return Mixed((wave.double() - mean).float(), (note,))
