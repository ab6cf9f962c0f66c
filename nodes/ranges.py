"""Edit Range: some words or seconds of a recording, and nothing else of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from ..stepedit_core.printable import shown
from ..stepedit_core.text.edits import check_text
from . import inputs
from .compat import StepEditEdit, schema
from .host import folders, models, sound
from .words import HearingNode, recogniser_found

if TYPE_CHECKING:
    from .instructions import Edit
    from .range_runs import Known, PartRun
    from .words import Words

MOST_SECONDS = 36_000.0
"""Largest number on the widgets of seconds: ten hours."""


def _seconds(name: str, tooltip: str) -> io.Input:
    """A widget of seconds from the beginning of the recording."""
    return io.Float.Input(
        name, default=0.0, min=0.0, max=MOST_SECONDS, step=0.01, round=0.001, tooltip=tooltip
    )


class EditRange(HearingNode):
    """Edit Range."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A recording, an edit and a part of it in; the recording with that part edited out."""
        return schema(
            node_id="StepEdit_EditRange",
            display_name="Edit Range",
            description="Edits some words or seconds of a recording of any length and leaves every "
            "other sample as it is, at its own rate and channels. The first run listens; then "
            "choose words in the panel and run again.",
            search_aliases=["speech edit", "inpaint", "part", "words", "phrase", "region"],
            is_output_node=True,  # it is where the part is chosen and heard, connected or not
            hidden=[io.Hidden.unique_id, io.Hidden.extra_pnginfo],
            inputs=[
                inputs.model(),
                inputs.any_recording(),
                StepEditEdit.Input(
                    "edit", tooltip="What to change: emotion, style, speed or sounds."
                ),
                inputs.whole_text(),
                inputs.recogniser(),
                io.String.Input(
                    "phrase",
                    default="",
                    tooltip="Words that follow each other in the recording, to be edited. Empty: "
                    "the seconds below. Choosing in the panel empties it.",
                ),
                _seconds(
                    "start",
                    "Where the edited part begins, in s. Set by dragging over the waveform or the "
                    "words.",
                ),
                _seconds(
                    "end",
                    "Where the edited part ends, in s, 0.12 to 28 s after start. Equal to start: "
                    "nothing is edited, the run only listens.",
                ),
                inputs.rounds(),
                inputs.strength(),
                inputs.seed(),
                inputs.known_words(),
            ],
            outputs=[
                io.Audio.Output(
                    display_name="audio",
                    tooltip="The whole recording at its own rate and channels; outside of the part "
                    "every sample is the input's.",
                ),
                io.String.Output(
                    display_name="report",
                    tooltip="What was done, as JSON: bundle, plan, rounds, and under range the "
                    "chosen seconds and words, the first and last changed sample, and words that "
                    "were lost.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        recogniser: str = folders.AUTO,
        phrase: str | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> bool | str:
        """A start before an end, unless a phrase says where; what a link brings is not known."""
        from ..stepedit_core.pipelines.chosen_part import check_seconds

        first, last = start or 0.0, end
        if last is None or start is None or phrase is None or str(phrase).strip():
            last = first if last is None else max(first, last)
        try:
            check_text("phrase", phrase or "")
            check_seconds(first, last)
        except ValueError as error:
            return str(error)
        return recogniser_found(recogniser)

    @classmethod
    def execute(
        cls,
        model: models.LoadedModel,
        audio: dict[str, Any],
        edit: Edit,
        text: str,
        recogniser: str,
        phrase: str,
        start: float,
        end: float,
        rounds: int,
        strength: float,
        seed: int,
        words: Words | None = None,
    ) -> io.NodeOutput:
        """Edit the chosen part, or only listen."""
        from ..stepedit_core.pipelines.range_edit import check_keeps
        from ..stepedit_core.types import Decoding
        from .host import results
        from .range_runs import known_words

        decoding = Decoding(way="difference", strength=strength)
        settings = {"rounds": rounds, "seed": seed, "decoding": decoding}
        log = results.ResultLog(cls.hidden.extra_pnginfo, cls.hidden.unique_id)
        with log.running():
            for request in edit:
                check_keeps(request)
            recording = sound.recording(audio)
            known = known_words(recording, words, model, recogniser, text)
            run = _run(model, known, edit, (phrase, start, end), text, settings)
            panel = {**run.panel, "source": log.source}
            log.keep([panel])
        shown_by = {sound.RANGE: [panel]}
        return io.NodeOutput(sound.whole_audio(run.recording), run.report, ui=shown_by)


def _run(
    model: models.LoadedModel,
    known: Known,
    edit: Edit,
    wanted: tuple[str, float, float],
    text: str,
    settings: dict[str, Any],
) -> PartRun:
    """The part that a phrase, or start and end in seconds, name, edited; only heard for none."""
    from ..stepedit_core.pipelines.chosen_part import chosen_seconds, window_text
    from ..stepedit_core.pipelines.range_edit import part_of
    from .range_runs import listened, run_part

    recording = known.recording
    if wanted[0].strip() and not known.words:
        raise ValueError(shown(known.why))
    chosen = chosen_seconds(known.words, *wanted)
    if chosen is None:
        return listened(recording, known)
    part = part_of(recording, *chosen)
    said = window_text(recording, part, known.words, text)
    return run_part(model, known, part, inputs.with_words(edit, said), settings)


NODES = [EditRange]
