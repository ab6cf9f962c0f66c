"""Words of a recording: heard with their times."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import inputs
from .compat import StepEditWords, schema
from .host import folders, models, progress, sound

if TYPE_CHECKING:
    from ..stepedit_core.audio.recordings import Recording
    from ..stepedit_core.measure.timeline import Recogniser, Word

    Words = tuple[Word, ...]


def hear(
    recording: Recording,
    model: models.LoadedModel | None,
    recogniser: str,
    text: str = "",
    *,
    surely: bool = False,
    chosen: Sequence[str] | None = None,
) -> Words:
    """The words of a recording with their times; where the words are given, only the times.

    Where a run relies on them `surely`, a draft is an error; where it changes words that are
    `chosen`, so is a transcript of another recording.
    """
    from ..stepedit_core.measure.hearing import check_draft, check_given, draft_note, hear_given

    hooks = progress.GraphHooks()
    ears = _listener(model, recogniser, hooks)
    progress.say("hearing the words")
    if text.strip():
        found = hear_given(ears, recording, text)
        check_given(found, chosen)
        words, note = found.words, found.fault or found.doubt
    else:
        words, note = ears.transcribe(recording.clip()), draft_note(ears)
    if surely and not text.strip():
        check_draft(ears, words)
    hooks.check()
    progress.say(f"{len(words)} words, {recording.seconds:.1f} s" + (note and "; " + note))
    return words


def _listener(
    model: models.LoadedModel | None, recogniser: str, hooks: progress.GraphHooks
) -> Recogniser:
    """What hears; ValueError where nothing can."""
    from ..stepedit_core.measure.recognisers import recogniser_for

    bundle = None if model is None else model.listening()
    return recogniser_for(bundle, folders.hearing_folder(recogniser), hooks=hooks)


def ears_or_none(model: models.LoadedModel | None, recogniser: str) -> Recogniser | None:
    """What hears words that can be relied on; None where nothing does."""
    from ..stepedit_core.measure.hearing import sure_listener

    try:
        return sure_listener(_listener(model, recogniser, progress.GraphHooks()))
    except ValueError:  # nothing can hear
        return None


def judge(recogniser: str) -> str:
    """Folder of what judges the words of rounds; empty for the model's own recogniser.

    `recogniser` is the widget's, empty in a prompt of before there was one.
    """
    from ..stepedit_core.measure.recognisers import judging_folder

    if not recogniser:
        return ""
    return judging_folder(folders.hearing_folder(recogniser))


def known_or_heard(
    recording: Recording,
    words: Words | None,
    model: models.LoadedModel | None,
    recogniser: str,
    text: str = "",
    *,
    chosen: Sequence[str] | None = None,
) -> Words:
    """Words that another node has heard, else as `hear`.

    Raises ValueError where words are `chosen` of those of another recording.
    """
    from ..stepedit_core.measure.given_words import check_sure
    from ..stepedit_core.measure.timeline import fit_transcript
    from ..stepedit_core.measure.word_table import check_inside

    if words is None:
        return hear(recording, model, recogniser, text, surely=True, chosen=chosen)
    check_inside(words, recording.seconds)
    if chosen is not None:
        check_sure(words)
    return fit_transcript(words, text, recording.seconds) if text.strip() else words


def recogniser_found(recogniser: str) -> bool | str:
    """For validate_inputs: True, or the sentence for a recogniser that is not on the list."""
    try:
        folders.find_recogniser(recogniser)
    except ValueError as error:
        return str(error)
    return True


class HearingNode(io.ComfyNode):
    """A node with the input `recogniser`."""

    @classmethod
    def validate_inputs(cls, recogniser: str = folders.AUTO) -> bool | str:
        """A graph may come from anybody."""
        return recogniser_found(recogniser)

    @classmethod
    def fingerprint_inputs(cls, recogniser: str = folders.AUTO, **_: Any) -> str:
        """Which folder hears, so that one that was added is used."""
        return folders.find_recogniser(recogniser)


class Transcribe(HearingNode):
    """Transcribe."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A recording in, its words out."""
        return schema(
            node_id="StepEdit_Transcribe",
            display_name="Transcribe",
            description="Hears which words a recording says, and when. Nothing is downloaded: the "
            "recogniser is a folder that you have, or part of the model.",
            search_aliases=["speech to text", "STT", "ASR", "whisper", "transcript", "subtitles"],
            inputs=[
                inputs.any_recording(),
                inputs.recogniser(),
                inputs.hearing_model(),
                io.String.Input(
                    "text",
                    optional=True,
                    multiline=True,
                    default="",
                    placeholder="Empty: the words are heard",
                    tooltip="The words of the recording, where they are known: only their times "
                    "are looked for. Lines of the output times, corrected or not, are taken as "
                    "they are.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="transcript", tooltip="The words as a text, for text inputs."
                ),
                StepEditWords.Output(
                    display_name="words", tooltip="The words with their times, for other nodes."
                ),
                io.String.Output(
                    display_name="times",
                    tooltip="A line for each word: start and end in seconds, the word, and how "
                    "sure the recogniser is of it, 0 to 1.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        audio: dict[str, Any],
        recogniser: str,
        model: models.LoadedModel | None = None,
        text: str = "",
    ) -> io.NodeOutput:
        """Hear."""
        from ..stepedit_core.measure.timeline import words_between
        from ..stepedit_core.measure.word_table import timed_words, word_table

        recording = sound.recording(audio)
        words = timed_words(text, recording.seconds)
        if words is None:
            words = hear(recording, model, recogniser, text)
        return io.NodeOutput(words_between(words, -inf, inf), words, word_table(words))


NODES = [Transcribe]
