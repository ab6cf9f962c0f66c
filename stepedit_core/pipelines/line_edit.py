"""One line of a script: its edits in the order that hurts least, then its length.

Sounds come first, then style, emotion and speed, last noise and pauses; so each edit hears speech
that the later ones have not changed yet. A whisper by signal processing comes after emotion. Edits
with a range of their own come before those of the whole clip, which move the times of the ranges.
Neighbours of the whole clip with equal rounds and strength are one plan, so codes travel between
them (decision 0003); other steps hear the sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import torch

from ..audio.channels import mixed
from ..audio.clips import LONGEST_S, float_samples, samples_as
from ..audio.recordings import Recording
from ..audio.resample import resample
from ..measure.given_words import phrase_said
from ..measure.timeline import Recogniser, Word, find_phrase, words_between
from ..printable import shown
from ..registry.handle import Bundle
from ..signal.fit import fit_slot
from ..text.engines import engine_of, whispers
from ..text.units import bare, split_words
from ..types import Clip, Decoding, EditRequest, EditResult, Hooks, SilentHooks
from .listened import Listened, compared
from .long_edit import LongEdit, OnlyChecks, edit_long
from .makers import needs_words, vocabulary_of
from .plan import ANY_WORDS, Plan, check_request, make_plan
from .range_edit import check_keeps, edit_range, part_of
from .rounds import iterate
from .script_lines import ScriptEdit, ScriptLine, check_apart
from .settings import by_strength
from .verdict import holds

ORDER = ("sounds", "style", "emotion", "speed", "denoise", "trim_silence")
"""Kinds in the order in which they are made."""
NOTHING_HEARS = (
    "words have to be found in the sound, and nothing can hear them. Name the folder of a "
    "faster-whisper model (--recogniser, or $STEPEDIT_RECOGNISER), or give ranges in seconds of "
    "clips of up to 10 s."
)
LEAST_POWER = 1e-9
"""Below it a recording is silent and all channels are alike."""


@dataclass(frozen=True, kw_only=True)
class StepDone:
    """One step of a line: an edit of a range, or edits of the whole clip."""

    edits: tuple[ScriptEdit, ...]
    plan: Plan | None
    """None for a clip of more than 30 s, whose pieces have plans of their own."""
    rounds: EditResult | None
    best: int = 0
    """Number of the round that was taken, of pieces the highest; 0 where all stays as recorded."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LineDone:
    """What a line became."""

    recording: Recording
    """At the rate, with the channels and in the type of the line's recording."""
    text: str
    """Words of the result, as far as known."""
    heard: str | None = None
    """What was heard in the clip before; None where nothing listened."""
    steps: tuple[StepDone, ...] = ()
    tempo: float = 1.0
    """Of the fit to its length; 1 where it was not changed."""
    notes: tuple[str, ...] = ()
    """What a listener should know, a sentence each."""

    @property
    def holds(self) -> bool:
        """Whether each step took a round, and its words and voice hold."""
        return all(holds(step.rounds.rounds, step.best) for step in self.steps if step.rounds)

    @property
    def as_recorded(self) -> bool:
        """Whether the result is the clip itself: no round of any step was taken."""
        return bool(self.steps) and self.tempo == 1 and not any(step.best for step in self.steps)


@dataclass(frozen=True, kw_only=True)
class LineTools:
    """What the lines of a run share."""

    bundle: Bundle
    ears: Recogniser | None = None
    """None where nothing can hear."""
    seed: int = 0
    """Of lines without a seed."""
    hooks: Hooks = field(default_factory=SilentHooks)


def check_line(bundle: Bundle, line: ScriptLine) -> None:
    """Raise ValueError for an edit of a line that the bundle cannot make."""
    for edit in line.edits:
        request = edit.request(line.text.strip() or ANY_WORDS)
        check_request(bundle, request)
        if edit.ranged:
            check_keeps(request)


