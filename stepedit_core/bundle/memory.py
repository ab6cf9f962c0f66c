"""How much memory is free, and the sentence that says when it is too little."""

from __future__ import annotations

from pathlib import Path

import torch

from ..printable import shown

MEMINFO = Path("/proc/meminfo")


def free_bytes(device: torch.device) -> int | None:
    """Bytes that new tensors on a device can take; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    try:
        for line in MEMINFO.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):  # another system, or one without the file
        return None
    return None


def check_memory(need: int, device: torch.device, what: str) -> None:
    """Raise ValueError when `need` bytes are more than a device has free; `what` needs them."""
    free = free_bytes(device)
    if free is not None and need > free:
        raise ValueError(
            f"{what} needs {need / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free on "
            f"'{shown(device)}'. Close other programs, or take a smaller precision such as int8 or "
            "int4."
        )
