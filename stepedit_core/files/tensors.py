"""The gate for safetensors files: a header that fits its file, then tensors of the kinds expected.

Source of the format: the safetensors README (8 bytes of header length, a JSON header, then the raw
tensors). No pickles.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..printable import listed, shown
from .reading import TAKE_AGAIN, UnreadableFileError, decoded, parse_object, read_bytes

HEADER_LIMIT = 8 * 2**20
"""Most bytes of JSON header; the released language model needs 33 kB."""
NAME_LIMIT = 300
"""Most characters of a tensor's name."""
WIDTHS = {"F16": 2, "BF16": 2, "F32": 4, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1}
"""Bytes of a number of each dtype that is read."""
Header = Mapping[str, tuple[str, tuple[int, ...]]]
"""Name -> dtype and shape."""
META = "__metadata__"


@dataclass(frozen=True)
class TensorFile:
    """A small safetensors file, read whole."""

    tensors: Mapping[str, Tensor]
    about: Mapping[str, str] = field(default_factory=dict)
    """Its metadata."""


def read_header(path: Path, remedy: str = "Copy the file again.") -> Header:
    """Name -> (dtype, shape) of every tensor; ValueError where header and file do not fit."""
    return _read_header(path, remedy)[0]


def read_metadata(path: Path, remedy: str = TAKE_AGAIN) -> dict[str, str]:
    """The texts in the header of a safetensors file."""
    return _read_header(path, remedy)[1]


def read_tensors(path: Path, names: Collection[str] = (), remedy: str = TAKE_AGAIN) -> TensorFile:
    """All tensors of a file and its metadata.

    `names`, where given, are those it must have, all and no others. Raises ValueError for a file
    that is damaged, and floats that are not finite.
    """
    header, about = _read_header(path, remedy)
    if names and set(names) != set(header):
        differ = sorted(set(names) ^ set(header))[0]
        verb = "has the unknown" if differ in header else "lacks the"
        raise ValueError(
            f"'{shown(path.name)}' {verb} tensor '{shown(differ, 60)}'; expected are "
            f"{listed(sorted(names))}. {remedy}"
        )
    tensors = {name: read_tensor(path, name, remedy) for name in header}
    for name, tensor in tensors.items():
        check_finite(tensor, name, path.name, remedy)
    return TensorFile(tensors, about)


def read_tensor(path: Path, name: str, remedy: str = TAKE_AGAIN) -> Tensor:
    """One tensor, in a mapping of its own.

    Tensors of one handle share a mapping, whose pages stay in memory until the last of them is
    gone; so a weight that is copied (reordered, quantised, moved) gives its pages back at once.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor
    except SafetensorError as error:
        raise ValueError(
            f"'{shown(path.name)}' is damaged: its tensor '{shown(name, 60)}' cannot be read. "
            f"{remedy}"
        ) from error


def check_finite(tensor: Tensor, name: str, where: str, remedy: str = TAKE_AGAIN) -> None:
    """Raise ValueError for floats among which one is not a finite number."""
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise ValueError(
            f"'{shown(where)}' has NaN or infinity in the tensor '{shown(name, 60)}'; all numbers "
            f"must be finite. {remedy}"
        )


def _read_header(path: Path, remedy: str) -> tuple[Header, dict[str, str]]:
    where = f"'{shown(path.name)}'"
    if path.is_dir() or (path.exists() and not path.is_file()):
        read_bytes(path, remedy=remedy)  # says what it is
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(HEADER_LIMIT, size - 8):
                raise ValueError(
                    f"{where} is not a readable safetensors file: it claims a header of {length} "
                    f"bytes in a file of {size} bytes; allowed are {HEADER_LIMIT} bytes and no "
                    f"more than the file. {remedy}"
                )
            raw = file.read(length)
    except OSError as error:
        raise UnreadableFileError(path.name, error, remedy) from error
    header = parse_object(
        decoded(raw, f"the header of {where}", remedy),
        f"the safetensors header of {where}",
        remedy,
    )
    about = header.pop(META, {})
    texts = isinstance(about, dict) and all(isinstance(text, str) for text in about.values())
    if not texts:
        raise ValueError(f"the metadata of {where} has more than texts. {remedy}")
    found = {name: _entry(name, entry, where, remedy) for name, entry in header.items()}
    _check_places(found, size - 8 - length, where, remedy)
    return {name: (dtype, shape) for name, (dtype, shape, _) in found.items()}, about


_Entry = tuple[str, tuple[int, ...], tuple[int, int]]


def _entry(name: str, entry: object, where: str, remedy: str) -> _Entry:
    """Dtype, shape and first and last byte of one tensor."""
    if len(name) > NAME_LIMIT or not name.isprintable():
        raise ValueError(
            f"{where} has a tensor called '{shown(name, 40)}'; a name has up to {NAME_LIMIT} "
            f"printable characters. {remedy}"
        )
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(
            f"{where} describes '{shown(name)}' without dtype, shape and data_offsets. {remedy}"
        )
    dtype, shape, places = entry["dtype"], entry["shape"], entry["data_offsets"]
    if dtype not in WIDTHS:
        raise ValueError(
            f"{where} stores '{shown(name)}' as {shown(dtype, 20)}; allowed are "
            f"{', '.join(WIDTHS)}. Convert the file."
        )
    whole = [type(n) is int and n >= 0 for n in shape] if isinstance(shape, list) else [False]
    ends = [type(n) is int and n >= 0 for n in places] if isinstance(places, list) else []
    if not all(whole) or len(whole) > 8 or ends != [True, True]:
        raise ValueError(
            f"{where} gives '{shown(name)}' a shape or a place that is not made of whole "
            f"numbers. {remedy}"
        )
    if math.prod(shape) * WIDTHS[dtype] != places[1] - places[0]:
        raise ValueError(
            f"{where} gives '{shown(name)}' {shown(places[1] - places[0])} bytes; its shape and "
            f"dtype need {shown(math.prod(shape) * WIDTHS[dtype], 40)}. {remedy}"
        )
    return dtype, tuple(shape), (places[0], places[1])


def _check_places(found: Mapping[str, _Entry], size: int, where: str, remedy: str) -> None:
    """Raise ValueError unless the tensors lie one after the other and fill the file."""
    at = 0
    for first, last in sorted(places for _, _, places in found.values()):
        if first != at:
            raise ValueError(
                f"{where} is damaged: it has tensors that overlap or leave a gap. {remedy}"
            )
        at = last
    if at != size:
        raise ValueError(
            f"{where} is damaged: it has {size} bytes of tensors; its header says {at}. {remedy}"
        )