def edit_line(tools: LineTools, line: ScriptLine, recording: Recording) -> LineDone:
    """The recording, which is the line's clip, after all of its edits.

    Raises ValueError for whatever cannot be done.
    """
    check_line(tools.bundle, line)
    state = _State(tools, line, recording, _words(tools, line, recording))
    ordered = sorted(line.edits, key=lambda edit: _place(tools.bundle, edit))
    state.ranges([edit for edit in ordered if edit.ranged])
    for together in _runs([edit for edit in ordered if not edit.ranged]):
        state.whole(together)
    tempo = 1.0
    if line.fit:
        fitted = fit_slot(state.recording, line.fit)
        state.recording, tempo = fitted.recording, fitted.tempo
        if fitted.by_speed:
            state.notes.append(
                f"to last {line.fit:g} s its speed was changed by the factor {tempo:.2f}."
            )
    return LineDone(
        recording=state.recording,
        text=state.text,
        heard=None if state.found is None else state.found.heard,
        steps=tuple(state.steps),
        tempo=tempo,
        notes=tuple(state.notes),
    )


def _place(bundle: Bundle, edit: ScriptEdit) -> float:
    """Where an edit comes among those of its line."""
    request = edit.request(ANY_WORDS)
    request = replace(request, engine=engine_of(request, vocabulary_of(bundle)))
    return ORDER.index("emotion") + 0.5 if whispers(request) else ORDER.index(edit.kind)


def _words(tools: LineTools, line: ScriptLine, recording: Recording) -> Listened | None:
    """The words of the clip where an edit needs them; None where nothing listens."""
    requests = [edit.request(line.text) for edit in line.edits]
    ranged = any(edit.ranged for edit in line.edits)
    if not ranged and not needs_words(tools.bundle, requests):
        return None
    if tools.ears is None:
        return None
    return compared(tools.ears, recording.clip(), line.text)


def _runs(edits: Sequence[ScriptEdit]) -> list[list[ScriptEdit]]:
    """Neighbours with equal rounds and strength together."""
    made: list[list[ScriptEdit]] = []
    for edit in edits:
        same = made and (made[-1][-1].rounds, made[-1][-1].strength) == (edit.rounds, edit.strength)
        if same:
            made[-1].append(edit)
        else:
            made.append([edit])
    return made


