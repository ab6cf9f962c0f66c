"""STEPEDIT_MEL as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_api.latest import io

from .compat import StepEditMel, schema

if TYPE_CHECKING:
    from torch import Tensor


class MelPicture(io.ComfyNode):
    """Mel Picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A mel spectrogram in, an image out."""
        return schema(
            node_id="StepEdit_MelPicture",
            display_name="Mel Picture",
            search_aliases=["spectrogram", "plot"],
            description="Draws a mel spectrogram with axes in seconds and hertz.",
            inputs=[StepEditMel.Input("mel", tooltip="From Flow Decode: 80 bands, 50 frames/s.")],
            outputs=[
                io.Image.Output(
                    display_name="image",
                    tooltip="Time in seconds across, frequency in hertz upwards; bright is loud.",
                )
            ],
        )

    @classmethod
    def execute(cls, mel: Tensor) -> io.NodeOutput:
        """Draw."""
        from .picture import mel_picture

        return io.NodeOutput(mel_picture(mel))
