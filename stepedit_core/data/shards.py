"""Shards of training data: written whole or not at all, only ever added, read as one list.

A shard's .safetensors is renamed into place first, its .jsonl last; a process that is killed loses
only the shard in memory, whose work orders are still open when it starts again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors.torch import save_file

from ..files.lock import Lock
from ..files.reading import kind_of_value, parse_json, read_lines, read_object
from ..files.tensors import read_tensors
from ..files.tokens import CODEBOOK_LIMIT, codes_of
from ..files.whole import ready_folder, whole_file, write_whole
from ..printable import shown
from ..types import DualCodes, EditRequest
from ..vocab import LINGUISTIC_PER_GROUP, SEMANTIC_PER_GROUP
from .records import REMEDY, Example, checked_line, line_of

log = logging.getLogger(__name__)
FORMAT = 1
ABOUT = "dataset.json"
SHARD_EXAMPLES = 256
"""Examples in a shard: the most that a kill costs."""
SHARD = re.compile(r"data-(\d{5,9})\.(jsonl|safetensors)")
"""Name of a shard's two files."""
SIDES = ("source", "target", "rejected")


def read_about(folder: Path) -> dict[str, Any]:
    """dataset.json of a folder; ValueError where there is none or it is another format."""
    path = folder / ABOUT
    if not os.path.lexists(path):
        raise ValueError(
            f"'{shown(folder.name)}' has no {ABOUT}; expected is a folder that `stepedit data` "
            "wrote. Check the path, or build the data first."
        )
    about = read_object(path, remedy=REMEDY)
    found = about.get("format")
    if found != FORMAT or type(found) is not int:
        raise ValueError(
            f"{ABOUT} of '{shown(folder.name)}' has format {shown(found, 40)}; this version reads "
            f"{FORMAT}. {REMEDY}"
        )
    codebook = about.get("codebook")
    if not isinstance(codebook, str) or not 0 < len(codebook) <= CODEBOOK_LIMIT:
        raise ValueError(
            f"{ABOUT} of '{shown(folder.name)}' has {kind_of_value(codebook)} as codebook; the "
            f"name of a tokenizer pair is expected. {REMEDY}"
        )
    return about


def shards_of(folder: Path) -> list[Path]:
    """The .jsonl of every shard, in order; a file with nearly such a name is warned of."""
    found = sorted(folder.glob("data-*.jsonl"))
    for path in found:
        if not SHARD.fullmatch(path.name):
            log.warning(
                "'%s' in '%s' is not counted: a shard is called data-00000.jsonl, with its number.",
                shown(path.name),
                shown(folder.name),
            )
    return [path for path in found if SHARD.fullmatch(path.name)]


