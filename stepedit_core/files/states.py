"""The gate for torch files: a zip of plain members, tensors only, never code.

torch.load(weights_only=True) refuses code; it would still inflate what a member claims and read a
file that was written by any hand. So the list of the zip is looked at first: members lie in it as
they are, uncompressed, so that together they are not larger than the file.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..printable import shown
from .reading import TAKE_AGAIN, read_bytes
from .tensors import check_finite

MEMBERS = 100_000
"""Most members of the zip: one a tensor."""
STRUCTURE_LIMIT = 2**26
"""Most bytes of the pickle that names the tensors."""
DEEPEST = 20
"""Most lists and mappings inside one another."""
KINDS = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
)
"""Dtypes of tensors that are read."""


def read_state(path: Path, remedy: str = TAKE_AGAIN) -> dict[str, Any]:
    """What torch.save wrote: a mapping of texts to plain values and tensors on the CPU, mapped.

    Raises ValueError for a file that is damaged, would run code or inflates, and for tensors that
    are not plain. Whether the numbers are finite is the caller's to check: `check_numbers`.
    """
    if not path.is_file():
        read_bytes(path, remedy=remedy)  # says what it is
    zipped = _check_zip(path, remedy)
    where = f"'{shown(path.name)}'"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old pickle protocols are fine
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{where} has more than tensors and was not opened: loading it would run code. {remedy}"
        ) from error
    except Exception as error:  # a foreign reader raises what it likes
        raise ValueError(f"{where} is not a readable torch file. {remedy}") from error
    _check_values(state, where, remedy)
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise ValueError(
            f"{where} has {shown(type(state).__name__)}, not named tensors, as a state_dict has "
            f"them. {remedy}"
        )
    return dict(state)


def check_numbers(state: object, where: str, remedy: str = TAKE_AGAIN) -> None:
    """Raise ValueError for a tensor in a state that has a number which is not finite."""
    for name, value in _items(state):
        if isinstance(value, Tensor):
            check_finite(value, name, where, remedy)


def _check_zip(path: Path, remedy: str) -> bool:
    """Whether a torch file is a zip, as since torch 1.6; ValueError where that inflates."""
    where = f"'{shown(path.name)}'"
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            if size > STRUCTURE_LIMIT * 64:
                raise ValueError(f"{where} is not a readable torch file. {remedy}")
            return False
    try:
        with zipfile.ZipFile(path) as members:
            found = members.infolist()
    except Exception as error:  # zipfile raises ValueError, struct.error and others of its own
        raise ValueError(f"{where} is not a readable torch file. {remedy}") from error
    if len(found) > MEMBERS:
        raise ValueError(f"{where} has {len(found)} members; allowed are {MEMBERS}. {remedy}")
    packed = [one for one in found if one.compress_type or one.file_size != one.compress_size]
    if packed or sum(one.file_size for one in found) > size:
        raise ValueError(
            f"{where} has compressed members; a torch file has them as they are. {remedy}"
        )
    if any(one.file_size > STRUCTURE_LIMIT for one in found if one.filename.endswith(".pkl")):
        raise ValueError(f"{where} names more tensors than any network has. {remedy}")
    return True


def _check_values(state: object, where: str, remedy: str) -> None:
    """Raise ValueError for tensors that are not plain, and values that are neither these."""
    for name, value in _items(state, where, remedy):
        if isinstance(value, Tensor):
            plain = value.layout == torch.strided and value.device.type == "cpu"
            room = value.untyped_storage().nbytes() if plain else 0
            if not plain or value.dtype not in KINDS or value.numel() * value.element_size() > room:
                dtype = str(value.dtype).removeprefix("torch.")
                raise ValueError(
                    f"{where} has '{shown(name, 60)}' as {dtype} "
                    f"{'' if plain else 'without its numbers'}; plain tensors are read. {remedy}"
                )
        elif not isinstance(value, (str, int, float, bool, type(None), torch.dtype, torch.device)):
            raise ValueError(
                f"{where} has '{shown(name, 60)}' of the type {type(value).__name__}; tensors, "
                f"numbers and texts are read. {remedy}"
            )


def _items(
    state: object, where: str = "the state", remedy: str = TAKE_AGAIN
) -> list[tuple[str, object]]:
    """All values inside mappings and lists, with their place; each container is entered once."""
    found: list[tuple[str, object]] = []
    level: list[tuple[str, object]] = [("", state)]
    seen: set[int] = set()
    for _ in range(DEEPEST):
        inner: list[tuple[str, object]] = []
        for name, value in level:
            if not isinstance(value, (Mapping, list, tuple, set)):
                found.append((name, value))
            elif id(value) not in seen:
                seen.add(id(value))
                pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
                inner += [(f"{name}.{key}" if name else str(key), item) for key, item in pairs]
        level = inner
        if not level:
            return found
    raise ValueError(f"{where} is nested too deep; {DEEPEST} is allowed. {remedy}")
