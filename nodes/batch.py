"""Batch Edit: every recording of a folder by the same edits, into another folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from ..stepedit_core.printable import shown
from . import inputs
from .compat import StepEditEdit, schema
from .host import folders, models, progress
from .words import recogniser_found

if TYPE_CHECKING:
    from ..stepedit_core.output.script_folder import Entry
    from ..stepedit_core.pipelines.script_lines import AnyLine, ScriptEdit
    from .instructions import Edit

RECORDINGS, FOLDER = "stepedit/recordings", "stepedit/batch"


class BatchEdit(io.ComfyNode):
    """Batch Edit."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A folder of recordings and an edit in; a folder of results, its manifest out."""
        return schema(
            node_id="StepEdit_BatchEdit",
            display_name="Batch Edit",
            description="Edits every recording of a folder in the same way, into another folder. "
            "What an earlier run has made, and what is as it was, is not made again; a run that "
            "was cancelled resumes.",
            search_aliases=["batch", "folder", "many files", "speech edit", "bulk"],
            is_output_node=True,  # it writes files
            inputs=[
                inputs.model(),
                StepEditEdit.Input(
                    "edit",
                    tooltip="What to change in each recording, from Emotion, Speed and so on.",
                ),
                io.String.Input(
                    "recordings",
                    default=RECORDINGS,
                    tooltip="Folder below the input folder with the recordings (.wav, .flac, .mp3, "
                    ".ogg); the words of clip.wav in clip.txt beside it, else they are heard. "
                    "Folders inside it are left out.",
                ),
                io.String.Input(
                    "folder",
                    default=FOLDER,
                    tooltip="Folder below the output folder for a WAV file of each recording, of "
                    "its name, and script.json.",
                ),
                inputs.rounds(),
                inputs.strength(),
                inputs.recogniser(),
                inputs.seed(),
            ],
            outputs=[
                io.String.Output(
                    display_name="manifest",
                    tooltip="Path of script.json: for each result its plan, seed, scores, words, "
                    "likeness of the voice, seconds and sha256.",
                ),
                io.String.Output(
                    display_name="summary",
                    tooltip="How many were made, kept and failed, then a row for each recording: "
                    "seconds, margin score, likeness of the voice, and what was done or why not.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        recogniser: str = folders.AUTO,
        recordings: str = RECORDINGS,
        folder: str = FOLDER,
    ) -> bool | str:
        """Recordings lie below the input folder, results below the output folder."""
        try:
            folders.recordings_folder(recordings)
            folders.results_folder(folder)
        except ValueError as error:
            return str(error)
        return recogniser_found(recogniser)

    @classmethod
    def fingerprint_inputs(
        cls,
        recogniser: str = folders.AUTO,
        recordings: str = RECORDINGS,
        folder: str = FOLDER,
        **_: Any,
    ) -> str:
        """Who hears, the recordings and the results: a new or missing file is seen."""
        places = (folders.recordings_folder(recordings), folders.results_folder(folder))
        return "\n".join([folders.find_recogniser(recogniser), *map(folders.folder_stamps, places)])

    @classmethod
    def execute(
        cls,
        model: models.LoadedModel,
        edit: Edit,
        recordings: str,
        folder: str,
        rounds: int,
        strength: float,
        recogniser: str,
        seed: int,
    ) -> io.NodeOutput:
        """Edit every recording that is new."""
        from ..stepedit_core.audio.clips import LONGEST_S
        from ..stepedit_core.output.script import STAGE, ScriptRun, run_script
        from ..stepedit_core.pipelines.grid import check_results_apart, grid_lines

        base, out = folders.recordings_folder(recordings), folders.results_folder(folder)
        check_results_apart(base, out)
        lines = grid_lines(base, [_edits(edit, rounds, strength)])
        run = ScriptRun(
            bundle=model.ready(2 * LONGEST_S),
            base=base,
            seed=seed,
            recogniser=folders.find_recogniser(recogniser),
            hooks=progress.CountingHooks(STAGE, says="clip"),
        )
        return _said(run_script(_inside(lines, base), out, run), out)


def _edits(edit: Edit, rounds: int, strength: float) -> tuple[ScriptEdit, ...]:
    """The list of edits as those of a line."""
    from ..stepedit_core.pipelines.script_lines import ScriptEdit

    return tuple(
        ScriptEdit(
            kind=request.kind,
            option=request.new_text or request.option,
            rounds=rounds,
            strength=strength,
            engine=request.engine,
            seconds=request.seconds,
        )
        for request in edit
    )


def _inside(lines: list[AnyLine], base: Path) -> list[AnyLine]:
    """The lines; a recording that is a link out of the input folder is broken."""
    from ..stepedit_core.pipelines.script_lines import BrokenLine, ScriptLine

    found: list[AnyLine] = []
    for line in lines:
        if isinstance(line, ScriptLine) and not folders.in_input_folder(str(base / line.file)):
            error = (
                f"'{shown(line.file)}' is a link out of the input folder; recordings lie in it. "
                "Put the file there."
            )
            line = BrokenLine(id=line.id, error=error)
        found.append(line)
    return found


def _said(entries: list[Entry], out: Path) -> io.NodeOutput:
    """Manifest and summary; ValueError where no recording has a result."""
    from ..stepedit_core.files.terminal import table
    from ..stepedit_core.output.script import AS_RECORDED, COLUMNS, entry_rows
    from ..stepedit_core.output.script_folder import MANIFEST

    good = [entry for entry in entries if not entry.get("error")]
    if not good:
        raise ValueError(f"no recording could be edited. {shown(entries[0]['error'], 400)}")
    kept = sum(bool(entry.get("kept")) for entry in good)
    same = sum(entry.get("state") == AS_RECORDED for entry in good if not entry.get("kept"))
    counts = f"{len(good) - kept - same} made, {kept} kept, {len(entries) - len(good)} failed"
    if same:
        counts += f", {same} {AS_RECORDED}"
    progress.say(f"done: {shown(counts)}")
    head = f"{len(entries)} recordings: {counts}"
    rows = table(("recording", *COLUMNS[1:]), entry_rows(entries))
    return io.NodeOutput(str(out / MANIFEST), f"{head}\n\n{rows}")


NODES = [BatchEdit]
