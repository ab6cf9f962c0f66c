"""Words, fillers, repeats and long pauses taken out of a recording, without any model.

What is said comes as a list of words with times. Each removal is a cut with a short fade at the
quietest places between the words that stay (`signal/cut.py`); all samples outside of the cuts are
the recording's, in its rate, channels and type. Where the length must stay, as for the sound of a
film, the recording's own room tone fills the place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from ..audio.clips import float_samples
from ..audio.patches import Patch, patched
from ..audio.recordings import Recording
from ..measure.given_words import silent
from ..measure.hesitation import Sound, hesitations, is_misheard, words_stay
from ..measure.timeline import Recogniser, Word, phrase_places, words_between
from ..printable import shown
from ..signal.cut import FADE_S, Room, alike_pair, closed, filled, quiet_places
from ..text.disfluency import fillers_of, is_filler, repeats
from .holes import Cut, Hole, Why, merged, with_pauses

SHORTEST_PAUSE_S = 0.2
"""Shortest length to which pauses are shortened; less sounds like a mistake."""
LONGEST_PAUSE_S = 10.0
REACH_S = 0.3
"""How far before and after a removed word a cut is looked for: times are not exact."""
INSIDE_S = 0.06
"""How far inside of a removed word a cut may lie where nothing is between it and its neighbour."""
BREATH_S = 0.1
"""Time that stays of the shorter of the two pauses beside a removed word."""
REST_S = 0.03
"""Time beside a word in which it may still sound."""
SHORTEST_WORD_S = 0.02
SHORTEST_TONE_S = 0.1
"""Shortest pause of which room tone is made."""


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What is removed."""

    phrases: tuple[str, ...] = ()
    """Words that are said once, or wherever they are said with `every`."""
    every: bool = False
    spans: tuple[tuple[float, float], ...] = ()
    """Seconds from and to; the words whose middle lies there are removed."""
    fillers: bool = False
    """Fillers of the table, and short sounds between words that no word was heard for."""
    repeats: bool = False
    """Starts that are said again right after: the first is removed."""
    pauses_over: float | None = None
    """Seconds: longer pauses become this long."""
    language: str = ""
    """Whose fillers, `text/disfluency.py`; empty means English, Chinese, Japanese and Korean."""
    keep_length: bool = False
    """Fill with room tone instead of closing the gap; pauses are then left alone."""

    @property
    def only_pauses(self) -> bool:
        """Whether nothing but pauses is named; they are found by sound, without any words."""
        return not (self.phrases or self.spans or self.fillers or self.repeats)


@dataclass(frozen=True, kw_only=True)
class RemovedWords:
    """A recording after removals."""

    recording: Recording
    cuts: tuple[Cut, ...]
    """In the order of the recording."""
    patches: tuple[Patch, ...]
    """What took the place of each cut; samples outside are the input's, bit for bit."""
    words: tuple[Word, ...]
    """The words that stay, with their times in the result."""


def check_removal(which: Removal) -> None:
    """Raise ValueError for a removal of nothing, and for a length or language out of range."""
    asked = (
        which.phrases,
        which.spans,
        which.fillers,
        which.repeats,
        which.pauses_over is not None,
    )
    if not any(asked):
        raise ValueError(
            "nothing is named that should be removed; words, seconds, fillers, repeats or long "
            "pauses can be. Name one of them."
        )
    over = which.pauses_over
    if over is not None and not SHORTEST_PAUSE_S <= over <= LONGEST_PAUSE_S:
        raise ValueError(
            f"pauses should become {over:g} s long; {SHORTEST_PAUSE_S} to {LONGEST_PAUSE_S:.0f} s "
            "are allowed. Choose a length in between."
        )
    if over is not None and which.keep_length:
        raise ValueError(
            "pauses should become shorter and the length should stay; one of the two is allowed. "
            "Leave one out."
        )
    fillers_of(which.language)


def remove_words(
    recording: Recording,
    words: Sequence[Word],
    which: Removal,
    *,
    ears: Recogniser | None = None,
) -> RemovedWords:
    """The recording without what `which` names.

    Args:
        recording: of any length.
        words: what it says, from a recogniser (`measure/recognisers.py`).
        which: what is removed. Where nothing of it is found the recording comes back as it is.
        ears: the recogniser, for fillers and repeats that it left out of the words: it listens once
            more, and a sound goes only if every word is heard without it. Without ears a sound goes
            only where no word was surely heard.

    Raises ValueError where a phrase is not said, or more than once; where every word would be
    removed; where pauses of a silent recording are asked for; and as check_removal.
    """
    check_removal(which)
    if which.only_pauses and not words and (why := silent(recording, "no speech")):
        raise ValueError(why)
    rate = recording.sample_rate
    marks = sorted(
        (*_marked(recording, words, which), *_wordless(recording, words, which, ears)),
        key=lambda mark: (mark.start, mark.end),
    )
    gone = {place for mark in marks for place in range(mark.first, mark.last)}
    spoken = [place for place, word in enumerate(words) if word.text.strip()]
    if gone and gone >= set(spoken):
        raise ValueError(
            f"all {len(spoken)} words of the recording would be removed; one or more must stay. "
            "Choose fewer."
        )
    holes = merged([hole for run in _runs(marks) for hole in _hole(run, words, recording)], rate)
    if which.pauses_over is not None:
        holes = with_pauses(holes, recording, which.pauses_over)
    tone = _room_tone(recording, words) if which.keep_length and holes else None
    old = recording.samples
    patches = tuple(
        _closed(recording, hole)
        if tone is None
        else filled(old, hole.first, hole.second, rate, tone)
        for hole in holes
    )
    kept = [word for place, word in enumerate(words) if place not in gone]
    return RemovedWords(
        recording=patched(recording, patches),
        cuts=tuple(hole.cut(rate) for hole in holes),
        patches=patches,
        words=_moved(kept, patches, rate),
    )


