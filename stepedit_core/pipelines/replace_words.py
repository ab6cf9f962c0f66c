"""Other words in the place of some of a recording's, in its voice.

The sentence around them is spoken anew by the clone path with the window as the prompt. Of what is
said only the new words are taken: what comes before and after them is looked for in the answer by
its codes. They stand between the recording's own codes, the decoder draws the mel of their place
only (`infill.py`), and the sound goes into the recording as that of any part (`inside.py`). What
follows moves where the new words are longer or shorter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..audio.patches import Patch, patched
from ..audio.recordings import Recording
from ..measure.alignment import FURTHEST, guide_of
from ..measure.timeline import Word, divide_time, phrase_places, words_between
from ..printable import shown
from ..registry.handle import Bundle
from ..text.pace import USUAL, seconds_to_say
from ..text.units import bare, split_words
from ..types import DualCodes, Hooks, Round, SilentHooks, Voice
from ..vocab import MEL_FRAMES_PER_GROUP, joined
from .clone import clone_plan
from .infill import Kept, infill_decode
from .inside import MEL_HZ, Inside, Part, put_in
from .makers import vocabulary_of
from .plan import Plan
from .range_edit import GROUP_S, part_of
from .rounds import iterate
from .tokenize import voice_of

LEAST, MOST = 0.4, 2.5
"""Length of the new words beside what they should take at the pace of the old ones."""
SLACK = 3
"""Groups by which short words may be off all the same."""


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """Old words, which the recording says once, and the new ones."""

    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class ReplacedWords:
    """A recording in which some words are others."""

    recording: Recording
    patch: Patch
    """What took the place of the old words; samples outside are the input's, bit for bit."""
    words: tuple[Word, ...]
    """The words with their times in the result; the new ones have confidence 0, as not heard."""
    spoken: Round
    """The sentence with the new words, whole, as the model said it."""


def replace_words(
    bundle: Bundle,
    recording: Recording,
    words: Sequence[Word],
    which: Replacement,
    *,
    settings: Mapping[str, Any] | None = None,
    hooks: Hooks | None = None,
) -> ReplacedWords:
    """The recording with other words in the place of some.

    Args:
        bundle: a model that can clone.
        recording: of any length.
        words: what it says, from a recogniser.
        which: the words.
        settings: further fields of the plan: seed, sampling, decoding.
        hooks: progress and cancelling.

    Raises ValueError for a model that cannot clone, words that are not said or more than once, and
    an answer in which the new words cannot be found.
    """
    check_clones(bundle)
    first, last = _place(words, which)
    part = part_of(recording, words[first].start, words[last - 1].end)
    rate = recording.sample_rate
    window = part.window_start / rate, part.window_end / rate
    text = words_between(words, *window)
    before = words_between(words[:first], *window)
    after = words_between(words[last:], window[0], window[1])
    sentence = " ".join(piece for piece in (before, which.new.strip(), after) if piece)
    clip = recording.clip(part.window_start, part.window_end)
    plan = clone_plan(bundle, clip, text, sentence, **(settings or {}))
    source, spoken = iterate(bundle, clip, plan, hooks=hooks).rounds
    voice = voice_of(bundle, clip, source.codes, recorded=True, hooks=hooks)
    expected = _expected(which, (part.end - part.start) / rate)
    groups = groups_of(voice, recording, part)
    found = found_between(bundle, voice.codes, spoken.codes, groups)
    check_length(found, expected)
    inside = _drawn(bundle, voice, spoken.codes, (groups, found), plan, hooks)
    patch = put_in(bundle, recording, part, voice, inside, draws=plan.draws(1))
    return ReplacedWords(
        recording=patched(recording, [patch]),
        patch=patch,
        words=_retimed(words, (first, last), which.new, patch, rate),
        spoken=spoken,
    )


def check_clones(bundle: Bundle) -> None:
    """Raise ValueError for a model that cannot say new words."""
    if "clone" not in vocabulary_of(bundle).options:
        raise ValueError(
            f"bundle '{shown(bundle.name)}' cannot say new words; replacing words needs a model "
            "that can clone a voice, as the released one. Name it (--bundle)."
        )


def _place(words: Sequence[Word], which: Replacement) -> tuple[int, int]:
    """Where the old words are said; ValueError for new ones without a letter, as phrase_places."""
    if not bare(which.new):
        raise ValueError(
            f"'{shown(which.old)}' should become '{shown(which.new)}', which has no word; one or "
            "more are needed. Write them, or use remove-words."
        )
    places = phrase_places(words, which.old)
    if len(places) > 1:
        spans = [(words[at].start, words[end - 1].end) for at, end in places]
        times = ", ".join(f"{start:.2f} to {end:.2f} s" for start, end in spans)
        raise ValueError(
            f"'{shown(which.old)}' is said {len(places)} times, at {times}. Add the words beside "
            "it, to both sides."
        )
    return places[0]


def _expected(which: Replacement, seconds: float) -> float:
    """Seconds that the new words should take at the pace of the old ones."""
    old, new = (seconds_to_say(text, USUAL) for text in (which.old, which.new))
    return seconds * new / old if old else new