class Dataset:
    """All complete shards of a folder; examples are read from the tensors when asked for."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.about = read_about(self.folder)
        self.codebook: str = self.about["codebook"]
        self.lines: list[dict[str, Any]] = []
        self._shards: list[str] = []
        self._shard_of: list[int] = []
        self._tensors: dict[int, DualCodes] = {}
        known: dict[str, str] = {}
        for path in shards_of(self.folder):
            self._shards.append(path.stem)
            before = len(self.lines)
            for line in read_lines(path, REMEDY, whole=True):
                where = f"line {line.number} of '{shown(path.name)}'"
                example = checked_line(parse_json(line.text, where, REMEDY), where)
                if example["id"] in known:
                    raise ValueError(
                        f"{where} has an example of '{shown(known[example['id']])}' again; a "
                        f"folder has each once. {REMEDY}"
                    )
                known[example["id"]] = path.name
                self.lines.append(example)
                self._shard_of.append(len(self._shards) - 1)
            if len(self.lines) == before:
                raise ValueError(
                    f"'{shown(path.name)}' of '{shown(self.folder.name)}' has no examples; a shard "
                    f"has one or more. {REMEDY}"
                )

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[Example]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int) -> Example:
        """One example with its codes."""
        line, shard = self.lines[index], self._shard_of[index]
        tensors = self._codes_of(shard)
        codes = {s: self._cut(tensors, line[s]) for s in SIDES if line.get(s) is not None}
        example = self._example(line, codes)
        if example.id != line["id"]:
            raise ValueError(
                f"an example in '{shown(self._shards[shard])}' of '{shown(self.folder.name)}' is "
                f"not the one that was written: its words, edit or codes have changed. {REMEDY}"
            )
        return example

    def _example(self, line: Mapping[str, Any], codes: Mapping[str, DualCodes]) -> Example:
        return Example(
            kind=line["kind"],
            request=EditRequest(
                kind=line["edit"]["kind"],
                option=line["edit"]["option"],
                text=line["text"],
                new_text=line["new_text"],
            ),
            source=codes["source"],
            target=codes["target"],
            rejected=codes.get("rejected"),
            margin=line["margin"],
            scale=line["scale"],
            speaker=line["speaker"],
            language=line["language"],
            split=line["split"],
            provenance=line["provenance"],
            licence=line["licence"],
            key=line["key"],
        )

    def _codes_of(self, shard: int) -> DualCodes:
        """All codes of a shard, read once."""
        if shard not in self._tensors:
            path = self.folder / f"{self._shards[shard]}.safetensors"
            tensors = read_tensors(path, ("linguistic", "semantic"), REMEDY).tensors
            where = f"'{shown(path.name)}'"
            self._tensors[shard] = codes_of(tensors, self.codebook, where, REMEDY)
        return self._tensors[shard]

    def _cut(self, codes: DualCodes, span: Sequence[int]) -> DualCodes:
        """The codes of one side; ValueError where the span leads out of the shard."""
        first, groups = span
        if first + groups > codes.groups:
            raise ValueError(
                f"a line of '{shown(self.folder.name)}' names the groups {first} to "
                f"{first + groups}; its shard has {codes.groups}. {REMEDY}"
            )
        cut = {}
        for name, per in (("linguistic", LINGUISTIC_PER_GROUP), ("semantic", SEMANTIC_PER_GROUP)):
            cut[name] = getattr(codes, name)[first * per : (first + groups) * per]
        return DualCodes(codebook=self.codebook, **cut)

    @property
    def sha256(self) -> str:
        """Digest of all ids in order: which data a run has seen."""
        return hashlib.sha256("".join(line["id"] for line in self.lines).encode()).hexdigest()


class Writer:
    """Adds examples to a folder; `with` writes what is left in memory, also after an error.

    Args:
        folder: where; made when absent, continued when it has data of the same codebook.
        codebook: of all codes.
        about: facts of the data for dataset.json; those of an older run there stay.
        shard_examples: examples in a shard.

    One process writes to a folder at a time: ValueError for the second.
    """

    def __init__(
        self,
        folder: str | Path,
        codebook: str,
        about: Mapping[str, Any] | None = None,
        shard_examples: int = SHARD_EXAMPLES,
    ) -> None:
        self.folder = Path(folder)
        self.codebook = codebook
        self.shard_examples = shard_examples
        self.ids: set[str] = set()
        self.keys: set[str] = set()
        self._open: list[Example] = []
        ready_folder(self.folder)
        self._lock = Lock(self.folder)
        try:
            self._begin(about)
        except BaseException:
            self._lock.release()
            raise

    def _begin(self, about: Mapping[str, Any] | None) -> None:
        """Read what the folder has, or write dataset.json."""
        codebook = self.codebook
        numbers = [int(m[1]) for m in map(SHARD.fullmatch, os.listdir(self.folder)) if m]
        if os.path.lexists(self.folder / ABOUT):
            found = Dataset(self.folder)
            if found.codebook != codebook:
                raise ValueError(
                    f"'{shown(self.folder.name)}' has codes of codebook '{shown(found.codebook)}'; "
                    f"these are of '{shown(codebook)}'. Name another folder, or use the same "
                    "bundle."
                )
            self.ids = {line["id"] for line in found.lines}
            self.keys = {line["key"] for line in found.lines if line["key"]}
        elif numbers:
            raise ValueError(
                f"'{shown(self.folder.name)}' has shards and no {ABOUT}, so what they have cannot "
                f"be known. Bring {ABOUT} back, or name another folder."
            )
        else:
            facts = {"format": FORMAT, "codebook": codebook, "about": dict(about or {})}
            write_whole(
                self.folder / ABOUT,
                json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            )
        # past every number, so that not even half a shard, which a kill left, is replaced
        self._next = 1 + max(numbers, default=-1)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what is left, whatever ended the block, and let the next writer in."""
        try:
            self.flush()
        finally:
            self._lock.release()

    def add(self, example: Example) -> bool:
        """Take an example; False where an equal one is there already."""
        return bool(self.add_all([example]))

    def add_all(self, examples: Iterable[Example]) -> int:
        """Take examples of one work order, which never end up in two shards; how many were new."""
        added = 0
        for example in examples:
            for codes in (example.source, example.target, example.rejected):
                if codes is not None and codes.codebook != self.codebook:
                    raise ValueError(
                        f"an example has codes of codebook '{shown(codes.codebook)}'; this folder "
                        f"takes '{shown(self.codebook)}'. Tokenize with the same bundle."
                    )
            if example.id not in self.ids:
                self.ids.add(example.id)
                self.keys.update([example.key] if example.key else [])
                self._open.append(example)
                added += 1
        if len(self._open) >= self.shard_examples:
            self.flush()
        return added

    def flush(self) -> None:
        """Write the open examples as a shard."""
        if not self._open:
            return
        stem = self.folder / f"data-{self._next:05d}"
        lines, linguistic, semantic, at = [], [], [], 0
        for example in self._open:
            spans = {}
            for side in SIDES:
                codes: DualCodes | None = getattr(example, side)
                if codes is None:
                    continue
                spans[side] = (at, codes.groups)
                at += codes.groups
                linguistic.append(codes.linguistic)
                semantic.append(codes.semantic)
            lines.append(json.dumps(line_of(example, spans), ensure_ascii=False, allow_nan=False))
        joined = {"linguistic": torch.cat(linguistic), "semantic": torch.cat(semantic)}
        tensors = {name: codes.to(torch.int16) for name, codes in joined.items()}
        size = sum(codes.nbytes for codes in tensors.values())
        with whole_file(stem.with_suffix(".safetensors"), size=size) as part:
            save_file(tensors, part)
        write_whole(stem.with_suffix(".jsonl"), "\n".join(lines) + "\n")
        self._next += 1
        self._open = []
