"""Dual codes in a .safetensors file: linguistic (2G,), semantic (3G,), and their codebook's name.

The file says which tokenizer pair made the codes, so another bundle can refuse them.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..types import DualCodes
from ..vocab import LINGUISTIC_CODES, SEMANTIC_CODES

KIND = "stepedit-tokens-1"
"""Value of the metadata key "kind"."""


def save_tokens(codes: DualCodes, path: str | Path) -> None:
    """Write codes as int16; the file appears whole or not at all."""
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        save_file(
            {
                "linguistic": codes.linguistic.to(torch.int16).contiguous(),
                "semantic": codes.semantic.to(torch.int16).contiguous(),
            },
            part,
            metadata={"kind": KIND, "codebook": codes.codebook},
        )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def load_tokens(path: str | Path) -> DualCodes:
    """Codes of a file that save_tokens wrote; ValueError when it is anything else."""
    source = Path(path)
    if not source.is_file():
        raise ValueError(f"no file {source.name}; a tokens file is wanted. Check the path.")
    try:
        with safe_open(source, framework="pt", device="cpu") as file:
            about = file.metadata() or {}
            if about.get("kind") != KIND or set(file.keys()) != {"linguistic", "semantic"}:
                raise ValueError(
                    f"{source.name} holds no speech tokens; wanted is a file that Save Tokens or "
                    "the command wrote. Choose a tokens_K.safetensors file."
                )
            linguistic = file.get_tensor("linguistic").long()
            semantic = file.get_tensor("semantic").long()
    except SafetensorError as error:
        raise ValueError(
            f"{source.name} is no readable safetensors file ({error}). Save the tokens again."
        ) from error
    for name, part, size in (
        ("linguistic", linguistic, LINGUISTIC_CODES),
        ("semantic", semantic, SEMANTIC_CODES),
    ):
        if part.ndim != 1 or (len(part) and not 0 <= int(part.min()) <= int(part.max()) < size):
            raise ValueError(
                f"{source.name} holds {name} codes outside 0 to {size - 1}. Save the tokens again."
            )
    return DualCodes(linguistic=linguistic, semantic=semantic, codebook=about.get("codebook", ""))
