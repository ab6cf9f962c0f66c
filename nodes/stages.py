"""The path of a clip stage by stage: tokenize, generate, flow decode, vocode, score."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from ..stepedit_core.types import Sampling
from . import inputs
from .compat import (
    StepEditEdit,
    StepEditMel,
    StepEditTokens,
    StepEditVoice,
    schema,
)
from .host import models, progress, sound

if TYPE_CHECKING:
    from torch import Tensor

    from ..stepedit_core.types import DualCodes, Voice
    from .instructions import Edit


class TokenizeSpeech(io.ComfyNode):
    """Tokenize Speech."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Audio in; tokens and voice out, one of each per clip of the batch."""
        return schema(
            node_id="StepEdit_TokenizeSpeech",
            display_name="Tokenize Speech",
            search_aliases=["encode", "speech tokens"],
            description="Turns a clip into the two token streams the language model edits, and "
            "into the voice that the decoder speaks with. The same every time, without a seed.",
            inputs=[inputs.model(), inputs.recording()],
            outputs=[
                StepEditTokens.Output(
                    display_name="tokens",
                    is_output_list=True,
                    tooltip="Per 120 ms of speech 2 linguistic and 3 semantic tokens.",
                ),
                StepEditVoice.Output(
                    display_name="voice",
                    is_output_list=True,
                    tooltip="Speaker vector (192 numbers), mel spectrogram (50 frames a second) "
                    "and tokens of the clip.",
                ),
            ],
        )

    @classmethod
    def execute(cls, model: models.LoadedModel, audio: dict[str, Any]) -> io.NodeOutput:
        """Tokenize every clip of the batch."""
        from ..stepedit_core.pipelines.tokenize import tokenize

        clips = sound.clips(audio)
        bundle = model.ready(max(clip.seconds for clip in clips))
        pairs = [tokenize(bundle, clip, hooks=progress.GraphHooks()) for clip in clips]
        return io.NodeOutput([codes for codes, _ in pairs], [voice for _, voice in pairs])


