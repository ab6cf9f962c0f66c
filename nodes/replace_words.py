"""Replace Words: other words in the place of some of a recording's, in its voice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import inputs
from .compat import StepEditWords, schema
from .host import models, progress, sound
from .words import HearingNode, known_or_heard

if TYPE_CHECKING:
    from .words import Words


class ReplaceWords(HearingNode):
    """Replace Words."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A recording, words that it says and others for them in; the recording with those out."""
        return schema(
            node_id="StepEdit_ReplaceWords",
            display_name="Replace Words",
            description="Says other words in the place of some, in the voice of the recording, and "
            "leaves every other sample as it is. It needs a model that clones, as the released "
            "one. Use it only with the consent of the person who speaks.",
            search_aliases=["respeak", "dub", "correct", "overdub", "say instead"],
            inputs=[
                inputs.model(),
                inputs.any_recording(),
                io.String.Input(
                    "old_words",
                    default="",
                    tooltip="Words that follow each other in the recording and are said once.",
                ),
                io.String.Input(
                    "new_words", default="", tooltip="The words to be said in their place."
                ),
                inputs.whole_text(),
                inputs.recogniser(),
                inputs.seed(),
                inputs.known_words(),
            ],
            outputs=[
                io.Audio.Output(
                    display_name="audio",
                    tooltip="The whole recording with the new words, at its own rate and channels; "
                    "what follows moves where they are longer or shorter.",
                ),
                StepEditWords.Output(
                    display_name="words",
                    tooltip="All words with their times in the result, for another Replace Words.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: models.LoadedModel,
        audio: dict[str, Any],
        old_words: str,
        new_words: str,
        text: str,
        recogniser: str,
        seed: int,
        words: Words | None = None,
    ) -> io.NodeOutput:
        """Replace."""
        from ..stepedit_core.audio.clips import LONGEST_S
        from ..stepedit_core.pipelines import replace_words as replacing

        replacing.check_clones(model.bundle)
        recording = sound.recording(audio)
        said = known_or_heard(recording, words, model, recogniser, text, chosen=[old_words])
        which = replacing.Replacement(old=old_words, new=new_words)
        bundle, hooks = model.ready(2 * LONGEST_S), progress.GraphHooks(1)
        made = replacing.replace_words(
            bundle, recording, said, which, settings={"seed": seed}, hooks=hooks
        )
        hooks.round_finished(1, None)
        return io.NodeOutput(sound.whole_audio(made.recording), made.words)


NODES = [ReplaceWords]
