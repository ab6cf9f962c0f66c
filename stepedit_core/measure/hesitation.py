"""Short sounds of a voice for which a recogniser heard no word: "um", "uh", a start said twice.

Recognisers that were trained on tidy texts leave such sounds out, write another word for them, or
give their time to a neighbour. So they are looked for in the sound: a stretch between two pauses,
however short these are. It is a filler where its voice and its spectrum hardly change, as those of
a held vowel do (Goto 1999), and it is a repeat where what comes next begins with the same sounds.
In both cases it counts only where no word is surely there, or where a recogniser that listens again
without it still hears every word.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..audio.quiet_speech import FRAME as PITCH_FRAME
from ..audio.quiet_speech import periodicity, runs_of
from ..audio.resample import resample
from ..text.pace import USUAL, seconds_to_say
from ..text.units import bare
from ..types import Clip
from .pieces import quiet_pieces
from .timeline import Word

RATE = 16_000
FRAME, HOP, STEP_S = 400, 160, 0.01
PIECE_S = 30.0
"""Levels are judged within so much."""
SHARE = 0.35
"""A sound is louder than this share of the way from the quiet level to the loud one, in dB."""
LEAST_SPAN_DB = 15.0
"""Least distance of the two levels: below it, as under music, nothing is found."""
LOW_SHARE = 0.2
"""The same for a start that is said again: its consonants are soft."""
LEAST_VOICED = 5
"""Least frames of it that are loud and have a pitch: noise in a pause has none."""
BRIDGE = 5
"""Longest quiet, in frames, inside of such a start: a stop."""
SPLIT = 25
"""Longest pause, in frames, inside of a start that is said again with a pause in it."""
JOINED = 1.75
"""Distance below which such a start is a copy of what follows; two sounds that are not
lay above 1.9."""
FLANK = 4
"""Frames of quiet on each side of a sound by itself: 40 ms."""
BANDS, LOW_HZ, HIGH_HZ = 24, 60.0, 7000.0
COEFFICIENTS = 12
SHORTEST_S, LONGEST_S = 0.15, 0.8
"""Length of a filler."""
SPREAD, DRIFT = 1.12, 0.98
"""Most change of a filler's spectrum from its mean, and within 30 ms; nepers, level left out."""
VOICED, VOICED_SHARE = 0.6, 0.6
"""Least periodicity of a frame with a pitch, and share of such frames in a filler."""
SHORTEST_START_S = 0.12
"""Shortest start that is said again; the longest is as long as a filler."""
SHORTEST_COPY_S = 0.08
"""The same for one that is equal to what follows."""
SAME = 2.8
"""Distance of two stretches, by frame along the best path, below which they say the same: varied
copies of a word lie below 3.1 in 95 of 100, neighbours that say something else above 3.2."""
COPIED, EQUAL = 2.3, 1.6
"""Distance below which they are copies, whatever a recogniser made of the two; and that of a start
which is very short or has hardly a voice."""
APART_S = 0.6
"""Longest pause before a start that is said again."""
LONGER = 1.6
"""How much longer than its first time a start may be said the second time."""
SURE = 0.7
"""Confidence from which a word is believed to be there."""
ITS_OWN = 0.5
"""Share of a word's sound that lies in a stretch which is that word."""
MEETS_S = 0.03
"""Most between the ends of two stretches that are the same place."""
TOUCHES_S = 0.04
"""Least sound of the second time that a word must cover to be the word of both."""

SPELLED = 0.6
"""Share of letters that two spellings of one word have in common."""
APART_SURELY_S, LONG_S = 0.06, 0.18
"""Least quiet on both sides and least length of a filler where a word was surely heard: the end of
a word is no filler, though a recogniser may hear the word without it."""
MISHEARD = 0.6
"""Share of an unsure word that lies in a sound for which it was heard by mistake."""
ENOUGH = 0.6
"""Share of their usual time that words need where part of their sound may be a filler."""
NEAR_S = 0.3
"""How far from a sound words must stay as they were heard."""