class GenerateTokens(io.ComfyNode):
    """Generate Tokens."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Tokens and an edit in, edited tokens out."""
        return schema(
            node_id="StepEdit_GenerateTokens",
            display_name="Generate Tokens",
            search_aliases=["sampler", "language model"],
            description="The language model writes the tokens of the edited speech. Several edits "
            "are applied one after another.",
            inputs=[
                inputs.model(),
                StepEditTokens.Input("tokens", tooltip="Speech to edit, from Tokenize Speech."),
                StepEditEdit.Input(
                    "edit", tooltip="What to change, from Emotion, Speed and so on."
                ),
                inputs.transcript(),
                inputs.seed(),
                inputs.round_number(),
                *inputs.sampling(),
            ],
            outputs=[
                StepEditTokens.Output(
                    display_name="tokens",
                    tooltip="The edited speech as tokens, 5 per 120 ms, for Flow Decode.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        model: models.LoadedModel,
        tokens: DualCodes,
        edit: Edit,
        text: str,
        seed: int,
        round: int,
        temperature: float,
        top_k: int,
        top_p: float,
    ) -> io.NodeOutput:
        """Generate once per request; the words after one request are the words of the next."""
        from ..stepedit_core.pipelines.generate import generate
        from ..stepedit_core.pipelines.run import Run
        from ..stepedit_core.text.edits import text_after
        from ..stepedit_core.types import Draws

        requests = []
        for asked in edit:
            requests.append(replace(asked, text=text))
            text = text_after(requests[-1])
        model.check(requests)
        model.check_tokens(tokens)
        bundle = model.ready(tokens.seconds)
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
        for number, request in enumerate(requests, start=round):
            how = {"draws": Draws(seed=seed, round=number), "sampling": sampling}
            run = Run(hooks=progress.GraphHooks())
            tokens = generate(bundle, tokens, request, run=run, **how).codes
        return io.NodeOutput(tokens)


class FlowDecode(io.ComfyNode):
    """Flow Decode."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Tokens and a voice in, a mel spectrogram out."""
        return schema(
            node_id="StepEdit_FlowDecode",
            display_name="Flow Decode",
            search_aliases=["decoder", "mel"],
            description="Flow matching turns tokens into a mel spectrogram in the given voice.",
            inputs=[
                inputs.model(),
                StepEditTokens.Input("tokens", tooltip="Speech to decode."),
                StepEditVoice.Input("voice", tooltip="Who speaks, from Tokenize Speech."),
                inputs.seed(),
                inputs.round_number(),
                *inputs.decoding(),
            ],
            outputs=[
                StepEditMel.Output(
                    display_name="mel",
                    tooltip="Natural-log mel spectrogram: 80 bands from 0 to 8 kHz, 50 frames a "
                    "second.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        model: models.LoadedModel,
        tokens: DualCodes,
        voice: Voice,
        seed: int,
        round: int,
        steps: int,
        guidance: float,
    ) -> io.NodeOutput:
        """Decode."""
        from ..stepedit_core.pipelines.flow_decode import flow_decode
        from ..stepedit_core.types import Decoding, Draws

        model.check_tokens(tokens, voice.codes)
        bundle = model.ready(tokens.seconds + voice.codes.seconds)
        how = {
            "draws": Draws(seed=seed, round=round),
            "decoding": Decoding(steps=steps, guidance=guidance),
        }
        return io.NodeOutput(flow_decode(bundle, tokens, voice, hooks=progress.GraphHooks(), **how))


class Vocode(io.ComfyNode):
    """Vocode."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A mel spectrogram in, audio out."""
        return schema(
            node_id="StepEdit_Vocode",
            display_name="Vocode",
            search_aliases=["vocoder", "HiFT", "mel to audio"],
            description="The vocoder turns a mel spectrogram into sound.",
            inputs=[
                inputs.model(),
                StepEditMel.Input("mel", tooltip="From Flow Decode: 80 bands, 50 frames a second."),
                inputs.seed(),
                inputs.round_number(),
            ],
            outputs=[
                io.Audio.Output(
                    display_name="audio", tooltip="The speech, mono at 24,000 Hz (24 kHz)."
                )
            ],
        )

    @classmethod
    def execute(
        cls, model: models.LoadedModel, mel: Tensor, seed: int, round: int
    ) -> io.NodeOutput:
        """Vocode."""
        from ..stepedit_core.pipelines.vocode import vocode
        from ..stepedit_core.types import Draws

        bundle = model.ready(mel.shape[-1] / 50)
        clip = vocode(bundle, mel, draws=Draws(seed=seed, round=round), hooks=progress.GraphHooks())
        return io.NodeOutput(sound.audio(clip))


class MarginScore(io.ComfyNode):
    """Margin Score."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Tokens before and after an edit in, scores out."""
        return schema(
            node_id="StepEdit_MarginScore",
            display_name="Margin Score",
            search_aliases=["judge", "strength", "measure"],
            description="How strongly an edit came out: 1 is nothing, 10 is unmistakable.",
            inputs=[
                inputs.model(),
                StepEditTokens.Input("source_tokens", tooltip="The speech before the edit."),
                StepEditTokens.Input("edited_tokens", tooltip="The speech after the edit."),
                StepEditEdit.Input("edit", tooltip="The edit that was asked for."),
            ],
            outputs=[
                io.Float.Output(
                    display_name="score",
                    is_output_list=True,
                    tooltip="1 to 10, no unit; one number for each edit of the list.",
                ),
                io.String.Output(
                    display_name="text", tooltip="The same as words, one line for each edit."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: models.LoadedModel,
        source_tokens: DualCodes,
        edited_tokens: DualCodes,
        edit: Edit,
    ) -> io.NodeOutput:
        """Score every request of the edit."""
        from ..stepedit_core.measure.margin import score

        model.check_tokens(source_tokens, edited_tokens)
        model.check_scorer(edit)
        bundle = model.ready(source_tokens.seconds + edited_tokens.seconds)
        tokens = (source_tokens, edited_tokens)
        scores = [score(bundle, *tokens, r, hooks=progress.GraphHooks()) for r in edit]
        named = zip(edit, scores, strict=True)
        lines = [f"{request.label}: {value:.1f} of 10" for request, value in named]
        return io.NodeOutput(scores, "\n".join(lines))
