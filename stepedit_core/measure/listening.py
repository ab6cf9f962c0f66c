"""What a listener needs to compare two rounds fairly: how loud each is, and where each says what.

Loudness: RMS over 400 ms blocks, those 10 dB below their mean left out, so that pauses do not count
(the gate of ITU-R BS.1770-4, without its ear filter: the same voice is compared with itself).
"""

from __future__ import annotations

import math

import numpy as np

from ..audio.resample import resample
from ..audio.trim import cap_peak, normalise_energy, trim_silence
from ..registry.handle import Bundle
from ..types import Clip, Round
from ..vocab import GROUP_SECONDS, SEMANTIC_PER_GROUP
from .alignment import guide_of

BLOCK_SECONDS = 0.4
GATE_DB = 10.0
ROW_SECONDS = GROUP_SECONDS / SEMANTIC_PER_GROUP
EVERY_ROWS = 5
"""A place for every 200 ms of a round; between them time runs evenly."""
CODE_RATE = 16_000


def loudness_db(clip: Clip) -> float | None:
    """Level of what is not pause, in dB of full scale; None for silence."""
    size = max(1, int(BLOCK_SECONDS * clip.sample_rate))
    wave = clip.wave.double().numpy()
    power = np.array([np.mean(wave[at : at + size] ** 2) for at in range(0, len(wave), size)])
    if not power.max(initial=0.0) > 0:
        return None
    gate = power.mean() * 10 ** (-GATE_DB / 10)
    return 10 * math.log10(float(power[power >= gate].mean()))


def places(bundle: Bundle, first: Round, made: Round) -> list[tuple[float, float]]:
    """Pairs (second of the input, second of the round) that say the same, rising in both.

    Empty where the two say different things. `first` is round 0 of the run.
    """
    match = guide_of(bundle).match(first.codes, made.codes)
    if match is None:
        return []
    lead = _lead_seconds(first.clip)
    # the sound of a round is that of its codes alone, or has silence around it as a recording has
    longer = made.clip.seconds - made.codes.seconds > ROW_SECONDS
    before = _lead_seconds(made.clip) if longer else 0.0
    pairs: list[tuple[float, float]] = []
    for row in range(0, len(match.places), EVERY_ROWS):
        there = round(float(match.places[row]) * ROW_SECONDS + lead, 3)
        here = round(row * ROW_SECONDS + before, 3)
        last = pairs[-1] if pairs else (0.0, 0.0)
        inside = there < first.clip.seconds and here < made.clip.seconds
        if there > last[0] and here > last[1] and inside:
            pairs.append((there, here))
    return pairs


def _lead_seconds(recording: Clip) -> float:
    """Seconds before the first code of a recording; negative where silence was added."""
    heard = resample(cap_peak(recording.wave), recording.sample_rate, CODE_RATE)
    return trim_silence(normalise_energy(heard))[1] / CODE_RATE
