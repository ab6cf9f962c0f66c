"""STEPEDIT_TOKENS to a .safetensors file and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_api.latest import io

from .compat import StepEditTokens, schema
from .host import folders

if TYPE_CHECKING:
    from ..stepedit_core.types import DualCodes


class SaveTokens(io.ComfyNode):
    """Save Tokens."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Tokens and a file name in, the written name out."""
        return schema(
            node_id="StepEdit_SaveTokens",
            display_name="Save Tokens",
            description="Writes tokens to a numbered .safetensors file in ComfyUI's output folder.",
            search_aliases=["save codes", "speech tokens"],
            is_output_node=True,
            inputs=[
                StepEditTokens.Input("tokens", tooltip="Speech tokens to keep, 5 per 120 ms."),
                io.String.Input(
                    "filename_prefix",
                    default="stepedit/tokens",
                    tooltip="Folder and start of the file name below the output folder. Load "
                    "Tokens looks into output/ and output/stepedit/.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="file", tooltip="Name of the file as Load Tokens lists it."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: str = "stepedit/tokens") -> bool | str:
        """The file would lie below the output folder."""
        try:
            folders.check_prefix(filename_prefix)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, tokens: DualCodes, filename_prefix: str) -> io.NodeOutput:
        """Write the file."""
        from ..stepedit_core.files.tokens import save_tokens

        path, name = folders.new_output_file(filename_prefix, ".safetensors")
        save_tokens(tokens, path)
        return io.NodeOutput(name, ui={"text": [name]})


class LoadTokens(io.ComfyNode):
    """Load Tokens."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A file in, tokens out."""
        return schema(
            node_id="StepEdit_LoadTokens",
            display_name="Load Tokens",
            search_aliases=["load codes", "speech tokens"],
            description="Reads tokens that Save Tokens or the command `stepedit edit` wrote.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=folders.token_files(),
                    tooltip="A .safetensors file of the input folder, or of the output folder "
                    "followed by [output].",
                )
            ],
            outputs=[
                StepEditTokens.Output(
                    display_name="tokens",
                    tooltip="Speech tokens, 5 per 120 ms; only the bundle that made them reads "
                    "them.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        """The file is one of those that the list offers."""
        try:
            if file is not None:
                folders.annotated_path(file)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str) -> str:
        """Size and time of the file, so that a new one of the same name is read."""
        stat = folders.annotated_path(file).stat()
        return f"{stat.st_size} {stat.st_mtime_ns}"

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        """Read the file."""
        from ..stepedit_core.files.tokens import load_tokens

        return io.NodeOutput(load_tokens(folders.annotated_path(file)))
