"""An edit of a recording of any length: piece by piece, pauses and all that is not speech kept.

The recording is cut where it is quiet into pieces of 5 to 10 s, never longer than every model does
well. Each piece is edited as a part of the recording (`range_edit.py`) with the same settings and
seed; what prompts the decoder is the piece itself, so the voice does not drift from one to the
next. The pauses between are the recording's own samples. The loudness of the whole is kept
(`long_result.py`). A recording may lie in a file: then one piece at a time is in memory.

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

import torch

from ..audio.clips import SHORTEST_S, SILENCE_PEAK
from ..audio.patches import Patch
from ..audio.recording_files import RecordingFile, write_parts
from ..audio.recordings import Recording, Source, read_recording, write_recording
from ..files.whole import write_whole
from ..measure.pieces import Mixed, quiet_pieces
from ..measure.timeline import Word, words_between
from ..printable import shown
from ..registry.handle import Bundle
from ..types import Decoding, EditRequest, Hooks, SilentHooks
from .inside import AROUND_S, Part
from .long_result import LatePatch, kept_loudness, late, nothing, result_parts
from .makers import check_strength, needs_words
from .plan import Plan, check_request, make_plan
from .range_edit import check_keeps, patch_of
from .rounds import iterate

PIECE_S = 10.0
"""Longest piece."""
STAGE = "piece"
SILENT, UNHEARD = "It is silent or very short.", "No word was heard in it."
NO_ROUND = "No round of it keeps its words and its voice."
"""Why a piece is not edited."""
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


COLUMNS = ("from", "to", "round", "what was done")
"""Of the table of pieces."""


def piece_rows(pieces: Sequence[PieceNote]) -> list[tuple[str, ...]]:
    """Cells of the table, a row for each piece."""
    return [(f"{p.start:.1f}", f"{p.end:.1f}", str(p.round), p.what) for p in pieces]


@dataclass(frozen=True, kw_only=True)
class LongResult:
    """A whole recording after an edit."""

    recording: Recording
    pieces: tuple[PieceNote, ...]
    gain: float = 1.0
    """Factor on all edited pieces, which keeps the loudness of the whole."""

    def check_edited(self) -> None:
        """Raise ValueError where every piece stays as recorded."""
        if not any(piece.round for piece in self.pieces):
            raise ValueError(
                f"none of {len(self.pieces)} pieces was edited; of the first is said: "
                f"{shown(self.pieces[0].note or 'no round changed it')} Change that and run again."
            )


def pieces_of(source: Source, words: Sequence[Word] = ()) -> Iterator[tuple[int, int]]:
    """First and one-past-last sample of each piece, as quiet_pieces cuts them."""
    return quiet_pieces(Mixed(source), source.sample_rate, PIECE_S, words)


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
        words: its words with their times, for the pieces' transcripts; an edit by signal processing
            needs none.
        how: the edit, and what watches it.

    A piece whose answer cannot be put in stays as recorded, and its note says why. Raises
    ValueError for an edit that keeps no recording or that the model does not make.
    """
    made = list(edited_pieces(bundle, recording, words, how))
    patches = [piece.patch for piece in made if piece.patch is not None]
    gain = kept_loudness(recording, patches, how.request)
    samples = torch.cat(list(result_parts(recording, patches, gain)), dim=1)
    return LongResult(
        recording=replace(recording, samples=samples),
        pieces=tuple(piece.note for piece in made),
        gain=gain,
    )


def edit_long_file(
    bundle: Bundle, source: RecordingFile, out: Path, words: Sequence[Word], how: LongEdit
) -> tuple[PieceNote, ...]:
    """As edit_long, from a file to a file, with one piece at a time in memory.

    `how.kept` is needed: the finished pieces lie there until all are made.
    """
    if how.kept is None:
        raise ValueError("finished pieces need a folder; none was given. Name one as `kept`.")
    notes, patches = [], []
    for piece in edited_pieces(bundle, source, words, how):
        notes.append(piece.note)
        if piece.patch is not None:
            patches.append(piece.patch.kept_in(piece.file))
    gain = kept_loudness(source, patches, how.request)
    write_parts(out, source, lambda: result_parts(source, patches, gain))
    return tuple(notes)


@dataclass(frozen=True, kw_only=True)
class MadePiece:
    """A piece as soon as it is finished."""

    note: PieceNote
    patch: LatePatch | None
    """New samples; None where the piece stays as recorded."""
    file: Path | None = None
    """Where its samples are kept."""


