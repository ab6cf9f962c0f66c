"""Edit Long: an edit of a recording of any length, piece by piece."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import inputs
from .compat import StepEditEdit, schema
from .host import folders, models, progress, sound
from .words import HearingNode, known_or_heard

if TYPE_CHECKING:
    from ..stepedit_core.audio.recordings import Recording
    from ..stepedit_core.pipelines.long_edit import LongEdit
    from .instructions import Edit
    from .words import Words


class EditLong(HearingNode):
    """Edit Long."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A recording of any length and an edit in, the edited recording out."""
        return schema(
            node_id="StepEdit_EditLong",
            display_name="Edit Long",
            description="Edits a recording of any length: pieces of 5 to 10 s between pauses, each "
            "in its own voice. Pauses stay as they are, and so do its rate and channels. A run "
            "that was cancelled resumes.",
            search_aliases=["long audio", "audiobook", "narration", "podcast", "speech edit"],
            inputs=[
                inputs.model(),
                inputs.any_recording(),
                StepEditEdit.Input(
                    "edit", tooltip="One edit that keeps the words: emotion, style or speed."
                ),
                inputs.whole_text(),
                inputs.recogniser(),
                inputs.rounds("piece"),
                inputs.strength(),
                inputs.seed(),
                inputs.known_words(),
            ],
            outputs=[
                io.Audio.Output(
                    display_name="audio",
                    tooltip="The whole recording, edited, at its own rate and channels.",
                ),
                io.String.Output(
                    display_name="pieces",
                    tooltip="A line for each piece: from and to in seconds, the round that was "
                    "taken, and what was done; a piece that stays as recorded says why.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: models.LoadedModel,
        audio: dict[str, Any],
        edit: Edit,
        text: str,
        recogniser: str,
        rounds: int,
        strength: float,
        seed: int,
        words: Words | None = None,
    ) -> io.NodeOutput:
        """Edit every piece."""
        from ..stepedit_core.pipelines.long_edit import LongEdit
        from ..stepedit_core.pipelines.makers import needs_words
        from ..stepedit_core.types import Decoding

        if len(edit) != 1:
            raise ValueError(
                f"the list has {len(edit)} edits; a long recording gets one at a time. Connect one "
                "Edit Long after the other."
            )
        decoding = Decoding(way="difference", strength=strength)
        settings = {"rounds": rounds, "seed": seed, "decoding": decoding}
        recording = sound.recording(audio)
        said: Words = words or ()
        if words is not None or needs_words(model.bundle, edit, text):
            said = known_or_heard(recording, words, model, recogniser, text)
        return _edited(model, recording, said, LongEdit(edit[0], settings))


def _edited(
    model: models.LoadedModel, recording: Recording, words: Words, how: LongEdit
) -> io.NodeOutput:
    """The recording with every piece edited, and a table of them."""
    from ..stepedit_core.files.terminal import table
    from ..stepedit_core.pipelines.long_edit import COLUMNS, PIECE_S, edit_long, piece_rows

    hooks = progress.CountingHooks("piece")
    bundle = model.ready(2 * PIECE_S)
    how = replace(how, kept=folders.pieces_folder(), hooks=hooks)
    made = edit_long(bundle, recording, words, how)
    made.check_edited()
    count = sum(piece.round > 0 for piece in made.pieces)
    progress.say(f"done: {count} of {len(made.pieces)} pieces edited")
    pieces = table(COLUMNS, piece_rows(made.pieces))
    return io.NodeOutput(sound.whole_audio(made.recording), pieces)


NODES = [EditLong]
