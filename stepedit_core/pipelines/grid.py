"""Every recording of a folder times every set of edits: lines of a script without a script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..files.reading import read_text
from ..printable import shown
from .script_files import SOUNDS, unique
from .script_lines import NAME, AnyLine, BrokenLine, ScriptEdit, ScriptLine

MOST_FILES = 100_000
TEXT_LIMIT = 2**16
"""Most bytes of a transcript."""
REMEDY = "Save the words of the clip as a text."


def grid_lines(
    folder: Path, sets: Sequence[tuple[ScriptEdit, ...]], fit: float = 0.0
) -> list[AnyLine]:
    """A line for each recording of a folder and each set of edits, broken ones among them.

    The words of clip.wav are those of clip.txt beside it, where there is one. A result is called by
    the recording, and by the edits where there are several sets. Folders inside are not searched.
    Raises ValueError for a folder that is not there or has no recordings.
    """
    if not folder.is_dir():
        raise ValueError(
            f"no folder at '{shown(folder)}', nor a script; a folder with recordings, or a script, "
            "is needed. Check the path."
        )
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SOUNDS)
    if not files:
        raise ValueError(
            f"'{shown(folder)}' has no recordings ({', '.join(SOUNDS)}); one or more are needed. "
            "Name their folder."
        )
    if len(files) * len(sets) > MOST_FILES:
        raise ValueError(
            f"'{shown(folder)}' would give {len(files) * len(sets)} results; {MOST_FILES} are "
            "allowed. Split it."
        )
    check_labels(sets)
    return unique([_line(path, edits, len(sets) > 1, fit) for path in files for edits in sets])


def check_labels(sets: Sequence[tuple[ScriptEdit, ...]]) -> None:
    """Raise ValueError where the results of two sets of edits would have one name."""
    names = [label(edits) for edits in sets]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise ValueError(
            f"two sets of edits would give the name '{shown(twice)}' to their results; each needs "
            "its own. Leave one out."
        )


def check_results_apart(folder: Path, out: Path) -> None:
    """Raise ValueError where results would lie among the recordings of a folder."""
    if out.exists() and folder.exists() and out.samefile(folder):
        raise ValueError(
            f"'{shown(out.name)}' is the folder of the recordings, and the next run would take "
            "results for recordings. Name another folder for the results."
        )


def _line(path: Path, edits: tuple[ScriptEdit, ...], several: bool, fit: float) -> AnyLine:
    """The line of one result."""
    name = f"{path.stem}-{label(edits)}" if several else path.stem
    words = path.with_suffix(".txt")
    try:
        if not NAME.fullmatch(name):
            raise ValueError(
                f"'{shown(path.name)}' gives a result the name '{shown(name)}'; letters, digits, "
                "'-', '_', '.' and spaces, at most 100, are allowed. Rename the recording."
            )
        text = read_text(words, TEXT_LIMIT, REMEDY) if words.is_file() else ""
    except (ValueError, OSError) as error:
        return BrokenLine(id=name, error=str(error))
    text = " ".join(text.split())
    return ScriptLine(id=name, file=path.name, text=text, edits=edits, fit=fit)


def label(edits: Sequence[ScriptEdit]) -> str:
    """Edits as part of a file's name: emotion-happy-2, several with _ between."""
    parts = []
    for edit in edits:
        words = [edit.kind, edit.option, str(edit.rounds) if edit.rounds > 1 else ""]
        words.append(f"{edit.strength:g}" if edit.strength != 1 else "")
        parts.append("-".join(re.sub(r"[^\w.]+", "-", word).strip("-") for word in words if word))
    return "_".join(parts)
