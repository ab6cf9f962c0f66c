"""Examples of random codes, as the tests of data write and read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from stepedit_core import cli
from stepedit_core.data.records import Example, Kind
from stepedit_core.files.tokens import save_tokens
from stepedit_core.types import DualCodes, EditRequest


def codes(groups: int, seed: int, codebook: str = "tiny-1") -> DualCodes:
    generator = torch.Generator().manual_seed(seed)
    return DualCodes(
        linguistic=torch.randint(0, 1024, (2 * groups,), generator=generator),
        semantic=torch.randint(0, 4096, (3 * groups,), generator=generator),
        codebook=codebook,
    )


def example(
    number: int = 0,
    *,
    kind: Kind = "triplet",
    option: str = "happy",
    margin: float | None = 7.0,
    scale: int = 10,
    source: int = 1000,
) -> Example:
    return Example(
        kind=kind,
        request=EditRequest(kind="emotion", option=option, text="hello"),
        source=codes(3, source),
        target=codes(4, number),
        margin=margin,
        scale=scale,
        speaker=f"s{number % 3}",
        provenance="test",
        licence="CC0-1.0",
        key=f"k{number}",
    )


def same_codes(a: DualCodes | None, b: DualCodes | None) -> bool:
    if a is None or b is None:
        return a is b
    return (
        torch.equal(a.linguistic, b.linguistic)
        and torch.equal(a.semantic, b.semantic)
        and a.codebook == b.codebook
    )


def plan(folder: Path, count: int) -> Path:
    """Work orders whose sides are saved tokens; the last repeats the first, one cannot be read."""
    folder.mkdir()
    save_tokens(codes(3, 1000), folder / "neutral.safetensors")
    lines = []
    for number in range(count):
        save_tokens(codes(4, number), folder / f"{number}.safetensors")
        lines.append(
            {
                "source": {"tokens": "neutral.safetensors"},
                "target": {"tokens": f"{number}.safetensors"},
                "edit": {"kind": "emotion", "option": "happy"},
                "text": "hello",
                "licence": "CC0-1.0",
                "margin": None if number % 2 else 9,
            }
        )
    (folder / "plan.jsonl").write_text("\n".join(map(json.dumps, [*lines, lines[0]])) + "\n\n")
    return folder / "plan.jsonl"


def line(margin: float | None, kind: str = "triplet", option: str = "happy") -> dict[str, object]:
    return {"margin": margin, "kind": kind, "edit": {"kind": "emotion", "option": option}}


def samples(scores: Sequence[float], scale: int) -> list[Example]:
    return [example(n, kind="sample", margin=s, scale=scale) for n, s in enumerate(scores)]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = cli.main(["data", *map(str, arguments)])
    return code, capsys.readouterr().out
