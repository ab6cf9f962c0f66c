"""A long recording piece by piece: borders in pauses, pieces kept, failures noted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stepedit_core.audio.patches import Patch
from stepedit_core.audio.recording_files import open_recording, parts_of
from stepedit_core.audio.recordings import read_recording, write_recording
from stepedit_core.measure.timeline import Word
from stepedit_core.pipelines import long_edit
from stepedit_core.pipelines.long_edit import LongEdit, edit_long, edit_long_file, pieces_of
from stepedit_core.pipelines.long_result import loudness_of
from stepedit_core.registry.handle import Bundle
from stepedit_core.types import Decoding, EditRequest, EditResult, Round, SilentHooks
from tests.unit.pipelines.test_range_edit import changed, stereo

HAPPY = EditRequest(kind="emotion", option="happy")
WORDS = tuple(Word(f"word{n}", n + 0.2, n + 0.8, 1.0) for n in range(25))
SETTINGS = {"decoding": Decoding(way="difference", steps=1)}


def answered(calls: list[str], fail: str = "") -> object:
    """An `iterate` whose answer is the source with other semantic codes, without a model."""
    real = long_edit.iterate

    def iterate(bundle: Bundle, clip: object, plan: object, *, hooks: object) -> EditResult:
        still = replace(plan, decoding=replace(SETTINGS["decoding"], strength=0.0))  # type: ignore[type-var]
        text = plan.requests[0].text  # type: ignore[attr-defined]
        calls.append(text)
        if fail and fail in text:
            raise ValueError("the answer is not usable. Try another seed.")
        first = real(bundle, clip, still, hooks=SilentHooks()).rounds[0]  # type: ignore[arg-type]
        made: Round = replace(first, codes=changed(first.codes, 0, first.codes.groups))
        return EditResult(rounds=(first, made), best_number=1)

    return iterate


def test_pieces_are_the_recording_and_end_in_pauses() -> None:
    recording = stereo(61.0, 8_000)
    pieces = list(pieces_of(recording))
    assert [a for a, _ in pieces] == [0, *(b for _, b in pieces[:-1])]
    assert pieces[-1][1] == recording.samples.shape[1]
    assert all(b - a <= 80_000 for a, b in pieces)
    for _, end in pieces[:-1]:
        assert abs((end / 8_000 + 0.5) % 1.0 - 0.5) < 0.06


def test_every_piece_is_edited_once_and_kept_for_the_next_run(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = stereo(25.0, 16_000)
    calls: list[str] = []
    monkeypatch.setattr(long_edit, "iterate", answered(calls))
    first = edit_long(bundle, recording, WORDS, LongEdit(HAPPY, SETTINGS, tmp_path))
    count = len(first.pieces)
    assert count >= 3
    assert " ".join(calls) == " ".join(word.text for word in WORDS)
    assert not torch.equal(first.recording.samples, recording.samples)
    assert [piece.round for piece in first.pieces] == [1] * count
    again = edit_long(bundle, recording, WORDS, LongEdit(HAPPY, SETTINGS, tmp_path))
    assert len(calls) == count
    assert all(piece.kept for piece in again.pieces)
    assert torch.equal(again.recording.samples, first.recording.samples)
    # one other word is one other piece
    other = (*WORDS[:2], replace(WORDS[2], text="else"), *WORDS[3:])
    edit_long(bundle, recording, other, LongEdit(HAPPY, SETTINGS, tmp_path))
    assert len(calls) == count + 1


def test_a_damaged_piece_is_made_again(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = stereo(9.0, 16_000)
    calls: list[str] = []
    monkeypatch.setattr(long_edit, "iterate", answered(calls))
    first = edit_long(bundle, recording, WORDS, LongEdit(HAPPY, SETTINGS, tmp_path))
    for path in tmp_path.iterdir():
        path.write_bytes(b"half a file")
    again = edit_long(bundle, recording, WORDS, LongEdit(HAPPY, SETTINGS, tmp_path))
    assert len(calls) == 2
    assert torch.equal(again.recording.samples, first.recording.samples)


def test_a_piece_that_fails_stays_as_recorded_and_says_why(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = stereo(25.0, 16_000)
    monkeypatch.setattr(long_edit, "iterate", answered([], fail="word0"))
    out = edit_long(bundle, recording, WORDS, LongEdit(HAPPY, SETTINGS))
    failed = out.pieces[0]
    assert "Try another seed" in failed.note
    assert failed.round == 0
    end = round(failed.end * 16_000)
    assert torch.equal(out.recording.samples[:, :end], recording.samples[:, :end])


def test_silence_and_pieces_without_words_stay(bundle: Bundle) -> None:
    recording = stereo(9.0, 16_000)
    out = edit_long(bundle, recording, (), LongEdit(HAPPY, SETTINGS))
    assert out.pieces[0].note == "No word was heard in it."
    silent = replace(recording, samples=torch.zeros_like(recording.samples))
    assert "silent" in edit_long(bundle, silent, WORDS, LongEdit(HAPPY)).pieces[0].note
    with pytest.raises(ValueError, match="Edit the whole clip"):
        edit_long(bundle, recording, WORDS, LongEdit(EditRequest(kind="denoise")))


def test_an_edit_that_the_model_does_not_make_stops_before_the_first_piece(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(long_edit, "iterate", answered(calls))
    recording = stereo(25.0, 16_000)
    with pytest.raises(ValueError, match="emotion option is 'odd'"):
        edit_long(bundle, recording, WORDS, LongEdit(EditRequest(kind="emotion", option="odd")))
    sound = EditRequest(kind="sounds", new_text="word0 [Laughter]")
    with pytest.raises(ValueError, match="edited by emotion, style or speed"):
        edit_long(bundle, recording, WORDS, LongEdit(sound))
    assert not calls


def test_a_result_in_which_nothing_changed_says_why(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = stereo(25.0, 16_000)
    nothing = edit_long(bundle, recording, (), LongEdit(HAPPY, SETTINGS))
    with pytest.raises(ValueError, match=r"none of \d pieces was edited; .* No word was heard"):
        nothing.check_edited()
    monkeypatch.setattr(long_edit, "iterate", answered([], fail="word0"))
    edit_long(bundle, recording, WORDS, LongEdit(HAPPY, SETTINGS)).check_edited()


def test_a_file_gives_the_samples_of_memory_also_after_a_stop(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = stereo(25.0, 16_000)
    path, kept = tmp_path / "in.wav", tmp_path / "kept"
    write_recording(path, recording)
    kept.mkdir()
    calls: list[str] = []
    monkeypatch.setattr(long_edit, "iterate", answered(calls))
    memory = edit_long(bundle, recording, WORDS, LongEdit(HAPPY, SETTINGS))
    count = len(calls)

    class Stop(Exception):
        pass

    class Hooks(SilentHooks):
        def progress(self, stage: str, done: int, total: int) -> None:
            if done == 2:
                raise Stop

    with open_recording(path) as source:
        how = LongEdit(HAPPY, SETTINGS, kept, Hooks())
        with pytest.raises(Stop):
            edit_long_file(bundle, source, tmp_path / "out.wav", WORDS, how)
        assert not (tmp_path / "out.wav").exists()
        how = LongEdit(HAPPY, SETTINGS, kept)
        notes = edit_long_file(bundle, source, tmp_path / "out.wav", WORDS, how)
    assert len(calls) == 2 * count
    assert [note.kept for note in notes] == [n < 2 for n in range(count)]
    assert [replace(note, kept=False) for note in notes] == list(memory.pieces)
    assert torch.equal(read_recording(tmp_path / "out.wav").samples, memory.recording.samples)


def test_a_piece_that_the_edit_leaves_alone_is_remembered_too(
    bundle: Bundle, tmp_path: Path
) -> None:
    recording = stereo(9.0, 16_000)
    still = {"decoding": Decoding(way="difference", steps=1, strength=0.0)}
    for again in (False, True):
        made = edit_long(bundle, recording, WORDS, LongEdit(HAPPY, still, tmp_path))
        assert [piece.kept for piece in made.pieces] == [again]
        assert torch.equal(made.recording.samples, recording.samples)


@pytest.mark.parametrize("option", ["happy", "whisper"])
def test_the_whole_stays_as_loud_unless_the_edit_is_meant_to_change_it(
    bundle: Bundle, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = stereo(9.0, 16_000)
    real = long_edit.patch_of

    def quieter(*given: object, **named: object) -> Patch:
        patch = real(*given, **named)  # type: ignore[arg-type]
        return replace(patch, samples=(0.4 * patch.samples.double()).to(patch.samples.dtype))

    monkeypatch.setattr(long_edit, "iterate", answered([]))
    monkeypatch.setattr(long_edit, "patch_of", quieter)
    kind = "emotion" if option == "happy" else "style"
    request = EditRequest(kind=kind, option=option)
    made = edit_long(bundle, recording, WORDS, LongEdit(request, SETTINGS))
    before, after = (loudness_of(r, parts_of(r, 0, r.length)) for r in (recording, made.recording))
    assert before is not None
    assert after is not None
    assert (abs(before - after) <= 1) == (option == "happy")
    assert (made.gain > 1.5) == (option == "happy")


def test_no_border_lies_inside_a_word() -> None:
    recording = stereo(61.0, 8_000)
    # words over the pauses, touching at the half seconds
    words = [Word(str(n), n - 0.5, n + 0.5, 1.0) for n in range(1, 61)]
    for _, end in list(pieces_of(recording, words))[:-1]:
        assert end / 8_000 % 1 == 0.5
