"""Edit instructions: each node makes a STEPEDIT_EDIT or appends its request to one.

STEPEDIT_EDIT is a tuple of EditRequest in the order of application. Options and tags are those
of stepedit_core/text/edits.py; a bundle that does not make one says so when it runs, and which
engine or model does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io

from ..stepedit_core.text.edits import DIALECTS, TAGS_2025, TAGS_2026, offered
from ..stepedit_core.text.engines import ENGINES, FIT
from ..stepedit_core.types import EditRequest
from . import inputs
from .compat import StepEditEdit, schema

Edit = tuple[EditRequest, ...]
EMOTIONS, STYLES, SPEEDS = offered("emotion"), offered("style"), (*offered("speed"), FIT)
LONGEST_SECONDS = 120
"""Four times the longest clip."""


def _schema(
    title: str, description: str, *own: io.Input, node_id: str, aliases: Sequence[str] = ()
) -> io.Schema:
    """The schema all instruction nodes share: own inputs, then the edit to append to."""
    before = StepEditEdit.Input(
        "edit",
        optional=True,
        tooltip="Edits that come before this one; leave open to begin a list.",
    )
    out = StepEditEdit.Output(
        display_name="edit", tooltip="The list of edits, this one last. They are applied in order."
    )
    return schema(
        node_id=node_id,
        display_name=title,
        description=description,
        search_aliases=[*aliases, "speech edit", "Step-Audio-EditX"],
        inputs=[*own, before],
        outputs=[out],
    )


def _appended(edit: Edit | None, **request: Any) -> io.NodeOutput:
    return io.NodeOutput((*(edit or ()), EditRequest(**request)))


class Emotion(io.ComfyNode):
    """Emotion."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """One combo."""
        emotion = io.Combo.Input(
            "emotion",
            options=list(EMOTIONS),
            default="happy",
            tooltip="The feeling the speech moves towards; 'remove' makes it neutral. Each bundle "
            "knows its own part of this list.",
        )
        words = "Asks for another emotion with the same words. More rounds make it stronger."
        return _schema(
            "Emotion",
            words,
            emotion,
            node_id="StepEdit_Emotion",
            aliases=["mood", "feeling", "happy", "angry"],
        )

    @classmethod
    def validate_inputs(cls, emotion: str = EMOTIONS[0]) -> bool | str:
        """Core 0.3.75 does not check the values of combos."""
        return inputs.one_of("emotion", emotion, EMOTIONS)

    @classmethod
    def execute(cls, emotion: str, edit: Edit | None = None) -> io.NodeOutput:
        """Append the request."""
        return _appended(edit, kind="emotion", option=emotion)


class SpeakingStyle(io.ComfyNode):
    """Speaking Style."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """One combo."""
        style = io.Combo.Input(
            "style",
            options=list(STYLES),
            default="older",
            tooltip="The way of speaking; 'remove' makes it plain. Each bundle knows its own part "
            "of this list. whisper is made by signal processing with nano.",
        )
        words = "Asks for another speaking style with the same words."
        return _schema(
            "Speaking Style",
            words,
            style,
            node_id="StepEdit_SpeakingStyle",
            aliases=["whisper", "tone", "delivery"],
        )

    @classmethod
    def validate_inputs(cls, style: str = STYLES[0]) -> bool | str:
        """Core 0.3.75 does not check the values of combos."""
        return inputs.one_of("style", style, STYLES)

    @classmethod
    def execute(cls, style: str, edit: Edit | None = None) -> io.NodeOutput:
        """Append the request."""
        return _appended(edit, kind="style", option=style)


class Speed(io.ComfyNode):
    """Speed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """How fast, by which engine, how long."""
        speed = io.Combo.Input(
            "speed",
            options=list(SPEEDS),
            default="faster",
            tooltip="Pace of the speech. faster: about 0.8 times as long; slower: about 1.25 "
            "times; 'more' goes further; 'fit to seconds' makes it last as long as seconds says.",
        )
        seconds = io.Float.Input(
            "seconds",
            default=5.0,
            min=0.1,
            max=LONGEST_SECONDS,
            step=0.01,
            optional=True,
            tooltip="Length for 'fit to seconds', in s, exact to 0.01 s: a quarter to four times "
            "the length of the clip. Other speeds do not use it.",
        )
        words = "Makes speech faster or slower at the same pitch, or fits it to a length."
        return _schema(
            "Speed",
            words,
            speed,
            inputs.engine(),
            seconds,
            node_id="StepEdit_Speed",
            aliases=["tempo", "pace", "faster", "slower", "time stretch", "duration"],
        )

    @classmethod
    def validate_inputs(cls, speed: str = SPEEDS[0], engine: str = ENGINES[0]) -> bool | str:
        """Core 0.3.75 does not check the values of combos."""
        known = inputs.one_of("speed", speed, SPEEDS)
        return inputs.one_of("engine", engine, ENGINES) if known is True else known

    @classmethod
    def execute(
        cls,
        speed: str,
        engine: str = ENGINES[0],
        seconds: float = 0.0,
        edit: Edit | None = None,
    ) -> io.NodeOutput:
        """Append the request."""
        length = seconds if speed == FIT else 0.0
        return _appended(edit, kind="speed", option=speed, engine=engine, seconds=length)


