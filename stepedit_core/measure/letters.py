"""The letter recogniser of a small bundle: words and their times, and whether a transcript fits.

What it is sure of is where given words are said; its borders are not moved to quiet places, which
would take them farther away. What it hears by itself is a draft: it spells by ear, and knows no
words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F

from ..audio.fbank import INT16_SCALE, RATE, kaldi_fbank, stack_frames
from ..audio.resample import resample
from ..models.cancel import cancellable
from ..models.letters import FIRST_SECONDS, FRAME_SECONDS, PER_ROW, Letters
from ..text.letters import BLANK, CLASSES, SPACE, letter_ids, letter_words, text_of
from ..types import Clip, Hooks, SilentHooks, WordLimits
from .lattice import LetterPath, best_path, forced_path, word_places
from .paraformer import STAGE
from .pieces import quiet_pieces
from .timeline import Word, fit_transcript

ROW_SECONDS = PER_ROW * FRAME_SECONDS
MOST_CELLS = 100_000_000
"""Most frames times states of a lattice: 100 MB, about four minutes."""
WORD_FACTOR = 1.75
"""A word is named from this times the limit of a whole transcript on: a few letters scatter more.
With nano's weights that names 74 % of changed words and 6 % of right ones (the latter of 1,554)."""
SILENT_PART = 3e-4
"""Of a clip's peak: where every sample is below, -70 dB, nothing is said."""
SILENT_FRAMES, EDGE_FRAMES = 25, 2
"""Least length of such a silence; a shorter one can be the closing of a consonant. And how much of
its two ends stays as it was heard: a letter may be found a little beside its sound."""
GAP_COST = 1.0
"""Nats of a frame of silence inside a word: a word is not torn apart by it, but does not begin or
end in it."""
ROOM_PART = 3e-3
"""Of a clip's peak: the noise of a room, -50 dB."""
SHORTEST_SECONDS = 0.01
"""Least time of a word."""


@dataclass(frozen=True)
class Fit:
    """How well a transcript fits a clip."""

    misfit: float
    """Nats per letter by which the best path is better than the one with these words; 0 is exact.
    Infinite where the clip is too short for the words, 0 where there are none."""
    words: tuple[Word, ...]
    """The words with their times."""
    misfits: tuple[float, ...]
    """Nats per letter of each word."""


@dataclass(frozen=True)
class LettersRecogniser:
    """A `Recogniser` on the letters of a bundle."""

    model: Letters
    hooks: Hooks = field(default_factory=SilentHooks)

    @property
    def limits(self) -> WordLimits:
        """Up to where words hold, as measured for these weights; they are in the bundle."""
        config = self.model.config
        return WordLimits(
            heard=config.heard_holds,
            other_heard=math.inf,  # a draft has wrong words in any clip
            misfit=config.misfit_holds,
            other_misfit=config.other_words,
        )

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        """The words of a clip of any length as they sound, a draft; empty where nothing is said."""
        return _draft(self._chances(clip), clip)

    def hear(self, clip: Clip, transcript: str) -> tuple[tuple[Word, ...], Fit]:
        """What `transcribe` and `fit` give, by one run of the network."""
        chances = self._chances(clip)
        return _draft(chances, clip), _fit(chances, clip, transcript)

    def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
        """The words of the transcript at the times where they are most likely said."""
        return self.fit(clip, transcript).words

    def fit(self, clip: Clip, transcript: str) -> Fit:
        """How well a transcript fits, as a whole and word by word."""
        return _fit(self._chances(clip), clip, transcript)

    def unfit_words(self, found: Fit) -> tuple[str, ...]:
        """Words of a transcript that the sound does not have; none where it fits as a whole."""
        most = self.limits.other_misfit
        if found.misfit <= most:
            return ()
        least = min(WORD_FACTOR * most, max(found.misfits, default=0.0))  # the worst at least
        pairs = zip(found.words, found.misfits, strict=True)
        return tuple(word.text for word, misfit in pairs if misfit >= least)

    @torch.no_grad()
    def _chances(self, clip: Clip) -> np.ndarray:
        """Log-probabilities (T, C) of the letters of a clip, heard in pieces."""
        wave = resample(clip.wave, clip.sample_rate, RATE)
        silences = _silences(wave)
        room = _as_a_room(wave, silences)
        parts = []
        for first, end in quiet_pieces(wave, RATE):
            self.hooks.check()
            part = room[first:end]
            features = stack_frames(kaldi_fbank(part, window="hamming", scale=INT16_SCALE))
            frames = round(end / RATE / FRAME_SECONDS) - round(first / RATE / FRAME_SECONDS)
            if not len(features) or not frames:
                parts.append(_silence(frames))
                continue
            with cancellable(self.model, self.hooks):
                rows = self.model(features[None].to(self.model.cmvn_shift))[0].cpu().numpy()
            parts.append(rows[:frames])
            self.hooks.progress(STAGE, end, len(wave))
            if len(rows) < frames:  # the last window of a piece ends before the piece
                parts.append(_silence(frames - len(rows)))
        return _without_silence(np.concatenate(parts), silences)


