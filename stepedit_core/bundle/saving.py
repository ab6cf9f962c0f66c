"""Writing weights: a module in one go, or a large file tensor by tensor."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..files.whole import full_disk_said, whole_file
from ..printable import shown
from .weights import CODES, SMALL_BUFFER


def save_module(module: nn.Module, path: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write a module's state: parameters and large buffers as dtype, small buffers as they are.

    Small buffers are means and variances, whose range half precision may not hold.
    """
    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    state: dict[str, Tensor] = {}
    for name, tensor in module.state_dict().items():
        stored = tensor.detach().to("cpu")
        if tensor.is_floating_point() and (name in parameters or tensor.numel() >= SMALL_BUFFER):
            stored = stored.to(dtype)
        state[name] = stored.clone(memory_format=torch.contiguous_format)
    size = sum(tensor.nbytes for tensor in state.values())
    with whole_file(path, size=size) as part:
        save_file(state, part)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One tensor of a file that is written tensor by tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    make: Callable[[], Tensor]
    """Reads or computes it; called once."""

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def header(self) -> tuple[str, tuple[int, ...]]:
        """Its dtype and shape as read_header gives them."""
        return CODES[self.dtype], self.shape


def stream_module(
    path: Path, entries: Sequence[Entry], on_bytes: Callable[[int], None] | None = None
) -> None:
    """Write a safetensors file with one tensor in memory at a time.

    The file grows as PATH.part and is renamed when whole. A run that was stopped resumes after the
    last whole tensor of PATH.part. on_bytes(n) is called with the bytes of each tensor that is in
    the file, those of an earlier run included; it may raise to stop.
    """
    head: dict[str, Any] = {}
    at = 0
    for entry in entries:
        span = [at, at + entry.size]
        dtype, shape = entry.header
        head[entry.name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": span,
        }
        at = span[1]
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    text = len(text).to_bytes(8, "little") + text
    growing = path.with_name(path.name + ".part")
    with full_disk_said(path):
        # a link that lies there is not followed
        handle = os.open(growing, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        with os.fdopen(handle, "r+b") as file:
            whole = len(text)
            if file.read(len(text)) != text:
                file.seek(0)
                file.truncate()
                file.write(text)
            size = max(whole, file.seek(0, os.SEEK_END))
            for entry in entries:
                if whole + entry.size > size:  # not in the file yet, or in part
                    file.seek(whole)
                    file.truncate()
                    tensor = entry.make().detach().to(entry.dtype).contiguous()
                    if tuple(tensor.shape) != entry.shape:
                        raise ValueError(
                            f"{shown(entry.name)} has shape {tuple(tensor.shape)}; {entry.shape} "
                            "was announced. Use the file as it was released."
                        )
                    if tensor.numel():
                        file.write(tensor.view(-1).view(torch.uint8).numpy().data)
                    size = whole + entry.size
                whole += entry.size
                if on_bytes is not None:
                    on_bytes(entry.size)
            file.seek(whole)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
    os.replace(growing, path)
