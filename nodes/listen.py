"""AUDIO to players and files: every clip of a list, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io

from . import inputs
from .compat import schema
from .host import folders, sound_files

FORMATS = ("only play", "wav", "flac")


class PlayAndSave(io.ComfyNode):
    """Play and Save Audio."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Any number of clips in; a player for each, and files where asked for."""
        return schema(
            node_id="StepEdit_PlayAndSave",
            display_name="Play and Save Audio",
            description="A player for every clip of a list, such as all rounds of Iterative Edit, "
            "and for a single clip too. It also writes them as WAV or FLAC.",
            search_aliases=["save audio", "preview audio", "export wav", "export flac", "player"],
            is_input_list=True,  # a node that takes one clip at a time shows the last one alone
            is_output_node=True,
            inputs=[
                io.Audio.Input(
                    "audio",
                    tooltip="One clip or a list of them, any length, rate in Hz and number of "
                    "channels.",
                ),
                io.Combo.Input(
                    "format",
                    options=list(FORMATS),
                    default=FORMATS[0],
                    tooltip="only play: nothing is kept. wav, flac: 16-bit files below the output "
                    "folder; a flac also contains the workflow.",
                ),
                io.String.Input(
                    "filename_prefix",
                    default="audio/stepedit",
                    tooltip="Folder and start of the file names below the output folder; a number "
                    "is added for each clip.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="files",
                    is_output_list=True,
                    tooltip="Names of the written files below the output folder, in the order of "
                    "the clips; empty with only play.",
                )
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt, io.Hidden.extra_pnginfo],
        )

    @classmethod
    def validate_inputs(
        cls, format: Sequence[str] = FORMATS[:1], filename_prefix: Sequence[str] = ()
    ) -> bool | str:
        """A known format, and files that would lie below the output folder."""
        for one in format:
            if (said := inputs.one_of("format", one, FORMATS)) is not True:
                return said
        try:
            for prefix in filename_prefix:
                folders.check_prefix(prefix, example="audio/stepedit")
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls, audio: list[dict[str, Any] | None], format: list[str], filename_prefix: list[str]
    ) -> io.NodeOutput:
        """Write what the players play."""
        if (said := inputs.one_of("format", format[0], FORMATS)) is not True:
            raise ValueError(said)  # by a link
        from .host import results

        log = results.ResultLog(cls.hidden.extra_pnginfo, cls.hidden.unique_id)
        clips = sound_files.waves(audio)
        if format[0] == FORMATS[0]:
            files, names = sound_files.play(clips), []
        else:
            graph = {"prompt": cls.hidden.prompt, **(cls.hidden.extra_pnginfo or {})}
            files = sound_files.save(clips, format[0], filename_prefix[0], graph)
            names = [f"{file['subfolder']}/{file['filename']}".lstrip("/") for file in files]
        rows = [
            {"file": file, "seconds": wave.shape[1] / rate}
            for file, (wave, rate) in zip(files, clips, strict=True)
        ]
        with log.running():
            log.keep(rows)
        return io.NodeOutput(names, ui={"audio": files, sound_files.PLAYERS: rows})