class _State:
    """The clip of a line on its way through the edits."""

    def __init__(
        self, tools: LineTools, line: ScriptLine, recording: Recording, found: Listened | None
    ) -> None:
        self.tools, self.line, self.recording, self.found = tools, line, recording, found
        self.text = line.text.strip() if found is None else found.text
        self.notes: list[str] = list(found.notes) if found else []
        self.steps: list[StepDone] = []
        self._quiet = OnlyChecks(tools.hooks)

    def _settings(self, edit: ScriptEdit, decoding: Decoding) -> dict[str, Any]:
        seed = self.tools.seed if self.line.seed is None else self.line.seed
        return {"rounds": edit.rounds, "seed": seed, "decoding": decoding}

    def _of_a_part(self, edit: ScriptEdit) -> dict[str, Any]:
        return self._settings(edit, Decoding(way="difference", strength=edit.strength))

    def ranges(self, edits: Sequence[ScriptEdit]) -> None:
        """Edits of parts, each found in the clip before any of them was made."""
        if not edits:
            return
        words = self._timeline()
        spans = [self._span(edit, words) for edit in edits]
        for (_, end), (start, _) in pairwise(sorted(spans)):
            check_apart(end, start, f"line '{self.line.id}'")
        moved = _Moved()
        for edit, span in zip(edits, spans, strict=True):
            before = self.recording.seconds
            self._range(edit, moved.span(span), moved.words(words))
            moved.add(span[1], self.recording.seconds - before)

    def _timeline(self) -> tuple[Word, ...]:
        """The words of the clip with their times; empty where nothing can hear."""
        if self.tools.ears is None:
            return ()
        return self.tools.ears.align(self.recording.clip(), self.text)

    def _span(self, edit: ScriptEdit, words: Sequence[Word]) -> tuple[float, float]:
        """Seconds of an edit's range."""
        if edit.start is not None and edit.end is not None:
            return edit.start, edit.end
        if self.tools.ears is None:
            raise ValueError(NOTHING_HEARS)
        unfit = [] if self.found is None else [bare(word) for word in self.found.unfit]
        if any(bare(word) in unfit for word in split_words(edit.words)):
            raise ValueError(phrase_said(edit.words))
        return find_phrase(words, edit.words)

    def _range(self, edit: ScriptEdit, span: tuple[float, float], words: Sequence[Word]) -> None:
        """One part; `words` have the times of the clip as it is now."""
        part = part_of(self.recording, *span)
        rate, text = self.recording.sample_rate, self.text
        if part.window_end - part.window_start < self.recording.samples.shape[1]:
            if self.tools.ears is None:
                raise ValueError(NOTHING_HEARS)
            text = words_between(words, part.window_start / rate, part.window_end / rate)
        made = edit_range(
            self.tools.bundle,
            self.recording,
            part,
            [edit.request(text)],
            settings=self._of_a_part(edit),
            hooks=self._quiet,
        )
        self.recording = made.recording
        self._done(StepDone(edits=(edit,), plan=made.plan, rounds=made.rounds, best=made.number))
        if made.note:
            self.notes.append(f"{shown(f'{edit.kind} {edit.option}')}: {made.note}")

    def whole(self, edits: Sequence[ScriptEdit]) -> None:
        """Edits of the whole clip by one plan."""
        bundle = self.tools.bundle
        requests = [edit.request(self.text) for edit in edits]
        settings = self._settings(edits[0], by_strength(edits[0].strength))
        if self.recording.seconds > LONGEST_S:
            for request in requests:
                self._long(request, edits[0])
            return
        clip = self.recording.clip()
        plan = make_plan(bundle, clip, requests, **settings)
        made = iterate(bundle, clip, plan, hooks=self._quiet)
        self.recording = like_recording(made.best.clip, self.recording)
        self.text = made.best.text or self.text
        self._done(StepDone(edits=tuple(edits), plan=plan, rounds=made, best=made.best_number))

    def _long(self, request: EditRequest, edit: ScriptEdit) -> None:
        """An edit of a clip that is too long for one answer, piece by piece."""
        if self.tools.ears is None:
            raise ValueError(NOTHING_HEARS)
        how = LongEdit(request, self._of_a_part(edit), hooks=self._quiet)
        made = edit_long(self.tools.bundle, self.recording, self._timeline(), how)
        self.recording = made.recording
        notes = [
            f"{p.start:.1f} to {p.end:.1f} s stay as recorded: {p.note}"
            for p in made.pieces
            if p.note
        ]
        self.notes += notes
        best = max((piece.round for piece in made.pieces), default=0)
        step = StepDone(edits=(edit,), plan=None, rounds=None, best=best, notes=tuple(notes))
        self.steps.append(step)

    def _done(self, step: StepDone) -> None:
        """Keep what a step was, and what is wrong with the round that it took."""
        self.steps.append(step)
        if step.rounds is None:
            return
        asked = ", ".join(f"{edit.kind} {edit.option}".strip() for edit in step.edits)
        if not step.best:
            self.notes.append(f"{shown(asked)}: the clip stays as recorded.")
        elif step.plan is not None and step.best < len(step.plan.steps):
            taken = f"round {step.best} of {len(step.plan.steps)} was taken"
            self.notes.append(f"{shown(asked)}: {taken}; script.json has the figures of all.")
        self.notes += [f"{shown(asked)}: {warning}" for warning in step.rounds.warnings]
        self.notes += [f"{shown(asked)}: {note}" for note in step.rounds.rounds[step.best].notes]


class _Moved:
    """How far the times of a clip have moved after edits of some of its parts."""

    def __init__(self) -> None:
        self._shifts: list[tuple[float, float]] = []

    def add(self, since: float, by: float) -> None:
        """What was later than `since` in the first clip is `by` seconds later than before."""
        self._shifts.append((since, by))

    def now(self, time: float) -> float:
        """Where a time of the first clip is."""
        return time + sum(by for since, by in self._shifts if time >= since)

    def span(self, span: tuple[float, float]) -> tuple[float, float]:
        """A range of the first clip that no edit has touched."""
        start = self.now(span[0])
        return start, start + span[1] - span[0]

    def words(self, words: Sequence[Word]) -> list[Word]:
        """Words of the first clip at their times."""
        return [replace(w, start=self.now(w.start), end=self.now(w.end)) for w in words]


def like_recording(clip: Clip, recording: Recording) -> Recording:
    """A clip at the rate, with the channels and in the type of the recording that it comes from.

    Each channel gets the share that it has of the recording's mix.
    """
    wave = resample(clip.wave, clip.sample_rate, recording.sample_rate).double()
    old = float_samples(recording.samples)
    mono = mixed(old, recording.sample_rate).double()
    power = float(mono @ mono)
    if len(old) == 1 or power < LEAST_POWER:
        shares = torch.ones(len(old), dtype=torch.float64)
    else:
        shares = old.double() @ mono / power
    samples = samples_as(shares[:, None] * wave, recording.samples.dtype)
    return replace(recording, samples=samples)
