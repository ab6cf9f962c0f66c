"""Where a network's numbers leave it: a NaN stops there, with the name of the part."""

from __future__ import annotations

import torch
from torch import Tensor

from ..registry.handle import Bundle


def check_finite(values: Tensor, part: str, bundle: Bundle) -> None:
    """Raise ValueError where a part made NaN or infinite numbers: damaged weights, or overflow."""
    finite = torch.isfinite(values)
    if bool(finite.all()):
        return
    bad = int((~finite).sum())
    raise ValueError(
        f"the {part} of '{bundle.name}' made {bad} NaN or infinite numbers of {values.numel()}; "
        "all must be finite. Check the bundle with `stepedit bundles --verify`, or choose another "
        "precision."
    )
