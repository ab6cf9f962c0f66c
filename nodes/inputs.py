"""Inputs that several nodes share, so that a name, a limit and a tooltip are written once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ..stepedit_core.printable import shown
from ..stepedit_core.text.edits import check_written
from ..stepedit_core.text.engines import ENGINES
from ..stepedit_core.types import EditRequest
from .compat import StepEditModel, StepEditWords, advanced
from .host import folders

LARGEST_SEED = 2**53 - 1
"""Above it a browser can no longer tell neighbouring integers apart."""


def model() -> io.Input:
    """The loaded model."""
    return StepEditModel.Input("model", tooltip="From Load StepEdit Model.")


def recording() -> io.Input:
    """A clip."""
    return io.Audio.Input(
        "audio",
        tooltip="Speech, 0.5 to 30 s, any rate in Hz. Several channels become one: their average, "
        "or the best of them where the average loses speech. A batch is worked on clip by clip and "
        "comes back as a list.",
    )


def any_recording() -> io.Input:
    """A recording that keeps its rate and channels."""
    return io.Audio.Input(
        "audio", tooltip="One recording of speech of any length, 8 to 192 kHz, any channels."
    )


def recogniser(*, optional: bool = False) -> io.Input:
    """Which recogniser hears."""
    return io.Combo.Input(
        "recogniser",
        options=folders.recogniser_names(),
        default=folders.AUTO,
        optional=optional,
        tooltip="Who hears the words: a faster-whisper model in "
        "models/step_audio_editx/recognisers/. auto: the folder that $STEPEDIT_RECOGNISER names, "
        "else the first of the list, else the model's own recogniser.",
    )


def hearing_model() -> io.Input:
    """A model whose recogniser hears."""
    return StepEditModel.Input(
        "model",
        optional=True,
        tooltip="From Load StepEdit Model. Its recogniser hears the words where no folder of one "
        "is there; the rest of it is not needed.",
    )


def whole_text() -> io.Input:
    """The words of a whole recording."""
    return io.String.Input(
        "text",
        multiline=True,
        default="",
        placeholder="The words that are spoken; nano needs them",
        tooltip="The words of the whole recording, so that only their times are looked for. Empty: "
        "the recogniser hears them; nano's own spells by ear and needs them here. Edits by signal "
        "processing do without.",
    )


def known_words() -> io.Input:
    """Words that another node has heard."""
    return StepEditWords.Input(
        "words",
        optional=True,
        tooltip="From Transcribe: the words with their times, so that nothing has to be heard "
        "here.",
    )


def rounds(of: str = "edit") -> io.Input:
    """Of which the best is taken; `of` is what each of them is a round of."""
    return io.Int.Input(
        "rounds",
        default=1,
        min=1,
        max=10,
        tooltip=f"Rounds of each {of}, 1 to 10; more are stronger. The strongest that keeps words "
        "and voice is taken.",
    )


def strength(*, optional: bool = False) -> io.Input:
    """How much of what an edit changes."""
    return io.Float.Input(
        "strength",
        default=1.0,
        min=0.0,
        max=2.0,
        step=0.05,
        optional=optional,
        tooltip="How much of the change, no unit: 0 is the recording, 1 the edit, 2 twice "
        "its change.",
    )


def transcript() -> io.Input:
    """The words of the clip."""
    return io.String.Input(
        "text",
        multiline=True,
        default="",
        placeholder="The words that are spoken in the clip",
        tooltip="The words that are spoken in the clip, as exactly as possible. Denoise, Remove "
        "Silence and the engine signal do without.",
    )


def engine() -> io.Input:
    """Of an edit that signal processing makes too."""
    return io.Combo.Input(
        "engine",
        options=list(ENGINES),
        default=ENGINES[0],
        optional=True,
        tooltip="Who makes the edit. model: the language model speaks anew. signal: signal "
        "processing changes the sound and keeps voice and words. auto: the model where the bundle "
        "makes this edit, as the release does; signal with nano.",
    )


def seed() -> io.Input:
    """Of all draws."""
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=LARGEST_SEED,
        control_after_generate=True,
        tooltip="Start of all random draws: the same seed gives the same samples, here and from "
        "the command `stepedit`.",
    )


def round_number() -> Any:
    """Which round, part of the seed."""
    return advanced(
        io.Int.Input,
        "round",
        default=1,
        min=1,
        max=100,
        tooltip="Number of this round of editing, 1 for the first. Each round has its own draws "
        "from the same seed.",
    )


def sampling() -> list[Any]:
    """Temperature, top-k, top-p of the language model."""
    return [
        advanced(
            io.Float.Input,
            "temperature",
            default=0.7,
            min=0.0,
            max=2.0,
            step=0.05,
            tooltip="How freely tokens are drawn, no unit: 0 takes the likeliest, 0.7 is the "
            "release's, above 1 is wild.",
        ),
        advanced(
            io.Int.Input,
            "top_k",
            default=0,
            min=0,
            max=5120,
            tooltip="Draw among this many likeliest tokens; 0 means all.",
        ),
        advanced(
            io.Float.Input,
            "top_p",
            default=1.0,
            min=0.01,
            max=1.0,
            step=0.01,
            tooltip="Draw among the likeliest tokens that together have this probability, 0.01 to "
            "1; 1 means all.",
        ),
    ]


def decoding() -> list[Any]:
    """Steps and guidance of the flow decoder."""
    return [
        advanced(
            io.Int.Input,
            "steps",
            default=10,
            min=1,
            max=100,
            tooltip="Steps of the flow decoder; time grows in proportion. 10 is the release's.",
        ),
        advanced(
            io.Float.Input,
            "guidance",
            default=0.7,
            min=0.0,
            max=5.0,
            step=0.05,
            tooltip="Weight of classifier-free guidance, no unit: 0 is off, 0.7 is the release's.",
        ),
    ]


def with_words(edits: Sequence[EditRequest], text: str) -> list[EditRequest]:
    """The edits, the first of them with the words of the clip."""
    return [replace(first, text=text) for first in edits[:1]] + list(edits[1:])


def one_of(name: str, value: str, allowed: Sequence[str]) -> bool | str:
    """For validate_inputs: True, or the sentence for a value that is not on the list."""
    if value in allowed:
        return True
    return f"{name} is '{shown(value)}'; allowed are {', '.join(allowed)}. Choose one."


def written(kind: str, text: str) -> bool | str:
    """For validate_inputs: True, or the sentence for words that no bundle could use."""
    try:
        check_written(kind, text)
    except ValueError as error:
        return str(error)
    return True
