"""Runs of Edit Range: the words of a recording, its edited part, and what the panel shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..stepedit_core.printable import shown
from .host import models, progress, sound
from .words import hear, known_or_heard

if TYPE_CHECKING:
    from ..stepedit_core.audio.patches import Patch
    from ..stepedit_core.audio.recordings import Recording
    from ..stepedit_core.pipelines.inside import Part
    from ..stepedit_core.pipelines.plan import Plan
    from ..stepedit_core.types import EditRequest, EditResult, Round
    from .words import Words

NOTHING = "choose words or seconds in the panel, then run again"


@dataclass(frozen=True)
class Known:
    """A recording and its words."""

    recording: Recording
    words: Words
    recogniser: str
    """Who hears what became of them."""
    why: str = ""
    """Why there are no words."""


@dataclass(frozen=True)
class PartRun:
    """What a run gives."""

    recording: Recording
    report: str
    panel: dict[str, Any]
    """What the panel shows, see web/range_panel.mjs."""


@dataclass(frozen=True)
class _Made:
    """An edited part."""

    part: Part
    plan: Plan
    rounds: EditResult
    patch: Patch
    recording: Recording
    """The whole one, with the part edited."""
    lost: tuple[int, ...] | None
    """Places of the words that are not heard any more; None where nothing hears."""
    note: str
    """Sentence of a part that is as recorded after its edit; empty for every other."""


def known_words(
    recording: Recording,
    words: Words | None,
    model: models.LoadedModel,
    recogniser: str,
    text: str,
) -> Known:
    """The words of a recording: given with their times, else heard, else none and why.

    Raises ValueError for given words of another recording.
    """
    from ..stepedit_core.measure.word_table import check_inside

    check_inside(words or (), recording.seconds)
    try:
        found = tuple(known_or_heard(recording, words, model, recogniser, text))
    except ValueError as error:
        return Known(recording, (), recogniser, str(error))
    why = "" if found else "no word is heard in the recording. Choose seconds instead."
    return Known(recording, found, recogniser, why)


def listened(recording: Recording, known: Known) -> PartRun:
    """Nothing chosen: the recording as it came."""
    from ..stepedit_core.output.report import report_text

    progress.say(NOTHING)
    heard = [word.text for word in known.words]
    return PartRun(recording, report_text({"range": None, "words": heard}), _panel(known))


def run_part(
    model: models.LoadedModel,
    known: Known,
    part: Part,
    edits: Sequence[EditRequest],
    settings: Mapping[str, Any],
) -> PartRun:
    """The recording with a part edited; the model keeps the rounds of its window."""
    from ..stepedit_core.output.report import report_of, report_text
    from ..stepedit_core.pipelines.chosen_part import part_entry

    made = _edited(model, known, part, edits, settings)
    rounds = made.rounds
    report = report_of(model.bundle, made.plan, rounds.rounds, best=rounds.best_number)
    report["range"] = part_entry(known.recording, part, made.patch, known.words, made.lost)
    report["range"] |= {"note": made.note} if made.note else {}
    return PartRun(made.recording, report_text(report), _panel(known, made, report["range"]))


def _edited(
    model: models.LoadedModel,
    known: Known,
    part: Part,
    edits: Sequence[EditRequest],
    settings: Mapping[str, Any],
) -> _Made:
    from ..stepedit_core.audio.patches import patched
    from ..stepedit_core.pipelines.best import best_round
    from ..stepedit_core.pipelines.plan import make_plan
    from ..stepedit_core.pipelines.range_edit import patch_of, unchanged_note
    from ..stepedit_core.pipelines.rounds import iterate_rounds
    from ..stepedit_core.pipelines.verdict import warnings_of
    from ..stepedit_core.types import EditResult

    recording = known.recording
    clip = recording.clip(part.window_start, part.window_end)
    plan = make_plan(model.bundle, clip, edits, **settings)
    bundle = model.ready(2 * clip.seconds)
    hooks = progress.GraphHooks(len(plan.steps))
    rounds: list[Round] = []
    for made in iterate_rounds(bundle, clip, plan, hooks=hooks, memory=model.memory):
        hooks.round_finished(len(rounds), made.score)
        rounds.append(made)
    best = best_round(rounds)
    warnings = warnings_of(plan, rounds, best)
    result = EditResult(rounds=tuple(rounds), best_number=best, warnings=warnings)
    patch = patch_of(bundle, recording, part, plan, result, number=best)
    whole = patched(recording, [patch])
    lost = _lost(model, known, part, whole)
    note = unchanged_note(recording, whole, plan) if best else ""
    said = (*warnings, note) if note else warnings
    hooks.finish(best, rounds[best].score, made=len(rounds) - 1, warnings=said)
    return _Made(part, plan, result, patch, whole, lost, note)


def _lost(
    model: models.LoadedModel, known: Known, part: Part, whole: Recording
) -> tuple[int, ...] | None:
    """Places of the chosen words that are not heard after the edit; None where nothing hears."""
    from ..stepedit_core.pipelines.chosen_part import unheard_words

    if not known.words:
        return None
    rate, longer = whole.sample_rate, whole.samples.shape[1] - known.recording.samples.shape[1]
    window = whole.samples[:, part.window_start : part.window_end + longer]
    try:
        heard = hear(replace(whole, samples=window), model, known.recogniser, surely=True)
    except ValueError:  # nothing hears here, or a draft only; the words came from elsewhere
        return None
    chosen = (part.start / rate, part.end / rate)
    return unheard_words(
        known.words, heard, chosen, (part.window_start / rate, part.window_end / rate)
    )


def _panel(
    known: Known, made: _Made | None = None, entry: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the panel shows: the words, the sound before, and after where something was edited."""
    words = [
        {
            "text": word.text,
            "start": round(word.start, 3),
            "end": round(word.end, 3),
            "confidence": round(word.confidence, 3),
        }
        for word in known.words
    ]
    told: dict[str, Any] = {"words": words, "why": shown(known.why), "after": None}
    before = known.recording
    if made is None or entry is None:
        return told | {"before": _heard(before, 0, before.samples.shape[1])}
    part, longer = made.part, made.recording.samples.shape[1] - before.samples.shape[1]
    after = _heard(made.recording, part.window_start, part.window_end + longer)
    after |= {"range": entry["changed"], "start": entry["start"], "end": entry["end"]}
    after["lost"] = None if made.lost is None else list(made.lost)
    chosen = made.rounds.rounds[made.rounds.best_number]
    after["score"] = None if chosen.score is None else round(chosen.score, 3)
    after["notes"] = [*made.rounds.warnings, *chosen.notes, *filter(None, [made.note])]
    return told | {"before": _heard(before, part.window_start, part.window_end), "after": after}


def _heard(recording: Recording, first: int, end: int) -> dict[str, Any]:
    """A recording as a file for the browser, and how loud its samples first to end are."""
    from ..stepedit_core.measure.listening import loudness_db

    loudness = loudness_db(recording.clip(first, end))
    file, unplayable = sound.preview_if_possible(recording.clip())
    return {
        "file": file,
        "seconds": recording.seconds,
        "loudness": None if loudness is None else round(loudness, 2),
        "unplayable": unplayable,
    }
