"""Script: many lines, each a clip with its own edits, into one folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from ..stepedit_core.printable import shown
from . import inputs
from .compat import schema
from .host import folders, models, progress, sound
from .words import recogniser_found

if TYPE_CHECKING:
    from ..stepedit_core.output.script import ScriptRun
    from ..stepedit_core.pipelines.script_lines import AnyLine

FOLDER = "stepedit/script"


class Script(io.ComfyNode):
    """Script."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Lines in; a file of each, the sounds, and what was done out."""
        return schema(
            node_id="StepEdit_Script",
            display_name="Script",
            description="Edits many lines, each a clip with its own edits, into one folder. A "
            "line that is as it was in the last run is not made again, and its file stays byte "
            "for byte.",
            search_aliases=["batch", "subtitles", "srt", "csv", "lines", "dubbing"],
            is_output_node=True,  # it writes files
            inputs=[
                inputs.model(),
                io.String.Input(
                    "script",
                    multiline=True,
                    default="",
                    placeholder="id,start,end,text,edits",
                    tooltip="The lines as CSV, JSON lines or SRT. A line has id, file (in the "
                    "input folder), start and end in s or words, text, edits, fit, seed; all but "
                    "the edits may be left out.",
                ),
                io.String.Input(
                    "edits",
                    default="",
                    tooltip="Edits of lines that name none, such as: emotion:sad rounds=2; "
                    "speed:faster",
                ),
                io.Boolean.Input(
                    "fit_slot",
                    default=False,
                    tooltip="Make each result as long as its range of the recording, for subtitles "
                    "and pictures; a line may say otherwise.",
                ),
                io.String.Input(
                    "folder",
                    default=FOLDER,
                    tooltip="Folder below the output folder for a WAV file of each line, named by "
                    "its id, and script.json.",
                ),
                inputs.recogniser(),
                inputs.seed(),
                io.Audio.Input(
                    "audio",
                    optional=True,
                    tooltip="The recording of lines that name no file, of any length, 8 to 192 "
                    "kHz, any channels.",
                ),
            ],
            outputs=[
                io.Audio.Output(
                    display_name="audio",
                    is_output_list=True,
                    tooltip="The results in the order of the lines, each at its recording's rate "
                    "and channels; lines that failed are left out.",
                ),
                io.String.Output(
                    display_name="files",
                    is_output_list=True,
                    tooltip="Names of the files below the output folder, in the same order.",
                ),
                io.String.Output(
                    display_name="lines",
                    tooltip="A row for each line: seconds, margin score, likeness of the voice, "
                    "and what was done or why not.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, recogniser: str = folders.AUTO, folder: str = FOLDER) -> bool | str:
        """Results would lie below the output folder."""
        try:
            folders.results_folder(folder)
        except ValueError as error:
            return str(error)
        return recogniser_found(recogniser)

    @classmethod
    def fingerprint_inputs(cls, script: str = "", recogniser: str = folders.AUTO, **_: Any) -> str:
        """Which folder hears, and the recordings, so that a new one of the same name is read."""
        from ..stepedit_core.pipelines.script_files import script_from_text

        names = [getattr(line, "file", "") for line in script_from_text(script)]
        return f"{folders.find_recogniser(recogniser)}\n{folders.file_stamps(filter(None, names))}"

    @classmethod
    def execute(
        cls,
        model: models.LoadedModel,
        script: str,
        edits: str,
        fit_slot: bool,
        folder: str,
        recogniser: str,
        seed: int,
        audio: dict[str, Any] | None = None,
    ) -> io.NodeOutput:
        """Make every line that is new."""
        from ..stepedit_core.audio.clips import LONGEST_S
        from ..stepedit_core.output.script import ScriptRun
        from ..stepedit_core.pipelines.script_lines import SLOT, Defaults, edits_of

        recording = "" if audio is None else str(sound.as_file(sound.recording(audio)))
        defaults = Defaults(
            edits=edits_of(edits, "edits"), recording=recording, fit=SLOT if fit_slot else 0.0
        )
        lines = _own_lines(script, defaults)
        run = ScriptRun(
            bundle=model.ready(2 * LONGEST_S),
            base=folders.input_folder(),
            seed=seed,
            recogniser=folders.hearing_folder(recogniser),
            hooks=progress.CountingHooks("line"),
        )
        return _made(lines, folder, run)


def _own_lines(script: str, defaults: Any) -> list[AnyLine]:
    """The lines; one that names a file outside of the input folder is broken."""
    from ..stepedit_core.pipelines.script_files import script_from_text
    from ..stepedit_core.pipelines.script_lines import BrokenLine, ScriptLine

    found: list[AnyLine] = []
    for line in script_from_text(script, defaults):
        known = not isinstance(line, ScriptLine) or line.file == defaults.recording
        if known or folders.in_input_folder(line.file):
            found.append(line)
            continue
        error = (
            f"'{shown(line.file)}' lies outside of the input folder; recordings of a script lie in "
            "it. Put the file there."
        )
        found.append(BrokenLine(id=line.id, error=error))
    return found


def _made(lines: Sequence[AnyLine], folder: str, run: ScriptRun) -> io.NodeOutput:
    """The results of all lines; ValueError where none has one."""
    from ..stepedit_core.audio.recordings import read_recording
    from ..stepedit_core.files.terminal import table
    from ..stepedit_core.output.script import COLUMNS, entry_rows, run_script

    out = folders.results_folder(folder)
    entries = run_script(lines, out, run)
    good = [entry for entry in entries if not entry.get("error")]
    if not good:
        raise ValueError(f"no line could be made. {shown(entries[0]['error'], 400)}")
    count = sum(bool(entry.get("kept")) for entry in good)
    progress.say(f"done: {len(good)} of {len(entries)} lines, {count} kept")
    return io.NodeOutput(
        [sound.whole_audio(read_recording(out / entry["file"])) for entry in good],
        [f"{folder}/{entry['file']}" for entry in good],
        table(COLUMNS, entry_rows(entries)),
    )


NODES = [Script]