@dataclass(frozen=True)
class _Mark:
    """Words first to last, or the sound between words last - 1 and first, that goes."""

    first: int
    last: int
    """One past the last word; `first` where no word is marked."""
    start: float
    end: float
    why: Why
    between: tuple[float, float] | None = None
    """End of the sound before and start of the sound after, where they are known."""


def _marked(recording: Recording, words: Sequence[Word], which: Removal) -> list[_Mark]:
    """Words that are asked for."""
    found: dict[tuple[int, int], Why] = {}
    fillers = fillers_of(which.language)
    texts = [word.text for word in words]
    if which.repeats:
        found |= dict.fromkeys(repeats(texts, fillers), "repeat")
    if which.fillers:
        found |= {(n, n + 1): "filler" for n, text in enumerate(texts) if is_filler(text, fillers)}
    for span in which.spans:
        found |= dict.fromkeys(_spoken_within(words, span, recording.seconds), "words")
    for phrase in which.phrases:
        found |= dict.fromkeys(_said(words, phrase, every=which.every), "words")
    return [
        _Mark(first, last, words[first].start, words[last - 1].end, why)
        for (first, last), why in found.items()
    ]


def _wordless(
    recording: Recording, words: Sequence[Word], which: Removal, ears: Recogniser | None
) -> list[_Mark]:
    """Fillers and repeats that are not among the words."""
    kinds = {"filler": which.fillers, "repeat": which.repeats}
    if not any(kinds.values()):
        return []
    sounds = [sound for sound in hesitations(recording.clip(), words) if kinds[sound.kind]]
    if ears is None:
        sounds = [sound for sound in sounds if sound.wordless]
    else:
        sure = _not_missed(recording, words, sounds, ears)
        # beside others that are out, a recogniser may hear other words where one of them was
        rest = [sound for sound in sounds if sound not in sure]
        if sure and rest:
            sure += _not_missed(recording, words, rest, ears)
        sounds = sure
    return [_unheard(sound, words) for sound in sounds]


def _not_missed(
    recording: Recording, words: Sequence[Word], sounds: Sequence[Sound], ears: Recogniser
) -> list[Sound]:
    """Those of the sounds without which, all of them out, every word near them is still heard."""
    if not sounds:
        return []
    holes = [hole for s in sounds for hole in _hole([_unheard(s, words)], words, recording)]
    holes = merged(holes, recording.sample_rate)
    trial = patched(recording, [_closed(recording, hole) for hole in holes])
    again = ears.transcribe(trial.clip())
    return [sound for sound in sounds if words_stay(sound, words, again)]


def _closed(recording: Recording, hole: Hole) -> Patch:
    return closed(recording.samples, hole.first, hole.second, recording.sample_rate)


def _unheard(sound: Sound, words: Sequence[Word]) -> _Mark:
    """A sound without a word of its own; an unsure word that was heard in its place goes too.

    A start that is said again leaves its word, which is then that of the second time.
    """
    for n, word in enumerate(words if sound.kind == "filler" else ()):
        if is_misheard(word, sound):
            return _Mark(n, n + 1, sound.start, sound.end, "unheard", (sound.before, sound.after))
    place = sum(word.start + word.end < sound.start + sound.end for word in words)
    return _Mark(place, place, sound.start, sound.end, "unheard", (sound.before, sound.after))


def _said(words: Sequence[Word], phrase: str, *, every: bool) -> list[tuple[int, int]]:
    """Places of a phrase; ValueError where it is not said, or more than once without `every`."""
    places = phrase_places(words, phrase)
    if len(places) > 1 and not every:
        times = ", ".join(
            f"{words[at].start:.2f} to {words[end - 1].end:.2f} s" for at, end in places
        )
        raise ValueError(
            f"'{shown(phrase)}' is said {len(places)} times, at {times}. Add the words beside it, "
            "give the seconds, or have every one removed."
        )
    return places


