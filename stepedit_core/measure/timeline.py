"""Which words a clip says, and when: one protocol, several recognisers, one list of words.

What is common to all recognisers stands here: borders moved to the quietest place near them,
and the times of a given transcript taken from what was heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Protocol

from ..printable import shown
from ..text.units import bare, is_character, split_words
from ..types import Clip

SNAP_SECONDS = 0.06
"""How far a border may move to a quieter place."""
SNAP_STEP = 0.005
"""Distance of the places that are compared."""
SNAP_WINDOW = 0.02
"""Time over which loudness is measured."""


@dataclass(frozen=True)
class Word:
    """One word of a clip."""

    text: str
    start: float
    """Seconds from the beginning of the clip."""
    end: float
    """Seconds from the beginning of the clip; after the start."""
    confidence: float
    """How sure the recogniser is of the word, 0 to 1; 0 where it did not hear it."""


class Recogniser(Protocol):
    """Hears the words of a clip."""

    def transcribe(self, clip: Clip) -> tuple[Word, ...]:
        """The words in their order; empty where nothing is said."""

    def align(self, clip: Clip, transcript: str) -> tuple[Word, ...]:
        """The words of the transcript, each with the times at which it is said."""


def fit_transcript(heard: Sequence[Word], transcript: str, seconds: float) -> tuple[Word, ...]:
    """The words of a transcript with the times of the words that were heard in a clip of `seconds`.

    Words that are the same keep their times. Between them the words of the transcript divide the
    time of what was heard there by their letters, and their confidence falls with the letters that
    differ; where nothing was heard they divide the gap between their neighbours, with confidence 0.
    """
    words = split_words(transcript)
    ours, theirs = [bare(word) for word in words], [bare(word.text) for word in heard]
    matcher = SequenceMatcher(a=ours, b=theirs, autojunk=False)
    made: list[Word] = []
    for kind, a, a_end, b, b_end in matcher.get_opcodes():
        if kind == "equal":
            pairs = zip(words[a:a_end], heard[b:b_end], strict=True)
            made += [replace(word, text=text) for text, word in pairs]
        elif a_end > a:
            made += divide_time(words[a:a_end], _room(heard, b, b_end, seconds))
    return tuple(made)


def find_phrase(words: Sequence[Word], phrase: str) -> tuple[float, float]:
    """Start and end in seconds of a phrase among the words of a clip; case and marks do not matter.

    Raises ValueError where it is not said, or more than once: the sentence names the times.
    """
    spans = [(words[at].start, words[end - 1].end) for at, end in phrase_places(words, phrase)]
    if len(spans) > 1:
        times = ", ".join(f"{start:.2f} to {end:.2f} s" for start, end in spans)
        raise ValueError(
            f"'{shown(phrase)}' is said {len(spans)} times, at {times}. Add the words beside it, "
            "or give seconds where they are taken."
        )
    return spans[0]


def phrase_places(words: Sequence[Word], phrase: str) -> list[tuple[int, int]]:
    """Every place (first, end) of a phrase among words, none over another; never empty.

    Raises ValueError where it has no word, or is not said.
    """
    sought = [bare(word) for word in split_words(phrase) if bare(word)]
    if not sought:
        raise ValueError(
            f"the phrase '{shown(phrase)}' has no word; one or more words of the clip are needed. "
            "Write them as they are said."
        )
    ours = [(place, bare(word.text)) for place, word in enumerate(words) if bare(word.text)]
    texts, count = [text for _, text in ours], len(sought)
    found: list[tuple[int, int]] = []
    for at in range(len(texts) - count + 1):
        if texts[at : at + count] == sought and (not found or ours[at][0] >= found[-1][1]):
            found.append((ours[at][0], ours[at + count - 1][0] + 1))
    if not found:
        said = " ".join(word.text for word in words).rstrip(".。") or "none"
        raise ValueError(
            f"'{shown(phrase)}' is not said in the clip; its words are: {shown(said)}. "
            "Choose words that follow each other there, or give seconds where they are taken."
        )
    return found


def words_between(words: Sequence[Word], start: float, end: float) -> str:
    """The words whose middle lies from start to end, in seconds, as a text."""
    inside = [w.text for w in words if start <= (w.start + w.end) / 2 < end]
    text = ""
    for word in inside:  # Chinese characters stand without spaces
        joined = text and is_character(text[-1]) and is_character(word[0])
        text += word if not text or joined else f" {word}"
    return text


def _room(heard: Sequence[Word], first: int, end: int, seconds: float) -> Word:
    """What was heard at places first to end as one word; the gap between neighbours if nothing."""
    if end > first:
        inside = heard[first:end]
        sure = min(word.confidence for word in inside)
        text = "".join(word.text for word in inside)
        return Word(text, inside[0].start, inside[-1].end, sure)
    before = heard[first - 1].end if first else 0.0
    after = heard[first].start if first < len(heard) else seconds
    return Word("", before, max(before, after), 0.0)


def divide_time(words: Sequence[str], room: Word) -> list[Word]:
    """Words in the time of one that was heard, by their letters."""
    letters = [max(1, len(bare(word))) for word in words]
    alike = SequenceMatcher(a=bare("".join(words)), b=bare(room.text), autojunk=False).ratio()
    at, out = room.start, []
    for word, count in zip(words, letters, strict=True):
        end = at + (room.end - room.start) * count / sum(letters)
        out.append(Word(word, at, end, room.confidence * alike))
        at = end
    return out


def snap_borders(words: Sequence[Word], clip: Clip) -> tuple[Word, ...]:
    """The words with each border at the quietest place within 60 ms; a shared border stays shared.

    A border moves less than half way to the next one, so every word keeps its order and some time.
    Of equally quiet places the nearest is taken.
    """
    borders = sorted({time for word in words for time in (word.start, word.end)})
    moved: dict[float, float] = {}
    for place, time in enumerate(borders):
        near = [abs(time - other) for other in borders[max(0, place - 1) : place + 2]]
        room = min([SNAP_SECONDS, *(0.45 * gap for gap in near if gap > 0)])
        moved[time] = _quietest(clip, time, room)
    return tuple(replace(w, start=moved[w.start], end=moved[w.end]) for w in words)


def _quietest(clip: Clip, time: float, room: float) -> float:
    """The quietest time within `room` of a time; times outside the clip are left out."""
    most = int(room / SNAP_STEP)
    steps = sorted(range(-most, most + 1), key=abs)
    times = [t for t in (time + step * SNAP_STEP for step in steps) if 0 <= t <= clip.seconds]
    if not times:
        return min(max(time, 0.0), clip.seconds)
    loudness = [_loudness(clip, t) for t in times]
    return times[loudness.index(min(loudness))]


def _loudness(clip: Clip, time: float) -> float:
    """Mean square of the 20 ms around a time; 0 outside the clip."""
    half = SNAP_WINDOW / 2
    first = max(0, round((time - half) * clip.sample_rate))
    last = round((time + half) * clip.sample_rate)
    part = clip.wave[first:last]
    return float(part.square().sum()) / max(1, round(SNAP_WINDOW * clip.sample_rate))
