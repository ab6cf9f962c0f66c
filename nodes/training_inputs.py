"""What the nodes of training data share: inputs, outputs, whole lists, the folder they write to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from ..stepedit_core.printable import quoted, shown
from ..stepedit_core.text.edits import LONGEST_FACT, check_text
from . import inputs
from .compat import StepEditEdit, advanced
from .host import folders, progress

if TYPE_CHECKING:
    from ..stepedit_core.data.shards import Writer
    from ..stepedit_core.registry.handle import Bundle
    from ..stepedit_core.types import EditRequest
    from .instructions import Edit

SPLITS = ("train", "dev")
ABOUT = ("speaker", "language", "split", "provenance", "licence")
"""Inputs that go into every line as they are."""
ALIASES = ["dataset", "training data", "margin", "reinforcement learning"]


def folder_input(default: str) -> io.Input:
    """The data folder."""
    return io.String.Input(
        "folder",
        default=default,
        tooltip="Data folder below ComfyUI's output folder. What is in it stays, equal examples "
        "are stored once; it takes the tokens of one model only.",
    )


def about_inputs() -> list[Any]:
    """Who speaks, in which language, for training or held out, from where, on what terms."""
    return [
        io.String.Input(
            "speaker",
            default="",
            tooltip="Name of the voice, any word. Voices that are held out must not be trained on.",
        ),
        advanced(
            io.String.Input,
            "language",
            default="",
            tooltip="Language of the words as a code, for example en or zh; may stay empty.",
        ),
        advanced(
            io.Combo.Input,
            "split",
            options=list(SPLITS),
            default=SPLITS[0],
            tooltip="train: learnt from. dev: held out, only measured on.",
        ),
        advanced(
            io.String.Input,
            "provenance",
            default="",
            tooltip="Where the recordings come from, in your own words; kept with every example.",
        ),
        advanced(
            io.String.Input,
            "licence",
            default="",
            tooltip="Terms of the recordings, for example CC-BY-4.0; kept with every example.",
        ),
    ]


def edit_input() -> io.Input:
    """The edit of an example."""
    return StepEditEdit.Input(
        "edit", tooltip="The one edit that leads from the source to the result."
    )


def outputs(found: str) -> list[Any]:
    """Folder, margins, text and chart; `found` is the tooltip of the margins."""
    return [
        io.String.Output(
            display_name="folder",
            tooltip="The data folder below the output folder, for the command `stepedit data`.",
        ),
        io.Float.Output(display_name="margins", is_output_list=True, tooltip=found),
        io.String.Output(
            display_name="text",
            tooltip="What was new, and a table of the whole folder: examples, hours, margins.",
        ),
        io.Image.Output(
            display_name="chart", tooltip="Bars: examples of the folder by class and by margin."
        ),
    ]


MARGINS = "Margin score of each item, 1 to 10, no unit; 0 where the scorer does not know the edit."


class DataNode(io.ComfyNode):
    """What the three nodes check before a graph runs."""

    @classmethod
    def validate_inputs(
        cls,
        folder: list[str] | None = None,
        text: list[str] | None = None,
        speaker: list[str] | None = None,
        language: list[str] | None = None,
        split: list[str] | None = None,
        provenance: list[str] | None = None,
        licence: list[str] | None = None,
    ) -> bool | str:
        """Whatever a folder of data could not keep. Lists are given, and nothing for a link."""
        given = zip(ABOUT, (speaker, language, split, provenance, licence), strict=True)
        try:
            for name in folder or ():
                folders.check_prefix(name, "folder", "stepedit/data")
            for words in text or ():
                check_text("text", words)
            check_about({name: values or () for name, values in given})
        except ValueError as error:
            return str(error)
        return True


def check_about(about: Mapping[str, Sequence[str]]) -> None:
    """Raise ValueError for facts that no line can keep; core 0.3.75 checks no combo."""
    for name, values in about.items():
        for value in values:
            check_text(name, value, LONGEST_FACT)
            said = inputs.one_of(name, value, SPLITS) if name == "split" else True
            if said is not True:
                raise ValueError(said)


def check_margin(name: str, value: float, least: float, most: float) -> None:
    """Raise ValueError for a margin out of bounds, as NaN is, which core 0.3.75 lets through."""
    if not least <= value <= most:
        raise ValueError(
            f"{shown(name)} is {quoted(value)}; allowed are {least:g} to {most:g}. Change it."
        )


def only_edit(edit: Sequence[Edit], text: str) -> EditRequest:
    """The request of an edit list that must hold one."""
    if len(edit) != 1 or len(edit[0]) != 1:
        found = sum(map(len, edit))
        raise ValueError(
            f"the edit asks for {shown(found)} changes; an example has 1. Connect one edit node."
        )
    return replace(edit[0][0], text=text)


def items_of(**given: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Lists side by side; one of length 1 serves all. ValueError where lengths differ."""
    most = max(map(len, given.values()))
    for name, values in given.items():
        if len(values) not in (1, most):
            lengths = ", ".join(f"{len(v)} of {n}" for n, v in given.items())
            raise ValueError(
                f"the lists differ in length: {shown(lengths)}; {shown(name)} must hold 1 or "
                f"{most}. Connect lists that belong together."
            )
    columns = [list(v) * (most if len(v) == 1 else 1) for v in given.values()]
    return list(zip(*columns, strict=True))


def writer_for(folder: str, bundle: Bundle) -> Writer:
    """The open data folder of this bundle."""
    from ..stepedit_core.data.shards import Writer

    about = {"bundle": bundle.name, "sha256": bundle.sha256}
    return Writer(folders.data_folder(folder), bundle.manifest.codebook, about)


def summary(
    folder: str, new: int, of: str, margins: list[float], *, none: str = ""
) -> io.NodeOutput:
    """What all three nodes return: the folder as it is now; `none` says why nothing was kept."""
    from ..stepedit_core.data.shards import Dataset
    from ..stepedit_core.data.stats import stats_picture, stats_table
    from .picture import as_tensor

    lines = Dataset(folders.data_folder(folder)).lines
    text = "\n\n".join([*filter(None, [none]), f"{new} new {of}", stats_table(lines)])
    progress.say(none or f"{new} new, {len(lines)} in all")
    chart = as_tensor(stats_picture(lines))
    return io.NodeOutput(folder, margins, text, chart, ui={"text": [text]})
