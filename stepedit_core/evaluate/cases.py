"""What is edited in an evaluation, and the reader of the public benchmark's JSON-lines.

Source: Step-Audio-Edit-Benchmark (Apache-2.0): id, speaker, gen_text, prompt_audio, prompt_text,
lang, task, task_sub. Known there: ids of styles are templates that repeat, so a case is named by
file and line; the data's task is spelt "paralingustic"; act_cute is another spelling of act_coy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..files.reading import parse_object, read_lines
from ..printable import shown
from ..text.edits import without_tags
from ..types import EditRequest

TASKS = {
    "emotion": "emotion",
    "style": "style",
    "paralingustic": "sounds",
    "paralinguistic": "sounds",
}
"""Spelling of the data -> kind of edit."""
SPELLINGS = {"act_cute": "act_coy"}
"""Label of the data -> option of the edit."""
FIELDS = ("speaker", "gen_text", "prompt_audio", "prompt_text", "lang", "task", "task_sub")
REMEDY = "Correct the file, or take the published one."


@dataclass(frozen=True, kw_only=True)
class Case:
    """One text in one voice with one attribute to add."""

    name: str
    """File and line: what results are keyed by."""
    speaker: str
    text: str
    """Words to be said, with [tags] where sounds belong."""
    prompt_audio: Path
    prompt_text: str
    language: str
    kind: str
    """emotion, style or sounds."""
    label: str
    """Option, or the tag."""

    @property
    def words(self) -> str:
        """Words that are spoken, without tags."""
        return without_tags(self.text)

    @property
    def request(self) -> EditRequest:
        """The edit of one round."""
        if self.kind == "sounds":
            return EditRequest(kind="sounds", text=self.words, new_text=self.text)
        return EditRequest(kind=self.kind, option=self.label, text=self.words)


def read_cases(path: str | Path) -> list[Case]:
    """The cases of a JSON-lines file; audio paths are relative to it.

    Raises ValueError with the line for what is not JSON, lacks a field, or names an unknown task.
    """
    source = Path(path)
    if not source.is_file():
        raise ValueError(
            f"there is no file '{shown(source.name)}'; expected is a JSON-lines file of cases. "
            "Check the path."
        )
    cases = []
    for number, line in read_lines(source, REMEDY):
        where = f"line {number} of {shown(source.name)}"
        row = parse_object(line, where, REMEDY)
        missing = [f for f in FIELDS if not isinstance(row.get(f), str)]
        if missing:
            raise ValueError(
                f"{where} lacks the text '{shown(missing[0])}'; needed are {', '.join(FIELDS)}. "
                f"{REMEDY}"
            )
        for field in ("prompt_audio", "task_sub", "gen_text"):
            if not row[field].strip() or "\0" in row[field]:
                raise ValueError(f"{where} has nothing readable as {shown(field)}. {REMEDY}")
        kind = TASKS.get(row["task"])
        if kind is None:
            raise ValueError(
                f"{where} has the task '{shown(row['task'], 40)}'; known are {', '.join(TASKS)}. "
                f"{REMEDY}"
            )
        cases.append(
            Case(
                name=f"{source.stem}:{number}",
                speaker=row["speaker"],
                text=row["gen_text"],
                prompt_audio=source.parent / row["prompt_audio"],
                prompt_text=row["prompt_text"],
                language=row["lang"],
                kind=kind,
                label=SPELLINGS.get(row["task_sub"], row["task_sub"]),
            )
        )
    if not cases:
        raise ValueError(f"{shown(source.name)} has no cases. {REMEDY}")
    return cases
