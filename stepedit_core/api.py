"""The library in five calls: load, edit, clone, resynthesize, save.

Each is a few lines over `pipelines/`; the command and the nodes take the same way, so the same seed
gives the same samples everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from .audio.files import read_clip, write_wav
from .pipelines import clone as cloning
from .pipelines import resynthesize as codec
from .pipelines.plan import make_plan
from .pipelines.rounds import iterate
from .registry.handle import Bundle
from .registry.registry import Registry
from .text.edits import EDITS, request_of
from .types import Clip, EditRequest, EditResult, Hooks, Round


def load(
    name_or_dir: str | Path = "nano",
    *,
    device: str | torch.device | None = None,
    precision: str = "auto",
    adapter: str | Path | None = None,
) -> Bundle:
    """A model by the name of its bundle, or by its folder; weights are read when first used.

    Two calls with equal arguments share the weights. Raises ValueError for an unknown or damaged
    bundle, device or precision.
    """
    return _registry().load(name_or_dir, device=device, precision=precision, adapter=adapter)


def edit(
    model: Bundle,
    clip: Clip | str | Path,
    *,
    text: str = "",
    hooks: Hooks | None = None,
    **what: Any,
) -> EditResult:
    """Rounds of one edit.

    Args:
        model: from `load`.
        clip: a recording of 0.5 to 30 s, or the path of one.
        text: its words; denoise, trim_silence and the engine signal do without.
        hooks: progress and cancelling.
        what: one of emotion="happy", style="whisper", speed="faster", sounds="a [Laughter] here",
            denoise=True, trim_silence=True; for speed, denoise and trim_silence engine="model" or
            "signal"; for speed="fit to seconds" the length seconds=3.2; beside it rounds, voice,
            seed, sampling, decoding (pipelines/plan.py).

    Raises ValueError for a bad clip, an edit the model does not know, or missing words.
    """
    request, settings = _request(text, what)
    recording = _clip(clip)
    plan = make_plan(model, recording, [request], **settings)
    return iterate(model, recording, plan, hooks=hooks)


def clone(
    model: Bundle,
    clip: Clip | str | Path,
    *,
    text: str,
    say: str,
    hooks: Hooks | None = None,
    **settings: Any,
) -> Round:
    """New words `say` in the voice of a clip whose words are `text`; settings as in `edit`."""
    recording = _clip(clip)
    plan = cloning.clone_plan(model, recording, text, say, **settings)
    return cloning.clone(model, recording, plan, hooks=hooks)


def resynthesize(model: Bundle, clip: Clip | str | Path, *, seed: int = 0) -> Round:
    """What tokenizer and decoder alone make of a clip."""
    return codec.resynthesize(model, _clip(clip), seed=seed)


def save(made: Round | Clip, path: str | Path) -> None:
    """Write a round or a clip as a WAV file of 16 bits, whole or not at all."""
    write_wav(Path(path), made.clip if isinstance(made, Round) else made)


@cache
def _registry() -> Registry:
    """The one that shares weights between the calls of a process."""
    return Registry()


def _request(text: str, what: Mapping[str, Any]) -> tuple[EditRequest, dict[str, Any]]:
    """The edit among the keywords, and the settings beside it."""
    kinds = [k for k in EDITS if what.get(k) not in (None, False, "")]
    if len(kinds) != 1:
        raise ValueError(
            f"{len(kinds)} edits are asked for ({', '.join(kinds) or 'none'}); one is allowed, of "
            f"{', '.join(EDITS)}. Name one."
        )
    given = {name: what[name] for name in ("engine", "seconds") if name in what}
    request = replace(request_of(kinds[0], what[kinds[0]], text), **given)
    return request, {k: v for k, v in what.items() if k not in (*EDITS, *given)}


def _clip(clip: Clip | str | Path) -> Clip:
    return clip if isinstance(clip, Clip) else read_clip(clip)
