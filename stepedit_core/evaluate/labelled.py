"""A file of labelled clips: what a judge learns from and is tried on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..audio.files import read_clip
from ..files.reading import parse_object, read_lines
from ..printable import shown
from .functionals import functionals


def read_labelled(path: Path, *, sounds: bool = False) -> tuple[list[dict[str, Any]], list[bool]]:
    """The lines of a file of labelled clips, and which are held out."""
    rows, remedy = [], "Correct the file of clips."
    for number, text in read_lines(path, remedy):
        where = f"line {number} of {shown(path.name)}"
        row = parse_object(text, where, remedy)
        for name in ("source", "audio", "label"):
            value = row.get(name)
            if not isinstance(value, str) or not value.strip() or "\0" in value:
                raise ValueError(f"{where} has no text as {shown(name)}; a clip has one. {remedy}")
        if row.get("split", "train") not in ("train", "dev"):
            raise ValueError(f"{where} has another split than train and dev. {remedy}")
        if "start" in row or "end" in row or sounds:
            start, end = row.get("start"), row.get("end")
            numbers = isinstance(start, (int, float)) and isinstance(end, (int, float))
            if not (numbers and 0 <= float(start or 0) < float(end or 0) <= 3600):
                raise ValueError(
                    f"{where} has no start and end in seconds, one after the other. {remedy}"
                )
        rows.append(row)
    if not rows:
        raise ValueError(f"{shown(path.name)} has no clips. {remedy}")
    return rows, [row.get("split", "train") == "dev" for row in rows]


def features_of(path: Path) -> tuple[Tensor, list[str], list[bool]]:
    """Features (N, D), labels and whether held out, of a file of labelled edits."""
    rows, held_out = read_labelled(path)
    names = {row[side] for row in rows for side in ("source", "audio")}
    heard = {name: functionals(read_clip(path.parent / name)) for name in sorted(names)}
    features = torch.stack([heard[row["audio"]] - heard[row["source"]] for row in rows])
    return features, [row["label"] for row in rows], held_out
