"""Where a network's numbers leave it: a NaN stops there, with the name of the part."""

from __future__ import annotations

import torch
from torch import Tensor

from ..printable import shown
from ..registry.handle import Bundle

MOST_NUMBERS = 300_000_000
"""1.2 GB of float32, read in a second."""


def check_finite(values: Tensor, part: str, bundle: Bundle) -> None:
    """Raise ValueError where a part made NaN or infinite numbers: damaged weights, or overflow."""
    finite = torch.isfinite(values)
    if bool(finite.all()):
        return
    bad = int((~finite).sum())
    raise ValueError(
        f"the {shown(part)} of '{shown(bundle.name)}' made {bad} NaN or infinite numbers of "
        f"{values.numel()}; all must be finite. Check the bundle with `stepedit bundles --verify`, "
        "or choose another precision."
    )


def check_weights(bundle: Bundle, part: str) -> None:
    """Raise ValueError where the weights of a part are not finite; looked at once a bundle.

    Codes, and networks that clamp, hide a NaN inside them. A part of over MOST_NUMBERS, a large
    language model, is not read through: a NaN in it reaches its scores, which are checked at every
    id.
    """

    def finite() -> bool:
        module = bundle.part(part)
        if sum(t.numel() for t in (*module.parameters(), *module.buffers())) > MOST_NUMBERS:
            return True
        weights = module.state_dict()
        for name, weight in weights.items():
            if weight.is_mkldnn:  # a layout of the CPU's own that cannot add up
                weight = weight.to_dense()
            if weight.is_floating_point() and not torch.isfinite(weight.float().sum()):
                raise ValueError(
                    f"{shown(name)} of the {shown(part)} of '{shown(bundle.name)}' has "
                    "NaN or infinite numbers; all must be finite. Check it with `stepedit bundles "
                    "--verify`."
                )
        return True

    bundle.once(f"finite {part}", finite)