def _spoken_within(
    words: Sequence[Word], span: tuple[float, float], seconds: float
) -> list[tuple[int, int]]:
    """The place of the words of a span of seconds; ValueError where there are none."""
    start, end = span
    inside = [n for n, word in enumerate(words) if start <= (word.start + word.end) / 2 < end]
    if not inside:
        raise ValueError(
            f"no word is heard from {start:g} to {end:g} s of {seconds:.2f} s; a range with words "
            "is needed. Choose another."
        )
    return [(inside[0], inside[-1] + 1)]


def _runs(marks: Sequence[_Mark]) -> Iterator[list[_Mark]]:
    """Marks between which no word stays, together."""
    run: list[_Mark] = []
    for mark in marks:
        if run and mark.first > max(one.last for one in run):
            yield run
            run = []
        run.append(mark)
    if run:
        yield run


def _hole(run: Sequence[_Mark], words: Sequence[Word], recording: Recording) -> Iterator[Hole]:
    """Where a run of marks is cut out: at quiet places between the words that stay."""
    rate, samples = recording.sample_rate, recording.samples
    length = samples.shape[1]
    first, last = min(mark.first for mark in run), max(mark.last for mark in run)
    opening = min(run, key=lambda mark: mark.start)
    closing = max(run, key=lambda mark: mark.end)
    start, end = opening.start, closing.end
    before = min(words[first - 1].end, start) if first else 0.0
    after = max(words[last].start, end) if last < len(words) else recording.seconds
    # pauses that were seen in the sound are surer than the times of words
    before = opening.between[0] if opening.between else before
    after = closing.between[1] if closing.between else after
    inside = min(INSIDE_S, (end - start) / 3)
    half = FADE_S / 2
    low = max(before + half * bool(first), start - REACH_S)
    high = min(after - half * (last < len(words)), end + REACH_S)
    rooms = [_room(*room, rate, length) for room in ((low, start + inside), (end - inside, high))]
    heads, tails = (quiet_places(samples, rate, room) for room in rooms)
    # all of both pauses is quiet: of the shorter one little stays
    left, right = int(heads[-1]), int(tails[0])
    pauses = left - round(before * rate), round(after * rate) - right
    least = round(BREATH_S * rate)
    if max(pauses) < least:  # words that run into each other
        left, right = alike_pair(samples, rate, *(room.places(rate) for room in rooms))
    elif first and last < len(words):
        if pauses[0] <= pauses[1]:
            left = int(heads[heads <= max(heads[0], left - max(0, pauses[0] - least))][-1])
        else:
            right = int(tails[tails >= min(tails[-1], right + max(0, pauses[1] - least))][0])
    if right > left:
        text = words_between(words[first:last], 0.0, float("inf"))
        yield Hole(left, right, text, _reason(run))


def _room(low: float, high: float, rate: int, length: int) -> Room:
    """Seconds low to high as samples of a recording; one place where high is not after low."""
    first = min(max(round(low * rate), 0), length)
    return Room(low=first, high=min(max(round(high * rate), first), length))


def _reason(run: Sequence[_Mark]) -> Why:
    """Of several reasons the one that the user named most exactly."""
    order: tuple[Why, ...] = ("words", "repeat", "filler", "unheard", "pause")
    return min((mark.why for mark in run), key=order.index)


def _room_tone(recording: Recording, words: Sequence[Word]) -> Tensor:
    """The quietest pause between words (C, T); ValueError where no pause is long enough."""
    rate = recording.sample_rate
    edges = [0.0, *(time for word in words for time in (word.start, word.end)), recording.seconds]
    gaps = [
        (round((a + REST_S) * rate), round((b - REST_S) * rate))
        for a, b in zip(edges[::2], edges[1::2], strict=True)
        if b - a - 2 * REST_S >= SHORTEST_TONE_S
    ]
    if not gaps:
        raise ValueError(
            f"no pause between the words is {SHORTEST_TONE_S:g} s long, so there is no room tone "
            "to fill a place with. Let the length change."
        )
    tones = [recording.samples[:, first:last] for first, last in gaps]
    return min(tones, key=lambda tone: float(float_samples(tone).double().square().mean()))


def _moved(words: Sequence[Word], patches: Sequence[Patch], rate: int) -> tuple[Word, ...]:
    """Words with their times in the result; one whose time was cut out begins after the cut."""

    def new(seconds: float) -> float:
        at, shift = seconds * rate, 0.0
        for patch in patches:
            if at < patch.start:
                break
            count = patch.samples.shape[1]
            shift += min(at - patch.start, count) - min(at, patch.stop) + patch.start
        return (at + shift) / rate

    if not patches or not words:
        return tuple(words)
    spans = [(new(word.start), new(word.end), word.end - word.start) for word in words]
    ends = [start for start, _, _ in spans[1:]] + [float("inf")]
    return tuple(
        replace(
            word,
            start=start,
            end=end if end - start >= SHORTEST_WORD_S else max(end, min(start + length, limit)),
        )
        for word, (start, end, length), limit in zip(words, spans, ends, strict=True)
    )
