"""Which part of a recording was chosen, the words of its window, and which of them were lost.

The node Edit Range asks here: a part is chosen by a phrase or by seconds, and neither is a choice
too, to listen first.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from math import inf
from typing import Any

from ..audio.patches import Patch
from ..audio.recordings import Recording
from ..measure.timeline import Word, find_phrase, words_between
from ..printable import shown
from ..text.units import bare
from .inside import Part


def check_seconds(start: float, end: float) -> None:
    """Raise ValueError for a start and an end, in seconds, that no recording can have."""
    for name, value in (("start", start), ("end", end)):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 <= value < inf:
            raise ValueError(
                f"{shown(name)} is {shown(value)}; seconds from 0 on are allowed. Choose words "
                "again, or type a number."
            )
    if end < start:
        raise ValueError(
            f"the range starts at {start:g} s and ends at {end:g} s; the end comes after the "
            "start. Set both, or set them equal to choose nothing."
        )


def chosen_seconds(
    words: Sequence[Word], phrase: str, start: float, end: float
) -> tuple[float, float] | None:
    """Start and end of a phrase among the words; of an empty phrase the seconds that are given.

    None where nothing is chosen: no phrase, and start and end are equal. Raises ValueError for a
    phrase that is not there once, and as check_seconds.
    """
    if phrase.strip():
        return find_phrase(words, phrase)
    check_seconds(start, end)
    return None if start == end else (start, end)


def window_text(recording: Recording, part: Part, words: Sequence[Word], text: str) -> str:
    """The words of a part's window: of the transcript where the window is all, else those heard.

    Empty where neither is known. Raises ValueError where only the words of a longer recording are.
    """
    rate = recording.sample_rate
    start, end = part.window_start / rate, part.window_end / rate
    if text.strip() and part.window_end - part.window_start == recording.samples.shape[1]:
        return text
    if text.strip() and not words:
        raise ValueError(
            f"the part is edited together with {start:.1f} to {end:.1f} s around it, and nothing "
            "hears which words of the transcript are said there. Connect Transcribe, or cut the "
            "recording to 10 s."
        )
    return words_between(words, start, end)


def words_in_span(words: Sequence[Word], start: float, end: float) -> list[int]:
    """Places of the words whose middle lies from start to end, in seconds."""
    return [k for k, w in enumerate(words) if start <= (w.start + w.end) / 2 < end]


def unheard_words(
    words: Sequence[Word],
    heard: Sequence[Word],
    chosen: tuple[float, float],
    window: tuple[float, float],
) -> tuple[int, ...]:
    """Places of the chosen words that are not heard any more.

    Args:
        words: of the whole recording.
        heard: what a recogniser hears in the window after the edit.
        chosen: start and end of the part in seconds.
        window: start and end of its window in seconds.
    """
    around = words_in_span(words, *window)
    ours, theirs = [bare(words[k].text) for k in around], [bare(word.text) for word in heard]
    matcher = SequenceMatcher(a=ours, b=theirs, autojunk=False)
    kept = {around[a + k] for a, _, count in matcher.get_matching_blocks() for k in range(count)}
    inside = words_in_span(words, *chosen)
    return tuple(k for k in inside if k not in kept and bare(words[k].text))


def part_entry(
    recording: Recording,
    part: Part,
    patch: Patch,
    words: Sequence[Word],
    lost: Sequence[int] | None,
) -> dict[str, Any]:
    """What a report says of a part: times in seconds, samples, words.

    `recording` is the one before the edit; `lost` are places in `words`, None where nothing hears.
    """
    rate, length = recording.sample_rate, recording.samples.shape[1]
    start, end = part.start / rate, part.end / rate
    return {
        "start": round(start, 4),
        "end": round(end, 4),
        "words": words_between(words, start, end),
        "window": [round(part.window_start / rate, 4), round(part.window_end / rate, 4)],
        "changed": {
            "first_sample": patch.first,
            "end_sample": patch.end,
            "first": round(patch.first / rate, 4),
            "end": round(patch.end / rate, 4),
            "end_before": round(patch.stop / rate, 4),
        },
        "samples_kept": length - (patch.stop - patch.start),
        "words_lost": None if lost is None else [words[k].text for k in lost],
    }
