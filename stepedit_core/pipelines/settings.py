"""What the settings of a run may be: seed, rounds, sampling, decoding, each with its sentence.

A plan checks all of them once; a stage that is called on its own checks those it takes.
"""

from __future__ import annotations

import math
from typing import get_args

from ..printable import quoted, shown
from ..types import Decoding, DecodingWay, Sampling
from ..vocab import GROUP

LARGEST_SEED = 2**64 - 1
MOST_ROUNDS = 10
MOST_STEPS = 1000
MOST_GUIDANCE = 10.0
"""Of guidance and contrast: far above it the mel is noise."""
MOST_STRENGTH = 2.0
"""Above it an edit loses the voice (docs/benchmarks/2026-11-29-own-sound.md)."""
MOST_IDS = 100_000
"""Forty minutes of speech: more than any model here writes."""
DECODING_WAYS: tuple[str, ...] = get_args(DecodingWay)


def check_seed(seed: object) -> None:
    """Raise ValueError for a seed that is not a whole number from 0 to 2**64 - 1."""
    _check_number("the seed", seed, 0, LARGEST_SEED, whole=True)


def check_rounds(rounds: object) -> None:
    """Raise ValueError for a number of rounds that is not 1 to 10."""
    _check_number("rounds", rounds, 1, MOST_ROUNDS, whole=True)


def check_sampling(sampling: object) -> None:
    """Raise ValueError for settings that ids cannot be drawn with."""
    if not isinstance(sampling, Sampling):
        raise ValueError(_not_a(Sampling, "sampling", sampling, "temperature=0.7"))
    _check_number("the temperature", sampling.temperature, 0, math.inf)
    _check_number("the top_k", sampling.top_k, 0, math.inf, allowed="0 (off) or more", whole=True)
    _check_number("the top_p", sampling.top_p, math.ulp(0), 1, allowed="above 0 and up to 1")
    _check_flag("forbid_repeats", sampling.forbid_repeats)
    _check_number("the number of ids", sampling.max_ids, 0, MOST_IDS, whole=True)
    if 0 < sampling.max_ids < GROUP:
        raise ValueError(
            f"the number of ids is 0; allowed is {GROUP} or more, a whole group "
            f"({sampling.max_ids} were asked for). Change it."
        )


def by_strength(strength: float) -> Decoding:
    """As the bundle decodes at strength 1; else by difference, the way that has a strength."""
    return Decoding() if strength == 1 else Decoding(way="difference", strength=strength)


def check_decoding(decoding: object) -> None:
    """Raise ValueError for settings that a mel cannot be decoded with."""
    if not isinstance(decoding, Decoding):
        raise ValueError(_not_a(Decoding, "decoding", decoding, "steps=10"))
    _check_number("steps", decoding.steps, 1, MOST_STEPS, whole=True)
    _check_number("guidance", decoding.guidance, 0, MOST_GUIDANCE)
    if decoding.contrast is not None:
        _check_number("contrast", decoding.contrast, 0, MOST_GUIDANCE)
    _check_number("strength", decoding.strength, 0, MOST_STRENGTH)
    if decoding.way is not None and decoding.way not in DECODING_WAYS:
        raise ValueError(
            f"the decoder's way is {quoted(decoding.way)}; allowed are {', '.join(DECODING_WAYS)}, "
            "and None for the bundle's own. Choose one."
        )


def _check_number(
    name: str, value: object, low: float, high: float, *, allowed: str = "", whole: bool = False
) -> None:
    """Raise ValueError for what is not a number from low to high, or not a `whole` one."""
    if not allowed:
        allowed = f"{low} or more" if high == math.inf else f"{low} to {high}"
    verb = "is" if "more" in allowed or "up to" in allowed else "are"
    if type(value) is not int and (whole or type(value) is not float):
        kind = "whole number" if whole else "number"
        raise ValueError(
            f"{shown(name)} is {quoted(value)} ({type(value).__name__}), which is not a {kind}; "
            f"allowed {verb} {allowed}. Change it."
        )
    assert isinstance(value, (int, float))
    if not low <= value <= high or value == math.inf:
        remedy = _remedy(value, low, high)
        raise ValueError(f"{shown(name)} is {shown(value)}; allowed {verb} {allowed}. {remedy}")


def _remedy(value: float, low: float, high: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "Give a finite number."
    if value > high:
        return f"Choose {high} or less."
    return "Choose more." if low == math.ulp(0) else f"Choose {low} or more."


def _check_flag(name: str, value: object) -> None:
    if value is not None and type(value) is not bool:
        raise ValueError(
            f"{shown(name)} is {quoted(value)} ({type(value).__name__}); allowed are True, False "
            "and None. Change it."
        )


def _not_a(kind: type, name: str, value: object, example: str) -> str:
    return (
        f"{name} is {quoted(value)} ({type(value).__name__}); a {kind.__name__} is needed. Pass "
        f"stepedit.{kind.__name__}({example})."
    )
