"""What one line of training data is, and its place in a shard.

The format, whole:

    DIR/dataset.json              {"format": 1, "codebook": ..., "about": {...}}
    DIR/data-00000.jsonl          one example a line, UTF-8; written last, it makes a shard count
    DIR/data-00000.safetensors    linguistic (2 S,) int16 and semantic (3 S,) int16, S groups in all

A line has
    id                     content hash, 32 hex digits: equal examples are stored once
    kind                   triplet <text, source, target> with the same words (arXiv:2511.03601);
                           quadruplet <text, source, new_text, target>; sample: an answer of a model
                           with its score; pair: a preferred answer and a rejected one
    edit, text, new_text   {"kind", "option"}, words of the source, words of the target if others
    source target rejected [first group, groups] in the shard's tensors; rejected only in a pair
    margin, scale          score 1..scale, of a pair the difference of two; margin may be null
    speaker language split split is train or dev; held-out speakers are dev
    provenance licence     where it came from, and under what terms
    key                    hash of the work order it was made from; resuming skips known keys

A group is 120 ms: 2 linguistic and 3 semantic codes. Shards are only ever added.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar, Literal

from ..files.strict import Bounds, from_json
from ..models.scorer import edit_name
from ..types import DualCodes, EditRequest

REMEDY = "Build the data again, or take the folder again from where it came from."
MOST_GROUPS = 2**31
"""Groups of a shard: more than any file has."""
Kind = Literal["triplet", "quadruplet", "sample", "pair"]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One example; codes as in DualCodes."""

    kind: Kind
    request: EditRequest
    source: DualCodes
    target: DualCodes
    """The result to learn: the attribute clip, a model's answer, of a pair the preferred one."""
    rejected: DualCodes | None = None
    margin: float | None = None
    scale: int = 10
    speaker: str = ""
    language: str = ""
    split: Literal["train", "dev"] = "train"
    provenance: str = ""
    licence: str = ""
    key: str = ""

    @property
    def label(self) -> str:
        """Its class: kind and option of the edit, "emotion happy"."""
        return edit_name(self.request.kind, self.request.option)

    @property
    def id(self) -> str:
        """Hash of what is learnt from: kind, request, codes. Who, whence and score do not count."""
        return digest(self.kind, *_request(self.request), self.source, self.target, self.rejected)

    @property
    def prompt_id(self) -> str:
        """Hash of request and source: answers to one prompt share it."""
        return digest(*_request(self.request), self.source)


def _request(request: EditRequest) -> tuple[str, str, str, str]:
    return request.kind, request.option, request.text, request.new_text


def digest(*parts: str | DualCodes | None) -> str:
    """32 hex digits of texts and codes in order; every part is separated from its neighbours."""
    found = blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, DualCodes):
            raw = part.linguistic.numpy().astype("<i2").tobytes()
            raw += part.semantic.numpy().astype("<i2").tobytes()
        else:
            raw = (part or "").encode()
        found.update(len(raw).to_bytes(8, "little") + raw)
    return found.hexdigest()


def line_of(example: Example, spans: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """The JSON object of an example whose codes lie at spans (first group, groups)."""
    request = example.request
    return {
        "id": example.id,
        "kind": example.kind,
        "edit": {"kind": request.kind, "option": request.option},
        "text": request.text,
        "new_text": request.new_text,
        **{side: list(span) for side, span in spans.items()},
        "margin": example.margin,
        "scale": example.scale,
        "speaker": example.speaker,
        "language": example.language,
        "split": example.split,
        "provenance": example.provenance,
        "licence": example.licence,
        "key": example.key,
    }


def canonical(value: object) -> str:
    """JSON that is equal for equal values."""
    return json.dumps(
        value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )


@dataclass(frozen=True, kw_only=True)
class _Edit:
    """The edit of a line."""

    kind: str
    option: str


@dataclass(frozen=True, kw_only=True)
class _Line:
    """The values of a line, for their types and bounds."""

    BOUNDS: ClassVar[Bounds] = {
        "margin": (0, 100),
        "scale": (1, 100),
        "source": (0, MOST_GROUPS),
        "target": (0, MOST_GROUPS),
        "rejected": (0, MOST_GROUPS),
    }
    id: str
    kind: Kind
    edit: _Edit
    text: str
    new_text: str
    source: tuple[int, int]
    target: tuple[int, int]
    rejected: tuple[int, int] | None = None
    margin: float | None
    scale: int
    speaker: str
    language: str
    split: Literal["train", "dev"]
    provenance: str
    licence: str
    key: str


def checked_line(data: object, where: str) -> dict[str, Any]:
    """The JSON object of a line; ValueError unless it has all that the format says, and no more."""
    line = from_json(_Line, data, where, REMEDY)
    pair = line.kind == "pair"
    if pair != (line.rejected is not None):
        raise ValueError(
            f"{where} is a {line.kind} with{'out' if pair else ''} a rejected answer; a pair has "
            f"one, and nothing else has. {REMEDY}"
        )
    sides = (line.source, line.target, line.rejected)
    if any(side is not None and side[1] < 1 for side in sides):
        raise ValueError(f"{where} has a side of no groups; 1 or more are expected. {REMEDY}")
    assert isinstance(data, dict)
    return data
