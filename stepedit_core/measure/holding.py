"""Whether the words and the voice of a round hold: what decides which round is best.

The margin score hears how strongly an edit came out, not whether the words are still there: a
destroyed clip can have 9. So a round counts only where it ended by itself, its linguistic codes
keep the words, its recogniser, where the bundle has one, hears them, and the voice is the input's.
Signal processing never changes words, and ears are worse at another speed: of its rounds only the
voice is judged, and the words of the round that they were made of. Of a whisper by signal
processing the voice is that round's too: without a pitch the speaker network tells nobody apart
(docs/benchmarks/2026-11-28-whisper.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..registry.handle import Bundle
from ..text.edits import without_tags
from ..text.engines import whispers
from ..text.letters import letter_words
from ..types import Clip, Hooks, Measures, Round, Voice, WordLimits
from .letters import LettersRecogniser
from .recogniser import plain_words
from .recognisers import recogniser_of
from .timeline import Recogniser

WORDS_HOLD = 0.25
"""Highest word distance: 0.13 on average below a word error rate of 20 %, 0.16 from 20 to 50 %,
0.23 above (60 edits, docs/experiments.md, 2026-11-24); another sentence has 0.5 and more."""
MISFIT_MOST = 20.0
"""Nats per letter: also of a clip that is too short for the words."""
VOICE_HOLDS = 0.5
"""Least likeness of the voice to the input's."""
VOICE_LOST = 0.25
"""Likeness below which the voice is somebody else's or nobody's: two people have about 0. Between
the two lie strong edits of one voice, of which more rounds may be made."""


def faults_of(made: Round) -> tuple[str, ...]:
    """What is wrong with a finished round, a sentence each; empty where words and voice hold."""
    faults = []
    spoken = _spoken(made)
    if spoken is not None and not spoken.ended:
        faults.append(
            f"the model did not end its answer within {spoken.codes.seconds:.1f} s; what is at the "
            "end may be babble, or cut."
        )
    measures = None if spoken is None else spoken.measures
    if measures is not None and measures.words is not None and measures.words > WORDS_HOLD:
        faults.append(
            f"words are lost or changed: their distance is {apart(measures.words, WORDS_HOLD)}, up "
            f"to {WORDS_HOLD} they hold."
        )
    faults += heard_faults(made)
    voiced = _unwhispered(made).measures
    if voiced is not None and voiced.similarity < VOICE_HOLDS:
        likeness = apart(voiced.similarity, VOICE_HOLDS)
        faults.append(
            f"the voice is another: its likeness is {likeness}, from {VOICE_HOLDS} on it holds."
        )
    return tuple(faults)


def heard_faults(made: Round) -> tuple[str, ...]:
    """Which faults of a round are those of a transcript that is not heard in it."""
    spoken = _spoken(made)
    if spoken is None or spoken.measures is None:
        return ()
    faults = []
    measures, limits = spoken.measures, spoken.measures.limits
    if measures.misheard is not None and measures.misheard > limits.heard:
        faults.append(
            f"{apart(100 * measures.misheard, 100 * limits.heard, 0)}% of the words are heard "
            f"wrongly, up to {limits.heard:.0%} they hold."
        )
    if measures.misfit is not None and measures.misfit > limits.misfit:
        misfit = apart(measures.misfit, limits.misfit)
        faults.append(
            f"the words do not fit the sound: their misfit is {misfit}, up to {limits.misfit:.2f} "
            "they hold."
        )
    return tuple(faults)


def _spoken(made: Round) -> Round | None:
    """The round whose words a round has, None for signal processing of a recording."""
    if not made.by_signal:
        return made
    while made.by_signal and made.source is not None:
        made = made.source
    return None if made.by_signal or made.request is None else made


def _unwhispered(made: Round) -> Round:
    """The round whose voice a round has: of a whisper, and of its speed, the one whispered."""
    found = made
    while made.by_signal and made.source is not None:
        if whispers(made.request):
            found = made.source
        made = made.source
    return found


