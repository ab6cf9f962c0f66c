"""An edit of a recording of any length: piece by piece, pauses and all that is not speech kept.

The recording is cut where it is quiet into pieces of 5 to 10 s, never longer than every model does
well. Each piece is edited as a part of the recording (`range_edit.py`) with the same settings and
seed; what prompts the decoder is the piece itself, so the voice does not drift from one to the
next. The pauses between are the recording's own samples.

A finished piece is kept in a folder under the digest of everything that decides its samples, so a
run that was stopped resumes, and one that changes a word makes one piece anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..audio.clips import SHORTEST_S, SILENCE_PEAK
from ..audio.patches import Patch, patched
from ..audio.recordings import Recording, read_recording, write_recording
from ..measure.timeline import Word, words_between
from ..printable import shown
from ..registry.handle import Bundle
from ..types import EditRequest, Hooks, SilentHooks
from .inside import AROUND_S, Part
from .plan import Plan, check_request, make_plan
from .range_edit import check_keeps, patch_of, quietest
from .rounds import iterate

PIECE_S = 10.0
"""Longest piece."""
STAGE = "piece"
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PieceNote:
    """What was done with one piece."""

    start: float
    """Seconds from the beginning of the recording."""
    end: float
    text: str
    round: int
    """The round that was taken; 0 where the piece stays as recorded."""
    kept: bool
    """Whether an earlier run had made it."""
    note: str = ""
    """Why the piece stays as recorded."""

    @property
    def what(self) -> str:
        """What was done, in a few words, or why nothing was."""
        return self.note or ("kept" if self.kept else "edited")


@dataclass(frozen=True, kw_only=True)
class LongResult:
    """A whole recording after an edit."""

    recording: Recording
    pieces: tuple[PieceNote, ...]

    def check_edited(self) -> None:
        """Raise ValueError where every piece stays as recorded."""
        if not any(piece.round for piece in self.pieces):
            raise ValueError(
                f"none of {len(self.pieces)} pieces was edited; of the first is said: "
                f"{shown(self.pieces[0].note or 'no round changed it')} Change that and run again."
            )


def pieces_of(recording: Recording) -> Iterator[tuple[int, int]]:
    """First and one-past-last sample of each piece, in order; together they are the recording.

    A piece of more than 10 s ends at its quietest 0.2 s between 5 and 10 s.
    """
    rate, length = recording.sample_rate, recording.samples.shape[1]
    most, first = round(PIECE_S * rate), 0
    while length - first > most:
        squares = recording.clip(first + most // 2, first + most).wave.double().square().numpy()
        end = first + most // 2 + quietest(squares, rate)
        yield first, end
        first = end
    yield first, length


@dataclass(frozen=True)
class LongEdit:
    """What all pieces share."""

    request: EditRequest
    """An edit that keeps the words; its own text is not read."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the plan: rounds, seed, sampling, decoding."""
    kept: Path | None = None
    """Folder for finished pieces; None keeps none."""
    hooks: Hooks = field(default_factory=SilentHooks)
    """Progress, counted in pieces, and cancelling."""


def edit_long(
    bundle: Bundle,
    recording: Recording,
    words: Sequence[Word],
    how: LongEdit,
) -> LongResult:
    """The recording with every piece of speech edited.

    Args:
        bundle: the model.
        recording: of any length.
        words: its words with their times, for the pieces' transcripts.
        how: the edit, and what watches it.

    A piece whose answer cannot be put in stays as recorded, and its note says why. Raises
    ValueError for an edit that keeps no recording or that the model does not make.
    """
    check_keeps(how.request)
    if how.request.new_text:
        raise ValueError(
            f"{shown(how.request.label)} stands at a place of its text; all of a long recording is "
            "edited by emotion, style or speed. Edit a range of it, or choose one of these."
        )
    rate, borders = recording.sample_rate, list(pieces_of(recording))
    said = [words_between(words, first / rate, end / rate) for first, end in borders]
    if some := next(filter(None, said), ""):
        check_request(bundle, replace(how.request, text=some))
    patches: list[Patch] = []
    notes: list[PieceNote] = []
    for number, (first, end) in enumerate(borders):
        part = Part(start=first, end=end, window_start=first, window_end=end)
        patch, note = _edited(bundle, recording, part, said[number], how)
        notes.append(note)
        if patch is not None:
            patches.append(patch)
        how.hooks.progress(STAGE, number + 1, len(borders))
    return LongResult(recording=patched(recording, patches), pieces=tuple(notes))


class OnlyChecks(SilentHooks):
    """Asks whether the run is cancelled and reports nothing: the bar counts pieces."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    def check(self) -> None:
        """Ask."""
        self._hooks.check()


def _edited(
    bundle: Bundle, recording: Recording, part: Part, text: str, how: LongEdit
) -> tuple[Patch | None, PieceNote]:
    """What a piece becomes, None where it stays, and the note on it."""
    rate = recording.sample_rate
    note = PieceNote(start=part.start / rate, end=part.end / rate, text=text, round=0, kept=False)
    clip = recording.clip(part.start, part.end)
    if clip.seconds < SHORTEST_S or float(clip.wave.abs().max()) < SILENCE_PEAK:
        return None, replace(note, note="It is silent or very short.")
    if not text:
        return None, replace(note, note="No word was heard in it.")
    try:
        plan = make_plan(bundle, clip, [replace(how.request, text=text)], **how.settings)
        name = _digest(bundle, recording, part, plan)
        found = None if how.kept is None else _recalled(how.kept, name, part)
        if found is not None:
            return found[0], replace(note, round=found[1], kept=True)
        result = iterate(bundle, clip, plan, hooks=OnlyChecks(how.hooks))
        number = result.best_number
        patch = patch_of(bundle, recording, part, plan, result, number=number)
    except ValueError as error:
        log.warning("%.1f to %.1f s stay as recorded: %s", note.start, note.end, shown(error))
        return None, replace(note, note=str(error))
    if how.kept is not None and patch.samples.shape[1]:
        places = f"{number}.{patch.start - part.start}.{patch.stop - part.start}"
        write_recording(
            how.kept / f"{name}.{places}.wav", replace(recording, samples=patch.samples)
        )
    return patch, replace(note, round=number)


def _recalled(kept: Path, name: str, part: Part) -> tuple[Patch, int] | None:
    """A piece of an earlier run and its round; None where there is none that can be read."""
    for path in kept.glob(f"{name}.*.wav"):
        try:
            number, start, stop = (int(text) for text in path.name.split(".")[1:4])
            samples = read_recording(path).samples
        except ValueError:
            continue  # damaged: it is made again
        return Patch(start=part.start + start, stop=part.start + stop, samples=samples), number
    return None


def _digest(bundle: Bundle, recording: Recording, part: Part, plan: Plan) -> str:
    """Name of everything that decides the samples of a piece."""
    around = round(AROUND_S * recording.sample_rate)
    near = recording.samples[:, max(0, part.start - around) : part.end + around].contiguous()
    digest = hashlib.sha256(near.numpy().tobytes())
    facts = [bundle.sha256, recording.sample_rate, recording.subtype, plan.as_json()]
    digest.update(json.dumps(facts, sort_keys=True, allow_nan=False).encode())
    return digest.hexdigest()
