"""Dual codes in a .safetensors file: linguistic (2G,), semantic (3G,), and their codebook's name.

The file says which tokenizer pair made the codes, so another bundle can refuse them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from ..printable import shown
from ..types import DualCodes
from ..vocab import LINGUISTIC_CODES, SEMANTIC_CODES
from .tensors import read_metadata, read_tensors
from .whole import write_whole

TOKENS_LIMIT = 2**24
"""Most bytes of a tokens file: a hundred hours of speech."""
CODEBOOK_LIMIT = 100
"""Most characters of the name of a codebook."""
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
        raise ValueError(f"no file {shown(source.name)}; give a tokens file. Check the path.")
    remedy = "Choose a tokens_K.safetensors file, or save the tokens again."
    if source.stat().st_size > TOKENS_LIMIT:
        raise ValueError(
            f"'{shown(source.name)}' has {source.stat().st_size} bytes; tokens have at most "
            f"{TOKENS_LIMIT}. {remedy}"
        )
    about = read_metadata(source, remedy)
    if about.get("kind") != KIND:
        raise ValueError(
            f"'{shown(source.name)}' contains no speech tokens; expected is a file that Save "
            f"Tokens or the command wrote. {remedy}"
        )
    tensors = read_tensors(source, ("linguistic", "semantic"), remedy).tensors
    codebook = about.get("codebook", "")
    if not 0 < len(codebook) <= CODEBOOK_LIMIT or not codebook.isprintable():
        raise ValueError(
            f"'{shown(source.name)}' names the codebook '{shown(codebook, 40)}'; 1 to "
            f"{CODEBOOK_LIMIT} printable characters are expected. {remedy}"
        )
    return codes_of(tensors, codebook, f"'{shown(source.name)}'", remedy)


def codes_of(tensors: Mapping[str, Tensor], codebook: str, where: str, remedy: str) -> DualCodes:
    """Codes out of a file's tensors, each checked; ValueError names what is wrong."""
    found = {}
    for name, size in (("linguistic", LINGUISTIC_CODES), ("semantic", SEMANTIC_CODES)):
        part = tensors[name]
        whole = part.dtype in (torch.int16, torch.int32, torch.int64) and part.ndim == 1
        if not whole or not len(part):
            raise ValueError(
                f"{where} has {shown(name)} codes as "
                f"{shown(str(part.dtype).removeprefix('torch.'))} of shape {tuple(part.shape)}; a "
                f"row of whole numbers is expected. {remedy}"
            )
        if not 0 <= int(part.min()) <= int(part.max()) < size:
            raise ValueError(f"{where} has {shown(name)} codes outside 0 to {size - 1}. {remedy}")
        found[name] = part.long()
    return DualCodes(codebook=codebook, **found)