class NonverbalSounds(io.ComfyNode):
    """Non-verbal Sounds."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The words with tags."""
        text = io.String.Input(
            "text_with_sounds",
            multiline=True,
            default="",
            placeholder="The words of the clip, with [Laughter] where it belongs",
            tooltip="The words of the clip with tags in square brackets where sounds belong. "
            f"Release 2025: {', '.join(TAGS_2025)}. Release 2026: {', '.join(TAGS_2026)}.",
        )
        words = "Asks for laughter, breath and other sounds at given places between the words."
        return _schema(
            "Non-verbal Sounds",
            words,
            text,
            node_id="StepEdit_NonverbalSounds",
            aliases=["paralinguistic", "laughter", "breath", "sigh"],
        )

    @classmethod
    def validate_inputs(cls, text_with_sounds: str = "?") -> bool | str:
        """There are words, and every bracket has its partner."""
        return inputs.written("sounds", text_with_sounds)

    @classmethod
    def execute(cls, text_with_sounds: str, edit: Edit | None = None) -> io.NodeOutput:
        """Append the request."""
        return _appended(edit, kind="sounds", new_text=text_with_sounds)


class Denoise(io.ComfyNode):
    """Denoise."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """By which engine."""
        return _schema(
            "Denoise",
            "Takes background noise away.",
            inputs.engine(),
            node_id="StepEdit_Denoise",
            aliases=["noise", "clean up"],
        )

    @classmethod
    def validate_inputs(cls, engine: str = ENGINES[0]) -> bool | str:
        """Core 0.3.75 does not check the values of combos."""
        return inputs.one_of("engine", engine, ENGINES)

    @classmethod
    def execute(cls, engine: str = ENGINES[0], edit: Edit | None = None) -> io.NodeOutput:
        """Append the request."""
        return _appended(edit, kind="denoise", engine=engine)


class RemoveSilence(io.ComfyNode):
    """Remove Silence."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """By which engine."""
        return _schema(
            "Remove Silence",
            "Shortens pauses, also before and after the speech.",
            inputs.engine(),
            node_id="StepEdit_RemoveSilence",
            aliases=["vad", "trim silence", "pauses"],
        )

    @classmethod
    def validate_inputs(cls, engine: str = ENGINES[0]) -> bool | str:
        """Core 0.3.75 does not check the values of combos."""
        return inputs.one_of("engine", engine, ENGINES)

    @classmethod
    def execute(cls, engine: str = ENGINES[0], edit: Edit | None = None) -> io.NodeOutput:
        """Append the request."""
        return _appended(edit, kind="trim_silence", engine=engine)


class NewWords(io.ComfyNode):
    """New Words."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The new words."""
        text = io.String.Input(
            "new_words",
            multiline=True,
            default="",
            placeholder="What the voice should say",
            tooltip="The words to say in the voice of the clip. The release also takes one of "
            f"[{'], ['.join(DIALECTS)}] before the words.",
        )
        words = "Asks for other words in the voice of the clip. For Generate Tokens; whole clips "
        words += "are cloned by Clone Voice."
        return _schema(
            "New Words", words, text, node_id="StepEdit_NewWords", aliases=["TTS", "clone"]
        )

    @classmethod
    def validate_inputs(cls, new_words: str = "?") -> bool | str:
        """There are words, and every bracket has its partner."""
        return inputs.written("clone", new_words)

    @classmethod
    def execute(cls, new_words: str, edit: Edit | None = None) -> io.NodeOutput:
        """Append the request."""
        return _appended(edit, kind="clone", new_text=new_words)


NODES = [Emotion, SpeakingStyle, Speed, NonverbalSounds, Denoise, RemoveSilence, NewWords]
