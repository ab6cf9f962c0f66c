"""Finished rounds without a model, for tests of what is done with them."""

from __future__ import annotations

import torch

from stepedit_core.types import Clip, DualCodes, EditRequest, Measures, Round

KINDS = {"happy": "emotion", "sad": "emotion", "faster": "speed", "whisper": "style"}


def request_of(option: str, text: str = "hello") -> EditRequest:
    return EditRequest(kind=KINDS[option], option=option, text=text)


def finished(option: str, score: float | None, seconds: float = 1.0) -> Round:
    """A round of this option; the input where it is empty."""
    nothing = torch.zeros(0, dtype=torch.int64)
    return Round(
        clip=Clip(wave=torch.linspace(-1, 1, int(seconds * 24_000)), sample_rate=24_000),
        codes=DualCodes(linguistic=nothing, semantic=nothing, codebook="a"),
        request=request_of(option) if option else None,
        score=score,
        seconds_elapsed=0.5,
        measures=Measures(
            speaker=torch.ones(2), similarity=1.0, pitch_hz=None, words=None, peak=1.0
        ),
    )
