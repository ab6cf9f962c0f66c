"""Whole runs, AUDIO to AUDIO: rounds of edits, and new words in a voice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from ..stepedit_core.printable import shown
from . import inputs
from .compat import StepEditEdit, schema
from .host import folders, models, progress, sound
from .words import HearingNode, judge, recogniser_found

if TYPE_CHECKING:
    from .instructions import Edit

VOICES = {"stay with the original": "original", "follow the previous round": "previous"}
"""What the widget shows -> the core's word."""


class IterativeEdit(HearingNode):
    """Iterative Edit."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A clip, an edit and a number of rounds in; every round, scores, chart, report out."""
        return schema(
            node_id="StepEdit_IterativeEdit",
            display_name="Iterative Edit",
            description="Edits a clip by rounds: each round builds on the one before and makes the "
            "edit stronger. Several edits follow one another, each with that many rounds.",
            search_aliases=["speech edit", "emotion", "voice edit", "Step-Audio-EditX"],
            is_output_node=True,  # it is where its rounds are heard, connected or not
            hidden=[io.Hidden.unique_id, io.Hidden.extra_pnginfo],
            inputs=[
                inputs.model(),
                inputs.recording(),
                StepEditEdit.Input(
                    "edit", tooltip="What to change, from Emotion, Speed and so on."
                ),
                inputs.transcript(),
                io.Int.Input(
                    "rounds",
                    default=1,
                    min=1,
                    max=10,
                    tooltip="Rounds of each edit, 1 to 10. Time grows in proportion; one more "
                    "round costs one round, as long as the model stays loaded.",
                ),
                io.Combo.Input(
                    "voice",
                    options=list(VOICES),
                    default=next(iter(VOICES)),
                    tooltip="Whose sound later rounds follow. Staying with the original keeps "
                    "words and voice closer; following the previous round lets changes of the "
                    "voice build up.",
                ),
                inputs.seed(),
                io.Int.Input(
                    "best_round",
                    optional=True,
                    default=0,
                    min=0,
                    max=100,
                    tooltip="Number of the round that the output best gives; 0 takes the round of "
                    "the last edit that is strongest and keeps words and voice. Marked in the "
                    "panel by a click.",
                ),
                inputs.recogniser(optional=True),
                inputs.strength(optional=True),
            ],
            outputs=[
                io.Audio.Output(
                    display_name="best",
                    is_output_list=True,
                    tooltip="The marked round, else the strongest that keeps words and voice, "
                    "else the recording, mono at 24 kHz; one for each clip of the batch.",
                ),
                io.Audio.Output(
                    display_name="final",
                    is_output_list=True,
                    tooltip="The last round, mono at 24 kHz; one for each clip of the batch.",
                ),
                io.Audio.Output(
                    display_name="rounds",
                    is_output_list=True,
                    tooltip="All rounds in order, mono at 24 kHz, the input first.",
                ),
                io.Float.Output(
                    display_name="scores",
                    is_output_list=True,
                    tooltip="Margin score of each round, 1 to 10, without the input; 0 where the "
                    "bundle cannot score the edit.",
                ),
                io.Image.Output(
                    display_name="chart",
                    is_output_list=True,
                    tooltip="Margin score (1 to 10) and median pitch (Hz) by round.",
                ),
                io.String.Output(
                    display_name="report",
                    is_output_list=True,
                    tooltip="What was done, as JSON: bundle, seed, best round, and by round "
                    "seconds, score, likeness of the voice (1 is the same), median pitch in Hz "
                    "and time in seconds.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, voice: str = next(iter(VOICES)), recogniser: str = folders.AUTO
    ) -> bool | str:
        """Core 0.3.75 does not check the values of combos."""
        said = inputs.one_of("voice", voice, tuple(VOICES)), recogniser_found(recogniser)
        return next((one for one in said if one is not True), True)

    @classmethod
    def execute(
        cls,
        model: models.LoadedModel,
        audio: dict[str, Any],
        edit: Edit,
        text: str,
        rounds: int,
        voice: str,
        seed: int,
        best_round: int = 0,
        recogniser: str = "",
        strength: float = 1.0,
    ) -> io.NodeOutput:
        """Edit every clip of the batch; without a recogniser the model's own judges the words."""
        from ..stepedit_core.pipelines import plan, settings
        from . import rounds as finished
        from .host import takes
        from .runs import run_clips

        how: dict[str, Any] = {"rounds": rounds, "voice": VOICES[voice], "seed": seed}
        log = takes.log_for(cls.hidden, finished.used(**how, strength=strength))
        how |= {"recogniser": judge(recogniser), "decoding": settings.by_strength(strength)}
        with log.running():
            clips, edits = sound.clips(audio), inputs.with_words(edit, text)
            plans = [plan.make_plan(model.bundle, clip, edits, **how) for clip in clips]
            runs = run_clips(model, clips, plans, best_round, log)
        if unplayable := [row["unplayable"] for run in runs for row in run.rows if not row["file"]]:
            # the edit is finished; only its players have no files
            progress.say(f"done, but not every round can be played here: {shown(unplayable[0])}")
        return io.NodeOutput(
            [sound.audio(run.chosen.clip) for run in runs],
            [sound.audio(run.rounds[-1].clip) for run in runs],
            [sound.audio(made.clip) for run in runs for made in run.rounds],
            [score for run in runs for score in finished.scores(run.rounds)],
            [finished.chart(run.rounds) for run in runs],
            [finished.report(model.bundle, run) for run in runs],
            ui={sound.PANEL: [finished.panel(run) for run in runs]},
        )


class CloneVoice(io.ComfyNode):
    """Clone Voice."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A clip with its words and new words in, speech out."""
        return schema(
            node_id="StepEdit_CloneVoice",
            display_name="Clone Voice",
            description="Says new words in the voice of a clip. Use it only with the consent of "
            "the person who speaks.",
            search_aliases=["TTS", "text to speech", "voice clone"],
            inputs=[
                inputs.model(),
                inputs.recording(),
                inputs.transcript(),
                io.String.Input(
                    "new_words",
                    multiline=True,
                    default="",
                    placeholder="What the voice should say",
                    tooltip="The words to say in the voice of the clip.",
                ),
                inputs.seed(),
                *inputs.sampling(),
                *inputs.decoding(),
            ],
            outputs=[
                io.Audio.Output(
                    display_name="audio",
                    is_output_list=True,
                    tooltip="The new speech, mono at 24 kHz; one for each clip of the batch.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, new_words: str = "?") -> bool | str:
        """A voice needs something to say."""
        return inputs.written("clone", new_words)

    @classmethod
    def execute(
        cls,
        model: models.LoadedModel,
        audio: dict[str, Any],
        text: str,
        new_words: str,
        seed: int,
        temperature: float,
        top_k: int,
        top_p: float,
        steps: int,
        guidance: float,
    ) -> io.NodeOutput:
        """Clone the voice of every clip of the batch."""
        from ..stepedit_core.pipelines.clone import clone, clone_plan
        from ..stepedit_core.types import Decoding, Sampling

        clips = sound.clips(audio)
        how = {
            "seed": seed,
            "sampling": Sampling(temperature=temperature, top_k=top_k, top_p=top_p),
            "decoding": Decoding(steps=steps, guidance=guidance),
        }
        plans = [clone_plan(model.bundle, clip, text, new_words, **how) for clip in clips]
        bundle = model.ready(15 + max(clip.seconds for clip in clips))
        hooks = progress.GraphHooks(1, clips=len(clips))
        made = []
        for clip, plan in zip(clips, plans, strict=True):
            made.append(clone(bundle, clip, plan, hooks=hooks))
            hooks.round_finished(1, None)
        return io.NodeOutput([sound.audio(round_.clip) for round_ in made])
