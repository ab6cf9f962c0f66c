"""How strongly an edit came out: the margin score, 1 (nothing) to 10 (unmistakable)."""

from __future__ import annotations

from ..registry import Bundle
from ..types import DualCodes, EditRequest, Hooks, SilentHooks

STAGE = "score"


def score(
    bundle: Bundle,
    source: DualCodes,
    edited: DualCodes,
    request: EditRequest,
    *,
    hooks: Hooks | None = None,
) -> float:
    """Margin score 1-10 of `edited` against `source` for the request.

    Raises ValueError where the bundle has no scorer, and for another bundle's codes.
    """
    hooks = hooks or SilentHooks()
    for codes in (source, edited):
        bundle.vocabulary.check_codebook(codes)
    hooks.check()
    raise NotImplementedError
