"""Writing a bundle: the folder appears whole, or replaces an older one whole, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from ..files.strict import to_json
from ..files.whole import whole_file, whole_folder, write_whole
from .manifest import (
    MANIFEST,
    TOKENIZER,
    FileEntry,
    Manifest,
    check_files,
    file_of,
    read_manifest,
    sha256_of,
)
from .parts import load_part
from .saving import save_module


def write_bundle(
    folder: str | Path,
    manifest: Manifest,
    parts: Mapping[str, nn.Module | Path],
    tokenizer: str | Path,
    *,
    dtype: torch.dtype = torch.float16,
) -> Manifest:
    """Write a bundle; the folder appears whole, or replaces an older one whole, or not at all.

    Args:
        folder: where; its name need not be the bundle's name.
        manifest: everything but `files`, which is computed here.
        parts: part -> module (its floats are stored as dtype) or a finished safetensors file.
        tokenizer: SentencePiece model file.
        dtype: of the stored floats.

    Returns: the manifest as written.
    """
    with whole_folder(folder) as place:
        for part in manifest.parts:
            source = parts[part]
            if isinstance(source, nn.Module):
                save_module(source, place / file_of(part), dtype)
            else:
                copy_whole(source, place / file_of(part))
        copy_whole(tokenizer, place / TOKENIZER)
        files = {
            path.name: FileEntry(size=path.stat().st_size, sha256=sha256_of(path))
            for path in sorted(place.iterdir())
        }
        written = replace(manifest, files=files)
        check_files(written)
        text = json.dumps(to_json(written), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_whole(place / MANIFEST, text)
        for part in written.parts:
            load_part(place, written, part, device=torch.device("cpu"), dtype=torch.float32)
    return read_manifest(folder)


def copy_whole(source: str | Path, target: Path) -> None:
    """Copy a file's bytes; rights are those of a new file."""
    with whole_file(target, size=Path(source).stat().st_size) as part:
        shutil.copyfile(source, part)
