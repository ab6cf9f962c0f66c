"""Dual codes in a .safetensors file: linguistic (2G,), semantic (3G,), and their codebook's name.

The file says which tokenizer pair made the codes, so another bundle can refuse them.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..types import DualCodes
from ..vocab import LINGUISTIC_CODES, SEMANTIC_CODES
from .whole import write_whole

KIND = "stepedit-tokens-1"
"""Value of the metadata key "kind"."""


def save_tokens(codes: DualCodes, path: str | Path) -> None:
    """Write codes as int16; the file appears whole or not at all."""
    tensors = {
        "linguistic": codes.linguistic.to(torch.int16).contiguous(),
        "semantic": codes.semantic.to(torch.int16).contiguous(),
    }
    write_whole(path, save(tensors, {"kind": KIND, "codebook": codes.codebook}))


def load_tokens(path: str | Path) -> DualCodes:
    """Codes of a file that save_tokens wrote; ValueError when it is anything else."""
    source = Path(path)
    if not source.is_file():
        raise ValueError(f"no file {source.name}; give a tokens file. Check the path.")
    try:
        with safe_open(source, framework="pt", device="cpu") as file:
            about = file.metadata() or {}
            if about.get("kind") != KIND or set(file.keys()) != {"linguistic", "semantic"}:
                raise ValueError(
                    f"{source.name} contains no speech tokens; expected is a file that Save Tokens "
                    "or the command wrote. Choose a tokens_K.safetensors file."
                )
            linguistic = file.get_tensor("linguistic").long()
            semantic = file.get_tensor("semantic").long()
    except SafetensorError as error:
        raise ValueError(
            f"{source.name} is not a readable safetensors file ({error}). Save the tokens again."
        ) from error
    for name, part, size in (
        ("linguistic", linguistic, LINGUISTIC_CODES),
        ("semantic", semantic, SEMANTIC_CODES),
    ):
        if part.ndim != 1 or (len(part) and not 0 <= int(part.min()) <= int(part.max()) < size):
            raise ValueError(
                f"{source.name} has {name} codes outside 0 to {size - 1}. Save the tokens again."
            )
    return DualCodes(linguistic=linguistic, semantic=semantic, codebook=about.get("codebook", ""))