def edited_pieces(
    bundle: Bundle, source: Source, words: Sequence[Word], how: LongEdit
) -> Iterator[MadePiece]:
    """Every piece of a recording in order; raises as edit_long."""
    check_keeps(how.request)
    check_strength(bundle, [how.request], how.settings.get("decoding") or Decoding())
    if how.request.new_text:
        raise ValueError(
            f"{shown(how.request.label)} stands at a place of its text; all of a long recording is "
            "edited by emotion, style or speed. Edit a range of it, or choose one of these."
        )
    rate, borders = source.sample_rate, list(pieces_of(source, words))
    said = [words_between(words, first / rate, end / rate) for first, end in borders]
    some = next(filter(None, said), "")
    if some or not needs_words(bundle, [how.request]):
        check_request(bundle, replace(how.request, text=some))
    around = round(AROUND_S * rate)
    for number, (first, end) in enumerate(borders):
        begin = max(0, first - around)
        near = source.part(begin, min(end + around, source.length))
        part = Part(
            start=first - begin,
            end=end - begin,
            window_start=first - begin,
            window_end=end - begin,
        )
        made = _edited(bundle, near, part, said[number], how)
        moved = replace(made.note, start=first / rate, end=end / rate)
        if moved.note not in ("", SILENT, UNHEARD):
            why = shown(moved.note)
            log.warning("%.1f to %.1f s stay as recorded: %s", moved.start, moved.end, why)
        yield replace(
            made, note=moved, patch=None if made.patch is None else made.patch.moved(begin)
        )
        how.hooks.progress(STAGE, number + 1, len(borders))


class OnlyChecks(SilentHooks):
    """Asks whether the run is cancelled and reports nothing: the bar counts pieces."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    def check(self) -> None:
        """Ask."""
        self._hooks.check()


def _edited(bundle: Bundle, near: Recording, part: Part, text: str, how: LongEdit) -> MadePiece:
    """What a piece becomes, with places within what is near it."""
    note = PieceNote(start=0, end=0, text=text, round=0, kept=False)
    clip = near.clip(part.start, part.end)
    if clip.seconds < SHORTEST_S or float(clip.wave.abs().max()) < SILENCE_PEAK:
        return MadePiece(note=replace(note, note=SILENT), patch=None)
    if not text and needs_words(bundle, [how.request]):
        return MadePiece(note=replace(note, note=UNHEARD), patch=None)
    try:
        plan = make_plan(bundle, clip, [replace(how.request, text=text)], **how.settings)
        name = _digest(bundle, near, plan)
        found = None if how.kept is None else _recalled(how.kept, name)
        if found is not None:
            kept = replace(note, round=found[0], kept=True, note="" if found[0] else NO_ROUND)
            return MadePiece(note=kept, patch=found[1], file=found[2])
        result = iterate(bundle, clip, plan, hooks=OnlyChecks(how.hooks))
        number = result.best_number
        patch = late(patch_of(bundle, near, part, plan, result, number=number))
    except ValueError as error:
        return MadePiece(note=replace(note, note=str(error)), patch=None)
    file: Path | None = None
    if how.kept is not None:
        file = how.kept / f"{name}.{number}.{patch.start}.{patch.stop}.wav"
        if patch.count:
            write_recording(file, replace(near, samples=patch.load()))
        else:
            write_whole(file, b"")
    note = replace(note, round=number, note="" if number else NO_ROUND)
    return MadePiece(note=note, patch=patch, file=file)


def _recalled(kept: Path, name: str) -> tuple[int, LatePatch, Path] | None:
    """Round, patch and file of a piece of an earlier run; None where none can be read."""
    for path in kept.glob(f"{name}.*.wav"):
        try:
            number, start, stop = (int(text) for text in path.name.split(".")[1:4])
            if start == stop and not path.stat().st_size:
                return number, LatePatch(start=start, stop=stop, count=0, load=nothing), path
            samples = read_recording(path).samples
        except (ValueError, OSError):
            continue  # damaged: it is made again
        return number, late(Patch(start=start, stop=stop, samples=samples)), path
    return None


def _digest(bundle: Bundle, near: Recording, plan: Plan) -> str:
    """Name of everything that decides the samples of a piece."""
    digest = hashlib.sha256(near.samples.contiguous().numpy().tobytes())
    facts = [bundle.sha256, near.sample_rate, near.subtype, plan.as_json()]
    digest.update(json.dumps(facts, sort_keys=True, allow_nan=False).encode())
    return digest.hexdigest()
