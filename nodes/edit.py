"""Whole runs, AUDIO to AUDIO: rounds of edits, and new words in a voice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import host, inputs
from .compat import StepEditEdit, schema

if TYPE_CHECKING:
    from .instructions import Edit


class IterativeEdit(io.ComfyNode):
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
                    tooltip="Rounds of each edit, 1 to 10. Time grows in proportion.",
                ),
                io.Combo.Input(
                    "prompt",
                    options=["follow", "fixed"],
                    default="follow",
                    tooltip="Whose sound the decoder follows in later rounds. follow: the round "
                    "before. fixed: always the original, which keeps the voice closer.",
                ),
                inputs.seed(),
            ],
            outputs=[
                io.Audio.Output(
                    display_name="audio",
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
                    tooltip="Margin score of each round, 1 to 10, without the input.",
                ),
                io.Image.Output(
                    display_name="chart",
                    is_output_list=True,
                    tooltip="Margin score (1 to 10) and median pitch (Hz) by round.",
                ),
                io.String.Output(
                    display_name="report",
                    is_output_list=True,
                    tooltip="What was done, as JSON: bundle, seed, and by round seconds, score, "
                    "median pitch and time.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: host.LoadedModel,
        audio: dict[str, Any],
        edit: Edit,
        text: str,
        rounds: int,
        prompt: str,
        seed: int,
    ) -> io.NodeOutput:
        """Edit every clip of the batch."""
        from ..stepedit_core.pipelines.iterate import iterate
        from . import rounds as shown

        clips = host.clips(audio)
        bundle = model.ready(2 * max((clip.seconds for clip in clips), default=0))
        requests = [replace(wanted, text=text) for wanted in edit[:1]] + list(edit[1:])
        results = []
        for clip in clips:
            hooks = host.GraphHooks(rounds * len(edit))
            how = {"rounds": rounds, "prompt": prompt, "seed": seed, "hooks": hooks}
            done = iterate(bundle, clip, requests, on_round=hooks.round_finished, **how)
            results.append(done.rounds)
        every = [round_ for result in results for round_ in result]
        return io.NodeOutput(
            [host.audio(result[-1].clip) for result in results],
            [host.audio(round_.clip) for round_ in every],
            [round_.score for round_ in every if round_.score is not None],
            [shown.chart(result) for result in results],
            [json.dumps(shown.report(bundle, seed, result), indent=1) for result in results],
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
                    placeholder="What the voice shall say",
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
    def execute(
        cls,
        model: host.LoadedModel,
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
        from ..stepedit_core.pipelines.clone import clone
        from ..stepedit_core.types import Sampling

        clips = host.clips(audio)
        bundle = model.ready(15 + max((clip.seconds for clip in clips), default=0))
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
        how = {"seed": seed, "sampling": sampling, "steps": steps, "guidance": guidance}
        made = [clone(bundle, c, text, new_words, hooks=host.GraphHooks(1), **how) for c in clips]
        return io.NodeOutput([host.audio(round_.clip) for round_ in made])
