"""The one precision table: what `auto, fp32, bf16, fp16, int8, int4` mean.

The language model changes, and the flow decoder where bfloat16 is asked for or the matrices are
quantised. Codes, voices and waves are always made in float32, so that codes are the released ones.
Nothing here imports torch, so that the command and the nodes can list the names at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..printable import shown

Stored = Literal["float", "int8", "int4"]
"""How a bundle keeps the matrices of the language model's layers."""
SMALL_LM = 2**30
"""An LM file up to this many bytes runs in float32 under "auto": speed does not matter there."""


@dataclass(frozen=True, kw_only=True)
class Precision:
    """One row of the table."""

    name: str
    dtype: str
    """Of activations, norms, embedding and head, and of the matrices unless quantised; torch's
    name."""
    quantize: Literal["", "int8", "int4"] = ""
    """How the matrices of the layers are held; empty for plain numbers."""
    bits: float
    """Bits a weight of a matrix takes, scales included."""
    flow: str = "float32"
    """Of the flow decoder; torch's name."""


TABLE = {
    row.name: row
    for row in (
        Precision(name="fp32", dtype="float32", bits=32),
        Precision(name="bf16", dtype="bfloat16", bits=16, flow="bfloat16"),
        Precision(name="fp16", dtype="float16", bits=16),
        Precision(name="int8", dtype="bfloat16", quantize="int8", bits=8, flow="bfloat16"),
        Precision(name="int4", dtype="bfloat16", quantize="int4", bits=4.5, flow="bfloat16"),
    )
}
PRECISIONS = ("auto", *TABLE)
AS_RELEASED = replace(TABLE["bf16"], flow="float32")
"""What "auto" means for a large model: each network in the numbers it was published with.

A CPU with units for bfloat16 runs the flow decoder in it (parts.part_precision)."""


def resolve(precision: str, *, stored: Stored = "float", lm_bytes: int = 0) -> Precision:
    """The row that is meant, for a language model of so many bytes kept in this way.

    "auto" is what a quantised bundle was made for, else float32 for a small model and bfloat16 for
    a large one, whose flow decoder has float32. ValueError for an unknown name, and where a
    quantised bundle is asked for weights it no longer has.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision '{shown(precision)}' is unknown; allowed are {', '.join(PRECISIONS)}. "
            "Choose one."
        )
    if stored != "float":
        if precision not in ("auto", stored):
            raise ValueError(
                f"precision '{shown(precision)}' was asked of a bundle that has {shown(stored)} "
                f"weights; allowed are auto and {shown(stored)}. Convert the release again for "
                "another."
            )
        return TABLE[stored]
    if precision == "auto":
        return TABLE["fp32"] if lm_bytes <= SMALL_LM else AS_RELEASED
    return TABLE[precision]
