"""A converted bundle beside its release: every tensor, every sha256."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from ..bundle.manifest import file_of, verify
from ..models.quantized import Kind, quantized
from ..printable import shown
from .convert import Sizes, plans
from .layout import find_release
from .sources import SafetensorsFiles


def verify_conversion(
    model: str | Path,
    tokenizer: str | Path | None,
    out: str | Path,
    *,
    sizes: Sizes | None = None,
) -> list[tuple[str, int, int, int]]:
    """Check a converted bundle against its release, tensor by tensor, and every sha256.

    Returns rows (part, tensors, released tensors used, released tensors dropped); raises
    ValueError for the first tensor that is not the released one at the stored precision.
    """
    manifest = verify(out)
    release = find_release(model, tokenizer)
    rows = []
    published = release.llm_weights
    stored_as = manifest.llm_weights
    kind: Kind | Literal[""] = "" if stored_as == published or stored_as == "float" else stored_as
    for part, plan in plans(release, replace(manifest, files={}, llm_weights=published)).items():
        path = Path(out) / file_of(part)
        stored = SafetensorsFiles([path])
        for name, tensor in plan.tensors():
            made = quantized(name, tensor, kind if part == "llm" else "")
            for leaf, value in made.items():
                ours = stored.tensor(leaf)
                if not torch.equal(ours, value.to(ours.dtype)):
                    raise ValueError(
                        f"{shown(leaf)} in {shown(path.name)} is not the released tensor. "
                        "Convert the release again."
                    )
        rows.append((part, len(plan.places), plan.used, sum(plan.dropped.values())))
    return rows