Span = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A sound between two pauses, in seconds of the clip."""

    start: float
    end: float
    before: float
    """End of the sound before it."""
    after: float
    """Start of the sound after it."""
    kind: Literal["filler", "repeat"]
    wordless: bool = True
    """Whether no word was surely heard there."""
    copied: bool = False
    """Whether what follows begins with as good as the same sound: a repeat for certain."""


def hesitations(clip: Clip, words: Sequence[Word]) -> list[Sound]:
    """Sounds of a clip that may be fillers and repeats, in their order."""
    wave = resample(clip.wave, clip.sample_rate, RATE)
    found: list[Sound] = []
    for first, end in quiet_pieces(wave, RATE, PIECE_S, words):
        spans, sounds = _sounds(wave[first:end], first / RATE)
        for sound in sounds:
            near = _words_in(sound, words)
            held = sound.kind == "filler"  # what comes again has its word in the second time
            if held and not all(_is_said_beside(n, sound, spans, words) for n in near):
                continue  # a syllable of a word
            if not held and not near and sound.end - sound.start < SHORTEST_START_S - 1e-6:
                continue  # a click, or a breath
            surely = any(_is_word(words[place], sound, spans) for place in near)
            if not surely or _stands_alone(sound):
                found.append(replace(sound, wordless=not surely))
    # the second time of a copy is a word; a held vowel that is said twice is a filler each time
    fillers = [sound for sound in found if sound.kind == "filler"]
    firsts = [s for s in found if s.copied and not any(_meet(s, filler) for filler in fillers)]
    return [
        sound
        for sound in found
        if sound.kind == "repeat" or not any(abs(s.after - sound.start) < MEETS_S for s in firsts)
    ]


def is_misheard(word: Word, sound: Sound) -> bool:
    """Whether an unsure word has hardly another time than a sound: it was heard for it."""
    inside = _shared((sound.start, sound.end), word)
    return word.confidence < SURE and inside >= MISHEARD * (word.end - word.start)


def words_stay(sound: Sound, words: Sequence[Word], again: Sequence[Word]) -> bool:
    """Whether all words near a sound that were surely heard are heard again without it."""
    ours, theirs = [bare(word.text) for word in words], [bare(word.text) for word in again]
    matcher = SequenceMatcher(a=ours, b=theirs, autojunk=False)
    stay = set()
    for kind, a, a_end, b, b_end in matcher.get_opcodes():
        heard = theirs[b:b_end]
        stay |= {n for n in range(a, a_end) if kind == "equal" or _among(ours[n], heard)}
    near = (sound.start - NEAR_S, sound.end + NEAR_S)
    lost = [
        place
        for place, word in enumerate(words)
        if place not in stay and word.confidence >= SURE and _shared(near, word) > 0
    ]
    if not sound.copied:
        return not lost
    # of a word said twice another word is often made, "that" of "the the": once it is out, what is
    # heard in its place is right, and at most the one that went may be missing
    return all(_missing(place, matcher) <= 1 for place in lost)


def _missing(place: int, matcher: SequenceMatcher[str]) -> int:
    """How many words fewer are heard where a word was heard before."""
    return next(
        max(0, (a_end - a) - (b_end - b))
        for _, a, a_end, b, b_end in matcher.get_opcodes()
        if a <= place < a_end
    )


def _stands_alone(sound: Sound) -> bool:
    """Whether a sound is long, and well apart from what is before and after it.

    A copy of what follows is no end of a word: the quiet by which it was found is enough.
    """
    apart = min(sound.start - sound.before, sound.after - sound.end)
    least = LONG_S if sound.kind == "filler" else SHORTEST_START_S
    least = SHORTEST_COPY_S if sound.copied else least
    enough = sound.copied or apart >= APART_SURELY_S - 1e-6
    return enough and sound.end - sound.start >= least - 1e-6


def _is_said_beside(place: int, sound: Sound, spans: Sequence[Span], words: Sequence[Word]) -> bool:
    """Whether a word and its neighbour have sound enough without the sound that lies in its time.

    Times of words slip by a fraction of a word, so the neighbour's count together with its own.
    """
    for first in (place - 1, place):
        pair = words[max(first, 0) : first + 2]
        whole = Word("", pair[0].start, max(word.end for word in pair), 1.0)
        left = sum(_shared(span, whole) for span in spans) - _shared(
            (sound.start, sound.end), whole
        )
        if left >= ENOUGH * seconds_to_say(" ".join(word.text for word in pair), USUAL):
            return True
    return False


def _among(word: str, heard: Sequence[str]) -> bool:
    """Whether a word was heard, if spelled otherwise: rode for road."""
    return any(
        SequenceMatcher(a=word, b=other, autojunk=False).ratio() >= SPELLED for other in heard
    )


def _sounds(wave: Tensor, offset: float) -> tuple[list[Span], list[Sound]]:
    """All stretches of sound of wave (N,) in seconds, and those that are a filler or a repeat."""
    if len(wave) < 2 * PITCH_FRAME:
        return [], []
    frames = wave.float().unfold(0, FRAME, HOP)
    level = 10 * torch.log10(frames.double().square().mean(1) + 1e-10)
    quiet, loud = float(level.quantile(0.05)), float(level.quantile(0.95))
    if loud - quiet < LEAST_SPAN_DB:
        return [], []
    span = loud - quiet
    runs = runs_of(level > quiet + SHARE * span)
    bands = _bands(frames)
    shapes = bands @ _cosines()
    pitched = periodicity(wave.float().unfold(0, PITCH_FRAME, HOP)) > VOICED

    def sound(place: tuple[int, int, int, int], kind: Literal["filler", "repeat"]) -> Sound:
        start, end, before, after = (offset + frame * STEP_S for frame in place)
        return Sound(start=start, end=end, before=before, after=after, kind=kind)

    held = [
        sound(place, "filler")
        for place in _flanked(runs, len(level))
        if _is_steady(bands[place[0] : place[1]], pitched[place[0] : place[1]])
    ]
    spoken = (level > quiet + SHARE * span) & F.pad(pitched, (0, len(level) - len(pitched)))
    low = runs_of(level > quiet + LOW_SHARE * span)
    whole = _flanked(_bridged(low), len(level))
    again = [
        replace(sound(place, "repeat"), copied=apart < COPIED)
        for place in dict.fromkeys((*whole, *_flanked(low, len(level))))
        if (place[3] - place[1]) * STEP_S <= APART_S
        and (apart := _apart(shapes[place[0] : place[1]], shapes[place[3] :])) < SAME
        and _may_start(place, int(spoken[place[0] : place[1]].sum()), apart)
    ]
    loud_at = level > quiet + LOW_SHARE * span
    for place in _split(whole):  # compared without the pause in it
        said, after = slice(place[0], place[1]), slice(place[3], None)
        apart = _apart(shapes[said][loud_at[said]], shapes[after][loud_at[after]])
        near = (place[3] - place[1]) * STEP_S <= APART_S
        if near and apart < JOINED and _may_start(place, int(spoken[said].sum()), apart):
            again.append(replace(sound(place, "repeat"), copied=True))
    again = [s for s in again if s.copied or not any(_meet(s, h) for h in held)]
    again = [s for s in again if not any(t.copied and _within(s, t) for t in again)]
    found = sorted((*held, *again), key=lambda sound: sound.start)
    return [(offset + a * STEP_S, offset + b * STEP_S) for a, b in runs], found


def _may_start(place: tuple[int, int, int, int], voiced: int, apart: float) -> bool:
    """Whether a stretch is long enough, and has a voice, for a start that is said again."""
    seconds = (place[1] - place[0]) * STEP_S
    if apart < EQUAL and voiced:
        return seconds >= SHORTEST_COPY_S - 1e-9
    return seconds >= SHORTEST_START_S and voiced >= LEAST_VOICED


def _meet(one: Sound, other: Sound) -> bool:
    return one.start < other.end and other.start < one.end


def _within(one: Sound, other: Sound) -> bool:
    """Whether a sound is a part of another."""
    return one is not other and other.start <= one.start and one.end <= other.end


def _flanked(runs: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int, int, int]]:
    """Runs with quiet on both sides, each with the end of the one before and the next one's start.

    The first of `count` frames and the last are as good as a neighbour.
    """
    ends = [0, *(b for _, b in runs)]
    starts = [*(a for a, _ in runs[1:]), count]
    places = [(a, b, ends[n], starts[n]) for n, (a, b) in enumerate(runs)]
    return [place for place in places if min(place[0] - place[2], place[3] - place[1]) >= FLANK]


def _split(
    places: Sequence[tuple[int, int, int, int]],
) -> list[tuple[int, int, int, int]]:
    """Two neighbours each, with a short pause between them, as one."""
    return [
        (one[0], other[1], one[2], other[3])
        for one, other in pairwise(places)
        if other[2] == one[1] and other[0] - one[1] <= SPLIT
    ]


def _bridged(runs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Runs, those with little quiet between them as one."""
    out: list[tuple[int, int]] = []
    for a, b in runs:
        if out and a - out[-1][1] <= BRIDGE:
            a = out.pop()[0]
        out.append((a, b))
    return out