def _fit(chances: np.ndarray, clip: Clip, transcript: str) -> Fit:
    """How well a transcript fits log-probabilities (T, C) of letters."""
    pairs = letter_words(transcript)
    said = [letters for _, letters in pairs if letters]
    ids = letter_ids(f" {' '.join(said)} ") if said else []
    other_script = bool(pairs) and not said
    path = None
    if not other_script and len(chances) * (2 * len(ids) + 1) <= MOST_CELLS:
        path = forced_path(chances, ids)
    if path is None:
        words = fit_transcript(_draft(chances, clip), transcript, clip.seconds)
        return Fit(math.inf, words, (math.inf,) * len(words))
    count = max(1, sum(len(letters.replace(" ", "")) for letters in said))
    timed, misfits = _timed(path, pairs, clip)
    return Fit(float(path.costs.sum()) / count, tuple(timed), tuple(misfits))


def _draft(chances: np.ndarray, clip: Clip) -> tuple[Word, ...]:
    """The words of the best path."""
    return tuple(_words(best_path(chances), clip))


def _silences(wave: torch.Tensor) -> list[tuple[int, int]]:
    """First and last frame, the last one excluded, of each digital silence of wave (N,) at RATE."""
    size, before = round(FRAME_SECONDS * RATE), -round(FIRST_SECONDS * RATE)
    frames = -(-(len(wave) + before) // size)
    loud = F.pad(wave.abs(), (before, frames * size - len(wave) - before)).reshape(frames, size)
    quiet = (loud.amax(1) < SILENT_PART * float(wave.abs().max())).cpu().numpy()
    ends = np.flatnonzero(np.diff(quiet.astype(np.int8), prepend=0, append=0)).tolist()
    runs = zip(ends[::2], ends[1::2], strict=True)
    return [(start, end) for start, end in runs if end - start >= SILENT_FRAMES]


def _as_a_room(wave: torch.Tensor, silences: Sequence[tuple[int, int]]) -> torch.Tensor:
    """Wave (N,) at RATE with noise, always the same, in its digital silences.

    The network has learned of rooms only: beside zeros it misses words.
    """
    made = wave.clone()
    noise = torch.Generator().manual_seed(0)
    for start, end in silences:
        first, last = (
            max(0, round((FIRST_SECONDS + t * FRAME_SECONDS) * RATE)) for t in (start, end)
        )
        part = made[first:last]
        part += ROOM_PART * wave.abs().max() * torch.randn(len(part), generator=noise).to(part)
    return made


def _without_silence(chances: np.ndarray, silences: Sequence[tuple[int, int]]) -> np.ndarray:
    """Log-probabilities (T, C) where no letter is said in a digital silence."""
    made = chances.copy()
    for start, end in silences:
        inside = made[start + EDGE_FRAMES : end - EDGE_FRAMES]
        inside[:] = _silence(len(inside))
        inside[:, BLANK] = -GAP_COST
    return made


def _silence(frames: int) -> np.ndarray:
    """Log-probabilities (T, C) of frames where nothing was heard: the space."""
    rows = np.full((frames, CLASSES), -20.0, np.float32)
    rows[:, SPACE] = 0.0
    return rows


def _seconds(half_frames: int, clip: Clip) -> float:
    """Time of a place in half frames, inside the clip."""
    return min(max(0.0, FIRST_SECONDS + half_frames * FRAME_SECONDS / 2), clip.seconds)


def _word(path: LetterPath, place: tuple[int, int, int, int], text: str, clip: Clip) -> Word:
    """One word of a path; its confidence is the geometric mean of its letters'."""
    first, last, start, end = place
    sure = math.exp(sum(path.chances[first:last]) / (last - first))
    begins = min(_seconds(start, clip), clip.seconds - SHORTEST_SECONDS)
    return Word(text, begins, max(_seconds(end, clip), begins + SHORTEST_SECONDS), sure)


def _words(path: LetterPath, clip: Clip) -> list[Word]:
    """The words that a path writes."""
    places = word_places(path)
    return [_word(path, place, text_of(path.ids[place[0] : place[1]]), clip) for place in places]


def _timed(
    path: LetterPath, pairs: Sequence[tuple[str, str]], clip: Clip
) -> tuple[list[Word], list[float]]:
    """The words of a transcript on their path, and the misfit of each.

    A word that is said as several ("25") has the time of all of them. One without letters, as a
    mark or a word in another script, has no time of its own: it ends where the next one begins,
    with confidence 0.
    """
    places = word_places(path)
    words: list[Word] = []
    misfits: list[float] = []
    at = 0
    for text, letters in pairs:
        if not letters:
            time = words[-1].end if words else 0.0
            words.append(Word(text, time, time, 0.0))
            misfits.append(0.0)
            continue
        mine = places[at : at + letters.count(" ") + 1]
        at += len(mine)
        first, last = mine[0], mine[-1]
        words.append(_word(path, (first[0], last[1], first[2], last[3]), text, clip))
        cost = path.costs[first[2] // 2 : -(-last[3] // 2)].sum()
        misfits.append(float(cost) / len(letters.replace(" ", "")))
    return words, misfits
