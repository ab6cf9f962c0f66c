"""The library: load, edit, edit_range, edit_long, remove_words, script, clone, run and others.

Each is a few lines over `pipelines/`; the command and the nodes take the same way, so the same seed
gives the same samples everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from .audio.recording_files import open_recording
from .audio.recordings import Recording, save_clip
from .calls import check_call, clip_of, recording_of, request_among
from .files.lock import locked
from .files.whole import ready_folder
from .measure.hearing import hear, hear_surely, sure_listener
from .measure.recognisers import recogniser_for
from .measure.timeline import Word
from .output.script import ScriptRun, run_script
from .pipelines import clone as cloning
from .pipelines import resynthesize as codec
from .pipelines.listened import noted
from .pipelines.long_edit import LongEdit, LongResult
from .pipelines.long_edit import edit_long as change_all
from .pipelines.makers import check_way, needs_words
from .pipelines.plan import (
    Plan,
    check_known,
    check_plan,
    facts_of,
    listened,
    make_plan,
    plan_from_json,
)
from .pipelines.range_edit import RangeResult, part_of
from .pipelines.range_edit import edit_range as change_range
from .pipelines.remove_words import Removal, RemovedWords, check_removal
from .pipelines.remove_words import remove_words as take_out
from .pipelines.replace_words import ReplacedWords, Replacement, check_clones
from .pipelines.replace_words import replace_words as say_instead
from .pipelines.rounds import iterate
from .pipelines.script_files import lines_of, read_script
from .pipelines.script_lines import Defaults, edits_of
from .pipelines.settings import check_seed
from .printable import quoted, shown
from .registry.handle import Bundle
from .registry.registry import Registry
from .text.edits import check_text
from .types import Clip, Decoding, EditResult, Hooks, Round, SilentHooks


def load(
    name_or_dir: str | Path = "nano",
    *,
    device: str | torch.device | None = None,
    precision: str = "auto",
    adapter: str | Path | None = None,
) -> Bundle:
    """A model by the name of its bundle, or by its folder; weights are read when first used.

    Two calls with equal arguments share the weights. Raises ValueError for an unknown or damaged
    bundle, device or precision.
    """
    return _registry().load(name_or_dir, device=device, precision=precision, adapter=adapter)


def edit(
    model: Bundle,
    clip: Clip | str | Path,
    *,
    text: str = "",
    recogniser: str | Path = "",
    hooks: Hooks | None = None,
    **what: Any,
) -> EditResult:
    """Rounds of one edit.

    Args:
        model: from `load`.
        clip: a recording of 0.5 to 30 s, or the path of one.
        text: its words; without them they are what the recogniser hears. denoise, trim_silence and
            the engine signal do without.
        recogniser: folder of a faster-whisper model; default: $STEPEDIT_RECOGNISER, or the model's
            own recogniser. It also checks a given text; notes of round 0 say what it found.
        hooks: progress and cancelling.
        what: one of emotion="happy", style="whisper", speed="faster", sounds="a [Laughter] here",
            denoise=True, trim_silence=True; for speed, denoise, trim_silence and style="whisper"
            engine="model" or "signal"; for speed="fit to seconds" the length seconds=3.2; beside
            it rounds, voice, seed, sampling, decoding (pipelines/plan.py).

    Raises ValueError for a bad clip, an edit the model does not know, or missing words.
    """
    check_call(model, hooks)
    request, settings = request_among(text, what)
    recording = clip_of(clip)
    found = listened(model, recording, [request], recogniser, hooks=hooks)
    request = request if found is None else replace(request, text=found.text)
    plan = make_plan(model, recording, [request], **settings)
    check_way(model, plan.requests, plan.decoding)
    made = iterate(model, recording, plan, hooks=hooks)
    return replace(made, rounds=(noted(made.rounds[0], found), *made.rounds[1:]))


def clone(
    model: Bundle,
    clip: Clip | str | Path,
    *,
    text: str,
    say: str,
    hooks: Hooks | None = None,
    **settings: Any,
) -> Round:
    """New words `say` in the voice of a clip whose words are `text`; settings as in `edit`."""
    check_call(model, hooks)
    recording = clip_of(clip)
    plan = cloning.clone_plan(model, recording, text, say, **settings)
    return cloning.clone(model, recording, plan, hooks=hooks)


def run(
    model: Bundle,
    clip: Clip | str | Path,
    plan: Plan | Mapping[str, Any],
    *,
    hooks: Hooks | None = None,
) -> EditResult:
    """The rounds of a plan, for example of the "plan" in a report that was read from its JSON.

    The same model, clip and plan give the same samples. Raises ValueError for a plan of another
    clip, or one that the model cannot do.
    """
    check_call(model, hooks)
    recording = clip_of(clip)
    plan = plan if isinstance(plan, Plan) else plan_from_json(plan)
    check_plan(model, plan)
    found = facts_of(recording)
    if found != plan.clip:
        raise ValueError(
            f"the clip has {found.samples} samples at {found.sample_rate} Hz with the digest "
            f"{found.sha256[:12]}; the plan was made for {plan.clip.samples} at "
            f"{plan.clip.sample_rate} Hz with {quoted(plan.clip.sha256[:12])}. Pass that clip, or "
            "make a plan of this one."
        )
    return iterate(model, recording, plan, hooks=hooks)


def transcribe(
    model: Bundle, clip: Recording | str | Path, *, text: str = "", recogniser: str | Path = ""
) -> tuple[Word, ...]:
    """The words of a recording of any length with their times in seconds.

    Args:
        model: from `load`; its recogniser hears, where it has one.
        clip: a path, or what `audio.recordings.read_recording` gives.
        text: the words where they are known: only their times are looked for.
        recogniser: folder of a faster-whisper model, which hears instead.

    Raises ValueError where nothing can hear, for a file that is not a recording, and where the
    recording cannot have these words; those that do not fit are logged.
    """
    check_call(model, None)
    check_text("the text", text)
    ears = recogniser_for(model, recogniser)
    with nullcontext(clip) if isinstance(clip, Recording) else open_recording(clip) as source:
        return hear_surely(ears, source, text) if text.strip() else hear(ears, source)


def edit_range(
    model: Bundle,
    clip: Recording | str | Path,
    start: float,
    end: float,
    *,
    text: str = "",
    **what: Any,
) -> RangeResult:
    """A recording of any length with an edit from second `start` to `end`, the rest untouched.

    Rate, channels and kind of samples stay the recording's; `text` are the words of the window
    around the range (`pipelines/range_edit.py`, part_of). The edit and its settings are given as to
    `edit`; `find_phrase` of measure/timeline.py finds the seconds of some words. Write the result
    with `audio.recordings.write_recording`.
    """
    check_call(model, None)
    request, settings = request_among(text, what)
    recording = recording_of(clip)
    settings = {"decoding": Decoding(way="difference"), **settings}
    part = part_of(recording, start, end)
    return change_range(model, recording, part, [request], settings=settings)


def edit_long(
    model: Bundle,
    clip: Recording | str | Path,
    *,
    text: str = "",
    recogniser: str | Path = "",
    kept: str | Path | None = None,
    **what: Any,
) -> LongResult:
    """A recording of any length with every piece of its speech edited, pauses and loudness kept.

    Args:
        model: from `load`.
        clip: a path, or what `audio.recordings.read_recording` gives.
        text: its words; without them they are what the recogniser hears. An edit by signal
            processing does without.
        recogniser: as of `edit`; it also finds when the words of `text` are said.
        kept: folder for finished pieces; a run that was stopped resumes from it, and a piece whose
            sound and words are as they were is not made again.
        what: the edit and its settings, as to `edit`: an emotion, a style or a speed; hooks count
            pieces.

    The whole result is in memory; `stepedit edit-long` goes from file to file. A piece that could
    not be edited stays as recorded, and its note in `pieces` says why. Raises ValueError for
    another edit, and where no words are given and none can be heard.
    """
    hooks = what.pop("hooks", None)
    check_call(model, hooks)
    request, settings = request_among("", what)
    recording = recording_of(clip)
    words: tuple[Word, ...] = ()
    if needs_words(model, [request], text):
        words = hear_surely(recogniser_for(model, recogniser, hooks=hooks), recording, text)
    settings = {"decoding": Decoding(way="difference"), **settings}
    folder = None if kept is None else Path(kept)
    if folder is not None:
        ready_folder(folder)
    how = LongEdit(request, settings, folder, hooks or SilentHooks())
    with nullcontext() if folder is None else locked(folder):
        return change_all(model, recording, words, how)


def script(
    model: Bundle,
    lines: str | Path | Sequence[Mapping[str, Any]],
    out: str | Path,
    *,
    recogniser: str | Path = "",
    hooks: Hooks | None = None,
    **more: Any,
) -> list[dict[str, Any]]:
    """Many lines into one folder, each a clip with its own edits; what was done with each.

    Args:
        model: from `load`.
        lines: a .csv, .jsonl or .srt file, or objects with the fields of ScriptLine
            (pipelines/script_lines.py); names of recordings begin at the file's folder, else here.
        out: folder for a WAV file of each line, <id>.wav, and script.json. What an older run made
            of lines that are the same stays as it is, byte for byte.
        recogniser: as of `edit`.
        hooks: progress in lines, and cancelling.
        more: seed=0; for lines that do not say otherwise edits="emotion:happy rounds=2",
            recording="in.wav", fit=3.2 or "slot" (as long as the line's range).

    A line that fails has its sentence under "error"; the others are made all the same. Raises
    ValueError for a file that is not a script and a folder that cannot be used.
    """
    check_call(model, hooks)
    if unknown := [name for name in more if name not in ("seed", "edits", "recording", "fit")]:
        raise ValueError(
            f"the setting {quoted(unknown[0])} is unknown; allowed are seed, edits, recording and "
            "fit. Give others with each edit, as 'emotion:happy rounds=2'."
        )
    seed = more.pop("seed", 0)
    check_seed(seed)
    edits = edits_of(more.pop("edits", ""), "the edits of all lines")
    defaults = Defaults(edits=edits, **more)
    if isinstance(lines, (str, Path)):
        read, base = read_script(Path(lines), defaults), Path(lines).parent
    else:
        read, base = lines_of(lines, defaults), Path()
    run = ScriptRun(bundle=model, base=base, seed=seed, recogniser=str(recogniser), hooks=hooks)
    return run_script(read, Path(out), run)


def remove_words(
    model: Bundle,
    clip: Recording | str | Path,
    *,
    text: str = "",
    recogniser: str | Path = "",
    **what: Any,
) -> RemovedWords:
    """A recording of any length without some words, fillers, repeats or long pauses.

    The recogniser of the model, or of a folder, hears when words are said; nothing else of the
    model is used, and everything outside of the cuts stays bit for bit.

    Args:
        model: from `load`.
        clip: a path, or what `audio.recordings.read_recording` gives.
        text: the words where they are known, with the fillers and repeats among them.
        recogniser: folder of a faster-whisper model, which hears instead.
        what: the fields of `Removal` in pipelines/remove_words.py: phrases=("you know",),
            fillers=True, repeats=True, pauses_over=0.6. A list of words that is there already goes
            to `remove_words` of that file.

    Pauses alone are found by sound, and no words come back. Raises ValueError where nothing can
    hear, a phrase is not said or every word would go.
    """
    check_call(model, None)
    check_known(what, [field.name for field in fields(Removal)])
    which = Removal(**what)
    check_removal(which)
    check_text("the text", text)
    recording = recording_of(clip)
    if which.only_pauses and not text.strip():
        return take_out(recording, (), which)
    ears = recogniser_for(model, recogniser)
    words = hear_surely(ears, recording, text, chosen=which.phrases)
    return take_out(recording, words, which, ears=sure_listener(ears))


def replace_words(
    model: Bundle,
    clip: Recording | str | Path,
    old: str,
    new: str,
    *,
    words: Sequence[Word] = (),
    **settings: Any,
) -> ReplacedWords:
    """A recording of any length with the words `new` in the place of `old`, in its voice.

    The model must be one that can clone. `words` are what the recording says, from `transcribe`;
    without them the model's own recogniser hears them, unless that is a draft. Settings as in
    `edit`. What follows moves where the new words are longer or shorter; all other samples stay bit
    for bit.
    """
    check_call(model, settings.get("hooks"))
    check_clones(model)
    hooks = settings.pop("hooks", None)
    recording = recording_of(clip)
    said = words or hear_surely(recogniser_for(model, hooks=hooks), recording)
    which = Replacement(old=old, new=new)
    return say_instead(model, recording, said, which, settings=settings, hooks=hooks)


def resynthesize(model: Bundle, clip: Clip | str | Path, *, seed: int = 0) -> Round:
    """What tokenizer and decoder alone make of a clip."""
    check_call(model, None)
    check_seed(seed)
    return codec.resynthesize(model, clip_of(clip), seed=seed)


def save(made: Round | Clip, path: str | Path, *, replace: bool = False) -> None:
    """Write a round or a clip as a WAV file of 16 bits, whole or not at all.

    An older result is replaced; any other file only with replace=True. Raises ValueError for a file
    that StepEdit did not write, for what is not one sound, and for a path that is not a WAV file's.
    """
    if isinstance(made, EditResult):
        raise ValueError(
            f"a result has {len(made.rounds)} rounds; one sound can be saved. Pass result.best, "
            "result.final or one of result.rounds."
        )
    if not isinstance(made, (Round, Clip)):
        raise ValueError(
            f"what should be saved is {quoted(made)} ({type(made).__name__}); a round or a Clip is "
            "needed. Pass result.best, or stepedit.Clip(wave=..., sample_rate=...)."
        )
    if not isinstance(path, (str, Path)):
        raise ValueError(
            f"the path is {quoted(path)} ({type(path).__name__}); text or a Path is needed. Name a "
            "file that ends in .wav."
        )
    path = Path(path)
    if path.is_dir() or path.suffix.lower() != ".wav":
        what = "a folder" if path.is_dir() else "not the name of a WAV file"
        raise ValueError(
            f"'{shown(path)}' is {what}; a WAV file is written. Name a file that ends in .wav."
        )
    save_clip(path, made.clip if isinstance(made, Round) else made, replace_any=replace)


@cache
def _registry() -> Registry:
    """The one that shares weights between the calls of a process."""
    return Registry()