def _is_steady(bands: Tensor, pitched: Tensor) -> bool:
    """Whether a stretch of bands (F, BANDS) is one held vowel, with a pitch."""
    if not SHORTEST_S <= len(bands) * STEP_S <= LONGEST_S:
        return False
    middle = bands[2:-2]
    spread = float((middle - middle.mean(0)).square().mean().sqrt())
    drift = float((middle[3:] - middle[:-3]).square().mean().sqrt())
    voiced = len(pitched) > 0 and float(pitched.float().mean()) >= VOICED_SHARE
    return spread < SPREAD and drift < DRIFT and voiced


def _apart(said: Tensor, after: Tensor) -> float:
    """How far shapes (F, D) are from the beginning of others, at any speed; inf where too short."""
    count = len(said)
    if not SHORTEST_COPY_S <= count * STEP_S <= LONGEST_S or len(after) < count / LONGER:
        return math.inf
    costs = torch.cdist(said, after[: int(LONGER * count)]).double().numpy()
    best = np.full((count + 1, costs.shape[1] + 1), np.inf)
    best[0, 0] = 0.0
    for i in range(count):
        for j in range(costs.shape[1]):
            best[i + 1, j + 1] = costs[i, j] + min(best[i, j], best[i, j + 1], best[i + 1, j])
    end = int(best[count, 1:].argmin()) + 1
    return float(best[count, end] / (count + end))


