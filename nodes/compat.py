"""The V3 schema on every ComfyUI from 0.3.75 on: newer keywords are dropped where unknown."""

from __future__ import annotations

import inspect
from typing import Any

from comfy_api.latest import io

CATEGORY = "audio/stepedit"
TRAINING = f"{CATEGORY}/training"
"""Of the nodes that make training data, so that they do not stand among the edits."""

StepEditModel = io.Custom("STEPEDIT_MODEL")
StepEditTokens = io.Custom("STEPEDIT_TOKENS")
StepEditVoice = io.Custom("STEPEDIT_VOICE")
StepEditEdit = io.Custom("STEPEDIT_EDIT")
StepEditWords = io.Custom("STEPEDIT_WORDS")
"""Words of a recording with their times: a tuple of measure.timeline.Word."""
StepEditMel = io.Custom("STEPEDIT_MEL")

_SCHEMA_KEYWORDS = frozenset(inspect.signature(io.Schema).parameters)


def schema(category: str = CATEGORY, **keywords: Any) -> io.Schema:
    """A Schema in the pack's category, without the keywords this ComfyUI does not know."""
    known = {k: v for k, v in keywords.items() if k in _SCHEMA_KEYWORDS}
    return io.Schema(category=category, **known)


def advanced(kind: type, *arguments: Any, **keywords: Any) -> Any:
    """An input that ComfyUI from 0.10.0 on folds away under "advanced"."""
    if "advanced" in inspect.signature(kind.__init__).parameters:
        keywords["advanced"] = True
    return kind(*arguments, **keywords)
