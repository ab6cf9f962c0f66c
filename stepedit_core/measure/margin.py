"""How strongly an edit came out: the margin score, 1 (nothing) to 10 (unmistakable)."""

from __future__ import annotations

import torch

from ..models.cancel import cancellable
from ..models.scorer import calibrated, edit_name
from ..registry.handle import Bundle
from ..registry.torch_state import in_own_state
from ..types import DualCodes, EditRequest, Hooks, SilentHooks
from ..vocab import group_rows
from .finite import check_finite, check_weights

STAGE = "score"


def can_score(bundle: Bundle, request: EditRequest) -> bool:
    """Whether the bundle has a scorer that was trained on this edit; loads nothing."""
    config = bundle.manifest.components.get("scorer")
    return config is not None and edit_name(request.kind, request.option) in config.edits


@in_own_state
@torch.no_grad()
def score(
    bundle: Bundle,
    source: DualCodes,
    edited: DualCodes,
    request: EditRequest,
    *,
    hooks: Hooks | None = None,
) -> float:
    """Margin score 1-10 of `edited` against `source` for the request, on the bundle's calibration.

    Raises ValueError where the bundle has no scorer or it does not know the edit, for another
    bundle's codes, and for empty ones.
    """
    hooks = hooks or SilentHooks()
    for codes in (source, edited):
        bundle.vocabulary.check_codebook(codes)
        if not codes.groups:
            raise ValueError(
                "there are no tokens to score (0 groups); 1 or more are needed. Tokenize or "
                "generate again."
            )
    hooks.check()
    check_weights(bundle, "scorer")
    scorer = bundle.scorer
    device = scorer.head.weight.device
    index = torch.tensor([scorer.edit_index(request.kind, request.option)], device=device)
    rows = [group_rows(codes)[None].to(device) for codes in (source, edited)]
    with cancellable(scorer, hooks):
        raw = float(scorer(rows[0], rows[1], index))
    check_finite(torch.tensor(raw), "scorer", bundle)
    hooks.progress(STAGE, 1, 1)
    return calibrated(raw, scorer.config.calibration)