def _words_in(sound: Sound, words: Sequence[Word]) -> list[int]:
    """Places of the words in whose time a good part of a sound lies, but for one heard for it."""
    least = 0.3 * (sound.end - sound.start)
    return [
        place
        for place, word in enumerate(words)
        if _shared((sound.start, sound.end), word) >= least and not is_misheard(word, sound)
    ]


def _is_word(word: Word, sound: Sound, spans: Sequence[Span]) -> bool:
    """Whether a sound surely is a word: that word has little other sound."""
    here = _shared((sound.start, sound.end), word)
    again = sound.kind == "repeat" and word.end - sound.after >= TOUCHES_S
    other = sum(_shared(span, word) for span in spans)
    return word.confidence >= SURE and not again and here >= ITS_OWN * other


def _shared(span: Span, word: Word) -> float:
    return max(0.0, min(span[1], word.end) - max(span[0], word.start))


def _bands(frames: Tensor) -> Tensor:
    """Logarithm of the power of frames (F, FRAME) in mel bands (F, BANDS), each frame's mean 0."""
    spectrum = torch.fft.rfft(frames * torch.hann_window(FRAME), n=512).abs().square()
    ends = np.linspace(_mel(LOW_HZ), _mel(HIGH_HZ), BANDS + 2)
    hz = 700 * (np.exp(ends / 1125) - 1)
    bins = np.clip((hz / RATE * 512).astype(int), 0, 256)
    powers = [spectrum[:, bins[n] : bins[n + 2] + 1].mean(1) for n in range(BANDS)]
    logs = torch.log(torch.stack(powers, dim=1) + 1e-9)
    return logs - logs.mean(1, keepdim=True)


def _mel(hz: float) -> float:
    return 1125 * math.log(1 + hz / 700)


def _cosines() -> Tensor:
    """(BANDS, COEFFICIENTS) from bands to the shape of the spectrum."""
    place, number = torch.arange(BANDS) + 0.5, torch.arange(1, COEFFICIENTS + 1)
    return (math.pi / BANDS * place[:, None] * number).cos() * math.sqrt(2 / BANDS)