def groups_of(voice: Voice, recording: Recording, part: Part) -> tuple[int, int]:
    """First group and one past the last, of the window's codes, that a part touches."""
    rate, lead, groups = recording.sample_rate, round(voice.lead), voice.codes.groups
    start, end = ((s - part.window_start) * MEL_HZ / rate for s in part.start_end)
    first = min(max(0, int((start - lead) // MEL_FRAMES_PER_GROUP)), groups - 1)
    return first, max(first + 1, min(groups, -int((lead - end) // MEL_FRAMES_PER_GROUP)))


def found_between(
    bundle: Bundle, source: DualCodes, answer: DualCodes, groups: tuple[int, int]
) -> tuple[int, int]:
    """Groups of the answer between what it says alike before and after groups of the source.

    Raises ValueError where what is before or after is not in the answer.
    """
    cost = guide_of(bundle).cost(source, answer)
    begin = _aligned(cost[: 3 * groups[0]])
    rest = _aligned(cost[3 * groups[1] :][::-1, ::-1])
    if begin is None or rest is None:
        where = "before" if begin is None else "after"
        raise ValueError(
            f"the answer of the model does not say the words {where} the new ones, so these cannot "
            "be found in it. Try another seed, or a longer phrase."
        )
    first, last = round(begin / 3), answer.groups - round(rest / 3)
    if last <= first:
        raise ValueError(
            "the answer of the model has no room for the new words between those before and after "
            "them. Try another seed, or a longer phrase."
        )
    return first, last


def _aligned(cost: np.ndarray) -> int | None:
    """How many rows of an answer say all of a source, from costs (R, A); None where none do.

    Time warping with a free end: the end with the least cost for each row of the path.
    """
    count, rows = cost.shape
    if not count:
        return 0
    total = np.full((count + 1, rows + 1), np.inf)
    steps = np.zeros((count + 1, rows + 1))
    total[0, 0] = 0.0
    for i in range(1, count + 1):
        for j in range(1, rows + 1):
            before = ((i - 1, j - 1, 2), (i - 1, j, 1), (i, j - 1, 1))
            a, b, weight = min(before, key=lambda p: total[p[0], p[1]] + p[2] * cost[i - 1, j - 1])
            total[i, j] = total[a, b] + weight * cost[i - 1, j - 1]
            steps[i, j] = steps[a, b] + weight
    means = total[count, 1:] / np.maximum(steps[count, 1:], 1)
    best = int(means.argmin())
    return best + 1 if means[best] <= FURTHEST else None


def check_length(found: tuple[int, int], expected: float) -> None:
    """Raise ValueError for a place that is much longer or shorter than the new words."""
    seconds, slack = (found[1] - found[0]) * GROUP_S, SLACK * GROUP_S
    if not LEAST * expected - slack <= seconds <= MOST * expected + slack:
        raise ValueError(
            f"the answer of the model has {seconds:.2f} s between the words before and after the "
            f"new ones, which take about {expected:.2f} s. Try another seed, or a longer phrase."
        )


def composed_around(
    source: DualCodes, answer: DualCodes, groups: tuple[int, int], found: tuple[int, int]
) -> DualCodes:
    """Source codes whose groups are those that were found in the answer."""
    return joined(((source, 0, groups[0]), (answer, *found), (source, groups[1], source.groups)))


def kept_around(voice: Voice, groups: tuple[int, int], count: int) -> Kept:
    """The voice's mel around groups that become `count` others; frames it lacks are open."""
    lead, total = round(voice.lead), voice.mel.shape[1]
    before = torch.arange(MEL_FRAMES_PER_GROUP * groups[0])
    after = torch.arange(
        MEL_FRAMES_PER_GROUP * groups[1], MEL_FRAMES_PER_GROUP * voice.codes.groups
    )
    hole = torch.full((MEL_FRAMES_PER_GROUP * count,), -lead - 1)
    frames = torch.cat((before, hole, after)) + lead
    known = (frames >= 0) & (frames < total)
    return Kept(mel=voice.mel[:, frames.clamp(0, total - 1)], known=known)


def _drawn(
    bundle: Bundle,
    voice: Voice,
    answer: DualCodes,
    places: tuple[tuple[int, int], tuple[int, int]],
    plan: Plan,
    hooks: Hooks | None,
) -> Inside:
    """The mel of the new words, drawn between the recording's."""
    groups, found = places
    count = found[1] - found[0]
    codes = composed_around(voice.codes, answer, groups, found)
    kept = kept_around(voice, groups, count)
    how = plan.decoding, hooks or SilentHooks()
    mel = infill_decode(bundle, codes, kept, voice, draws=plan.draws(1), how=how)
    first = MEL_FRAMES_PER_GROUP * groups[0]
    start = round(voice.lead) + first
    before = max(0, -start)  # frames that lie before the clip's first
    new = mel[:, first + before : first + MEL_FRAMES_PER_GROUP * count]
    end = round(voice.lead) + MEL_FRAMES_PER_GROUP * groups[1]
    return Inside(new, start + before, min(end, voice.mel.shape[1]))


def _retimed(
    words: Sequence[Word], place: tuple[int, int], new: str, patch: Patch, rate: int
) -> tuple[Word, ...]:
    """The words around the new ones at their times in the result, and those."""
    first, last = place
    longer = (patch.samples.shape[1] - (patch.stop - patch.start)) / rate
    start = words[first].start
    end = max(start + 0.02, words[last - 1].end + longer)
    said = divide_time(split_words(new), Word(new, start, end, 0.0))
    moved = [replace(w, start=w.start + longer, end=w.end + longer) for w in words[last:]]
    return (*words[:first], *said, *moved)
