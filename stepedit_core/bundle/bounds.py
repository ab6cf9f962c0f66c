"""What the numbers of a part's config may be: before a network is built, and against its file.

A config is a few numbers that say how much is built; a bundle may come from anybody. Every number
has a least and a largest value, and none may say more than the header of the weights can fill: no
more layers than the file has tensors, no width above the count of its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from itertools import pairwise
from typing import Any

from ..files.strict import Bounds
from ..files.tensors import Header
from ..printable import shown
from ..types import SAMPLE_RATE

WIDTH = (1, 2**17)
"""Of a whole number that is not in the table."""
FACTOR = (0.0, 1000.0)
"""Of any other number that is not in the table."""
DEPTH = (1, 1000)
MOST_KERNELS = 16
"""Elements of a list of stages, kernels or dilations."""
MOST_EDITS = 10_000
_SHARE = (0.0, 0.99)
_KERNEL = (1, 512)
_STAGES = {
    "upsample_rates": (1, 64),
    "upsample_kernels": _KERNEL,
    "resblock_kernels": _KERNEL,
    "source_kernels": _KERNEL,
    "dilations": (1, 64),
    "sample_rate": (SAMPLE_RATE, SAMPLE_RATE),
    "harmonics": (1, 64),
    "n_fft": (4, 8192),
    "hop_samples": (1, 4096),
    "peak": (0.01, 1.0),
    "leaky_slope": (0.0, 1.0),
    "sine_amplitude": (0.0, 1.0),
    "noise_std": (0.0, 1.0),
}
TABLE: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "llm": {
        "vocab_size": (8, 2**20),
        "num_hidden_layers": DEPTH,
        "rms_norm_eps": (1e-12, 0.1),
        "max_seq_len": (16, 2**20),
    },
    "flow": {
        "encoder_blocks": DEPTH,
        "encoder_up_blocks": DEPTH,
        "dit_depth": DEPTH,
        "dit_mlp_ratio": (0.01, 64.0),
        "lookahead": (0, 64),
        "dropout": _SHARE,
        "guidance_scale": (0.0, 100.0),
        "contrast_scale": (0.0, 100.0),
        "noise_scale": (0.0, 10.0),
        "difference_order": (1, 2),
    },
    "hift": _STAGES,
    "bigvgan": _STAGES,
    "source_filter": {**_STAGES, "blocks": DEPTH, "fine_blocks": DEPTH},
    "linguistic": {
        "layers": DEPTH,
        "kernel": _KERNEL,
        "chunk": (1, 64),
        "carried": (0, 64),
        "look_back": (0, 64),
    },
    "semantic": {"layers": DEPTH},
    "speaker": {"blocks": DEPTH, "dilations": (1, 64)},
    "scorer": {"layers": DEPTH, "dropout": _SHARE, "calibration": (-1000.0, 1000.0)},
    "paraformer": {
        "layers": DEPTH,
        "kernel": _KERNEL,
        "shift": (0, 256),
        "predictor_kernel": _KERNEL,
        "tail": (0.0, 10.0),
        "unit_bytes": (0, 2**20),
    },
    "letters": {
        "layers": DEPTH,
        "kernel": _KERNEL,
        "heard_holds": (0.01, 10.0),
        "misfit_holds": (0.01, 100.0),
        "other_words": (0.0, 100.0),
    },
}
"""Kind of network -> field -> least and largest value."""
_PRODUCTS = {"max_seq_len", "sample_rate", "max_positions"}
"""Whole numbers that no tensor is as large as."""


def bounds_of(kind: str, cls: type[Any]) -> Bounds:
    """Bounds of every number in the config of a kind of network."""
    bounds: dict[str, tuple[float, float]] = {}
    for field in fields(cls):
        if field.type in ("int", "tuple[int, ...]"):
            bounds[field.name] = WIDTH
        elif field.type == "float":
            bounds[field.name] = FACTOR
    return {**bounds, **{k: v for k, v in TABLE[kind].items() if _has(cls, k)}}


def _has(cls: type[Any], name: str) -> bool:
    return any(field.name == name for field in fields(cls))


def check_lists(kind: str, config: Any, where: str, remedy: str) -> None:
    """Raise ValueError for lists of stages that are empty, too long or do not fit one another."""
    for field in fields(config):
        value = getattr(config, field.name)
        most = MOST_EDITS if field.name in ("edits", "calibration") else MOST_KERNELS
        least = 0 if field.name == "calibration" else 1
        if isinstance(value, tuple) and not least <= len(value) <= most:
            raise ValueError(
                f"{where}.{shown(field.name)} has {len(value)} values; {least} to {most} are "
                f"allowed. {remedy}"
            )
    problem = _stages(config) if kind in ("hift", "bigvgan") else ""
    if kind == "speaker" and len(config.blocks) != len(config.dilations):
        problem = "as many blocks as dilations"
    if kind == "source_filter" and config.frame_samples % config.hop_samples:
        problem = "frame_samples a multiple of hop_samples"
    if kind == "scorer":
        problem = _scorer(config)
    if kind == "flow" and config.encoder_dim % config.encoder_heads:
        problem = "an encoder_dim that is a multiple of encoder_heads"
    heads = getattr(config, "heads", 1)
    if not problem and getattr(config, "d_model", heads) % heads:
        problem = "a width that is a multiple of the heads"
    if problem:
        raise ValueError(f"{where} does not fit together; expected is {problem}. {remedy}")


def _stages(config: Any) -> str:
    """What the stages of a vocoder need, where they do not have it."""
    rates, kernels = config.upsample_rates, config.upsample_kernels
    sources = getattr(config, "source_kernels", rates)
    if not len(rates) == len(kernels) == len(sources):
        return "one kernel for each of upsample_rates"
    if any(kernel < rate for rate, kernel in zip(rates, kernels, strict=True)):
        return "a kernel at least as long as its rate"
    if math.prod(rates) > 4096:
        return "a product of upsample_rates up to 4096"
    if config.base_channels >> len(rates) < 1:
        return "base_channels that can be halved in every stage"
    return ""


def _scorer(config: Any) -> str:
    if len(set(config.edits)) < len(config.edits) or not all(config.edits):
        return "every edit once"
    knots = [knot[0] for knot in config.calibration]
    if any(a >= b for a, b in pairwise(knots)):
        return "a calibration whose scores rise"
    if config.hidden_size % config.heads:
        return "a hidden_size that is a multiple of the heads"
    return ""


def check_header(kind: str, config: Any, header: Header, what: str) -> None:
    """Raise ValueError for a config that says more than the file of its weights has."""
    numbers = sum(math.prod(shape) for _, shape in header.values())
    for field in fields(config):
        value = getattr(config, field.name)
        depth = TABLE[kind].get(field.name) == DEPTH
        whole = type(value) is int or (isinstance(value, tuple) and depth)
        if not whole or field.name in _PRODUCTS:
            continue
        asked = sum(value) if isinstance(value, tuple) else value
        most = len(header) if depth else max(numbers, 512)
        if asked > most:
            have = f"{len(header)} tensors" if depth else f"{numbers} numbers"
            raise ValueError(
                f"{what} does not fit its config: {shown(field.name)} is {shown(asked)}, and the "
                f"file has {shown(have)}. Use weights and bundle.json of the same bundle."
            )
