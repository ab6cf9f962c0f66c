"""Remove Words: fillers, repeats, chosen words and long pauses cut out of a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import inputs
from .compat import StepEditWords, schema
from .host import folders, models, progress, sound
from .words import HearingNode, ears_or_none, known_or_heard, recogniser_found

if TYPE_CHECKING:
    from ..stepedit_core.audio.recordings import Recording
    from ..stepedit_core.measure.timeline import Recogniser
    from ..stepedit_core.pipelines.remove_words import Removal
    from .words import Words

ANY = "auto"


def languages() -> tuple[str, ...]:
    """auto, and the languages whose fillers are known."""
    from ..stepedit_core.text.disfluency import FILLERS

    return ANY, *FILLERS


class RemoveWords(HearingNode):
    """Remove Words."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A recording in; the recording without fillers, repeats, some words, long pauses out."""
        return schema(
            node_id="StepEdit_RemoveWords",
            display_name="Remove Words",
            description="Takes words out of a recording: fillers such as um, starts that are said "
            "twice, words of your choice, and long pauses. It cuts and fades; no model speaks, and "
            "every other sample stays as it is.",
            search_aliases=[
                "filler words",
                "disfluency",
                "um",
                "uh",
                "cut",
                "podcast",
                "clean up",
                "pause",
            ],
            inputs=[
                inputs.any_recording(),
                inputs.recogniser(),
                io.Boolean.Input(
                    "fillers",
                    default=True,
                    tooltip="Remove um, uh and the like, and short sounds between words that are "
                    "no words.",
                ),
                io.Boolean.Input(
                    "repeats",
                    default=True,
                    tooltip="Remove starts that are said again right after: of 'I I was' the first "
                    "I goes. Only words that nobody says twice on purpose.",
                ),
                io.String.Input(
                    "phrases",
                    multiline=True,
                    default="",
                    placeholder="Words to remove, a phrase on each line",
                    tooltip="Words of your choice, as they are said; each line is a phrase of its "
                    "own.",
                ),
                io.Boolean.Input(
                    "every",
                    default=False,
                    tooltip="Remove a phrase wherever it is said. Off: it must be said once, so "
                    "that nothing else goes.",
                ),
                io.Float.Input(
                    "longest_pause",
                    default=0.0,
                    min=0.0,
                    max=10.0,
                    step=0.05,
                    tooltip="Longer pauses become this long, in s, 0.2 to 10; 0 leaves pauses as "
                    "they are. For pauses alone nothing has to be heard.",
                ),
                io.Combo.Input(
                    "language",
                    options=list(languages()),
                    default=ANY,
                    tooltip="Whose fillers. auto: English, Chinese, Japanese and Korean.",
                ),
                io.Boolean.Input(
                    "keep_length",
                    default=False,
                    tooltip="Fill what was cut with the recording's own room tone, so that it "
                    "stays in time with a picture. Pauses then stay too.",
                ),
                inputs.known_words(),
                inputs.hearing_model(),
            ],
            outputs=[
                io.Audio.Output(
                    display_name="audio",
                    tooltip="The recording without what was cut, at its own rate and channels.",
                ),
                io.String.Output(
                    display_name="cuts",
                    tooltip="A line for each cut: from and to in seconds of the input, why, and "
                    "the words.",
                ),
                StepEditWords.Output(
                    display_name="words",
                    tooltip="The words that stay, with their times in the result.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, recogniser: str = folders.AUTO, language: str = ANY) -> bool | str:
        """A graph may come from anybody."""
        said = recogniser_found(recogniser), inputs.one_of("language", language, languages())
        return next((one for one in said if one is not True), True)

    @classmethod
    def execute(
        cls,
        audio: dict[str, Any],
        recogniser: str,
        fillers: bool,
        repeats: bool,
        phrases: str,
        every: bool,
        longest_pause: float,
        language: str,
        keep_length: bool,
        words: Words | None = None,
        model: models.LoadedModel | None = None,
    ) -> io.NodeOutput:
        """Cut."""
        from ..stepedit_core.pipelines.remove_words import Removal, check_removal

        which = Removal(
            phrases=lines(phrases),
            every=every,
            fillers=fillers,
            repeats=repeats,
            pauses_over=longest_pause or None,
            language="" if language == ANY else language,
            keep_length=keep_length,
        )
        check_removal(which)
        recording = sound.recording(audio)
        needed = fillers or repeats or which.phrases or words
        said: Words = ()
        if needed:
            said = known_or_heard(recording, words, model, recogniser, chosen=which.phrases)
        ears = ears_or_none(model, recogniser) if fillers or repeats else None
        return _removed(recording, said, which, ears)


def _removed(
    recording: Recording, words: Words, which: Removal, ears: Recogniser | None
) -> io.NodeOutput:
    """The recording without what `which` names, and what that was."""
    from ..stepedit_core.files.terminal import table
    from ..stepedit_core.pipelines.remove_words import remove_words

    made = remove_words(recording, words, which, ears=ears)
    less = recording.seconds - made.recording.seconds
    progress.say(f"{len(made.cuts)} cuts, {less:.2f} s shorter")
    rows = [(f"{cut.start:.2f}", f"{cut.end:.2f}", cut.why, cut.text) for cut in made.cuts]
    cuts = table(("from", "to", "why", "words"), rows)
    return io.NodeOutput(sound.whole_audio(made.recording), cuts, made.words)


def lines(text: str) -> tuple[str, ...]:
    """The lines of a text that have words."""
    return tuple(line.strip() for line in text.split("\n") if line.strip())


NODES = [RemoveWords]