def recording_notes(made: Round, voice: Voice) -> tuple[str, ...]:
    """What a listener should know of round 0, the recording; empty where all is well."""
    notes = []
    if voice.saved:
        notes.append(
            f"{voice.saved:.2f} s at the ends are far quieter than the loudest sound, but sound "
            "like speech; they are kept."
        )
    measures = made.measures
    if measures is None:
        return tuple(notes)
    if (measures.misheard or 0.0) > measures.limits.other_heard:
        notes.append(
            f"{measures.misheard:.0%} of the transcript's words are not heard in it, but "
            f"{without_breaks(measures.heard or '')!r}; check that the transcript is this clip's."
        )
    if (measures.misfit or 0.0) > measures.limits.other_misfit:
        notes.append(
            "the transcript does not fit it: its misfit is "
            f"{apart(measures.misfit or 0.0, measures.limits.other_misfit)}, up to "
            f"{measures.limits.other_misfit:.2f} it fits; check that the transcript is this clip's."
        )
    return tuple(notes)


def transcript_fits(first: Round) -> bool:
    """Whether nothing that was heard in the recording, round 0, speaks against its transcript."""
    measures = first.measures
    if measures is None:
        return True
    limits = measures.limits
    heard = (measures.misheard or 0.0) <= limits.other_heard
    return heard and (measures.misfit or 0.0) <= limits.other_misfit


def words_hold(made: Round) -> bool:
    """Whether the words of a round are as they were, as far as was measured."""
    spoken = _spoken(made)
    measures = None if spoken is None else spoken.measures
    if measures is None:
        return True
    kept = measures.words is None or measures.words <= WORDS_HOLD
    heard = (measures.misheard or 0.0) <= measures.limits.heard
    return kept and heard and (measures.misfit or 0.0) <= measures.limits.misfit


def apart(value: float, limit: float, digits: int = 2) -> str:
    """A value with as many digits as tell it from a limit that it is past."""
    while digits < 6 and f"{value:.{digits}f}" == f"{limit:.{digits}f}":
        digits += 1
    return f"{value:.{digits}f}"


def without_breaks(text: str, most: int = 80) -> str:
    """A text on one line, at most so long."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def damage(made: Round) -> tuple[int, float]:
    """Less is better: number of faults, then how far the words and the voice are away."""
    measures = made.measures
    if measures is None:
        return len(faults_of(made)), 0.0
    away = (measures.words or 0.0) / WORDS_HOLD + (measures.misheard or 0.0) / measures.limits.heard
    away += (1 - measures.similarity) / (1 - VOICE_HOLDS)
    away += (measures.misfit or 0.0) / measures.limits.misfit
    return len(faults_of(made)), away


def with_heard(
    bundle: Bundle, measures: Measures, clip: Clip, expected: str, *, hooks: Hooks
) -> Measures:
    """The measures with what the bundle's recogniser hears; unchanged where it has none."""
    if "recogniser" not in bundle.manifest.components:
        return measures
    recogniser = recogniser_of(bundle, hooks=hooks)
    said = without_tags(expected)
    expected_words = plain_words(said)
    misfit, limits = measures.misfit, measures.limits
    if isinstance(recogniser, LettersRecogniser):
        words, fit = recogniser.hear(clip, said)
        limits = recogniser.limits
        if not any(known for _, known in letter_words(said)):  # nothing, or in another script
            expected_words = []
        misfit = min(fit.misfit, MISFIT_MOST) if expected_words else None
    else:
        words = recogniser.transcribe(clip)
    heard = " ".join(word.text for word in words)
    wrong = None
    if expected_words:
        wrong = min(1.0, edit_distance(expected_words, plain_words(heard)) / len(expected_words))
    return replace(measures, heard=heard, misheard=wrong, misfit=misfit, limits=limits)


def heard_by(ears: Recogniser, measures: Measures, clip: Clip, expected: str) -> Measures:
    """The measures with what a recogniser of the user's hears; the misfit stays the bundle's."""
    heard = " ".join(word.text for word in ears.transcribe(clip))
    wrong = None
    if expected_words := plain_words(without_tags(expected)):
        wrong = edit_distance(expected_words, plain_words(heard)) / len(expected_words)
    usual = WordLimits()
    limits = replace(measures.limits, heard=usual.heard, other_heard=usual.other_heard)
    return replace(measures, heard=heard, misheard=wrong, limits=limits)


def edit_distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Words to be put in, left out or changed between two texts (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, word in enumerate(one, start=1):
        above, row = row, [i]
        for j, said in enumerate(other, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != said)))
    return row[-1]
