"""Two code sequences laid over each other by what they say: dynamic time warping.

Source: Sakoe and Chiba 1978, symmetric steps. Codes stand for phones and sound, so no transcript is
needed. `words.py` asks how far two sequences are apart; the flow decoder of nano asks which place
of the prompt says what the target says (docs/decisions/0013).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..registry.handle import Bundle
from ..types import DualCodes
from ..vocab import MEL_FRAMES_PER_GROUP, SEMANTIC_PER_GROUP

ROW_FRAMES = MEL_FRAMES_PER_GROUP // SEMANTIC_PER_GROUP
"""Mel frames under one semantic code, a row of 40 ms."""
SEMANTIC_WEIGHT = 0.5
FURTHEST = 0.75
"""Mean cost of a path above which two clips do not say the same: measured 0.06 to 0.63 for one
sentence in two versions, 0.94 to 1.22 for two sentences."""
FURTHEST_HERE = 0.9
"""Cost around one row above which the prompt has nothing like it, for example a laugh."""
AROUND = 5
"""Rows over which that cost is averaged: 200 ms."""


def unit_rows(codebook: Tensor) -> Tensor:
    """Codebook (codes, D) about its mean, rows of length 1, float32 on the CPU."""
    vectors = codebook.detach().float().cpu()
    return F.normalize(vectors - vectors.mean(0), dim=1)


def warp(cost: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean cost per step of the cheapest path through cost (R, C), and its cells (N, 2) in order.

    A diagonal step counts twice, so a path that turns corners is as long as one that does not.
    """
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    # one anti-diagonal after the other: its cells need only the two before it
    for diagonal in range(2, rows + columns + 1):
        i = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        j = diagonal - i
        here = cost[i - 1, j - 1]
        corner = np.minimum(total[i - 1, j], total[i, j - 1])
        total[i, j] = here + np.minimum(corner, total[i - 1, j - 1] + here)
    i, j = rows, columns
    cells = []
    while i and j:
        cells.append((i - 1, j - 1))
        straight = total[i - 1, j - 1] + cost[i - 1, j - 1]
        if straight <= min(total[i - 1, j], total[i, j - 1]):
            i, j = i - 1, j - 1
        elif total[i - 1, j] <= total[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return float(total[rows, columns]) / (rows + columns), np.array(cells[::-1])


class Guide:
    """Lays the mel of a prompt along the codes of a target that says the same."""

    def __init__(self, linguistic: Tensor, semantic: Tensor) -> None:
        """The codebooks (1024, D) and (4096, D) that the codes index."""
        self.linguistic, self.semantic = unit_rows(linguistic), unit_rows(semantic)

    def cost(self, prompt: DualCodes, target: DualCodes) -> np.ndarray:
        """Cost (3P, 3G) of laying a row of the target on a row of the prompt, 0 to 3."""
        first, second = self._rows(prompt), self._rows(target)
        words = 1 - first[0] @ second[0].T
        sound = 1 - first[1] @ second[1].T
        out: np.ndarray = (words + SEMANTIC_WEIGHT * sound).double().numpy()
        return out

    def _rows(self, codes: DualCodes) -> tuple[Tensor, Tensor]:
        """Vectors (3G, D) of both streams at 25 Hz."""
        at = torch.arange(len(codes.semantic)) * 2 // 3
        return self.linguistic[codes.linguistic[at]], self.semantic[codes.semantic]

    def match(self, prompt: DualCodes, target: DualCodes) -> Match | None:
        """The warping path by rows of the target; None where the two say different things."""
        if not prompt.groups or not target.groups:
            return None
        cost = self.cost(prompt, target)
        mean, cells = warp(cost)
        if mean > FURTHEST:
            return None
        rows = cells[:, 1]
        count = np.bincount(rows)
        places = np.bincount(rows, weights=cells[:, 0]) / count
        here = np.bincount(rows, weights=cost[cells[:, 0], rows]) / count
        box = np.ones(AROUND)
        around = np.convolve(here, box, "same") / np.convolve(np.ones_like(here), box, "same")
        return Match(places, around)

    def lay(self, prompt: DualCodes, target: DualCodes) -> Laid | None:
        """Where the prompt says what the target says; None where they say different things."""
        match = self.match(prompt, target)
        return None if match is None else Laid(match.places, match.cost < FURTHEST_HERE)

    def mel(self, mel: Tensor, lead: float, prompt: DualCodes, target: DualCodes) -> Tensor:
        """Mel (80, 6G) of the prompt in the target's time, see Laid.mel; zeros for other words."""
        laid = self.lay(prompt, target)
        if laid is None:
            return mel.new_zeros(mel.shape[0], target.groups * MEL_FRAMES_PER_GROUP)
        return laid.mel(mel, lead)


def guide_of(bundle: Bundle) -> Guide:
    """The guide of a bundle's tokenizers, made once."""
    return bundle.once("guide", lambda: Guide(bundle.linguistic.codebook, bundle.semantic.codebook))


class Match(NamedTuple):
    """A prompt under a target, row by row of 40 ms."""

    places: np.ndarray
    """(3G,) row of the prompt, in fractions, under each row of the target."""
    cost: np.ndarray
    """(3G,) cost of the path around each row, 0 to 3."""


def frame_places(places: np.ndarray) -> np.ndarray:
    """Frame (6G,), in fractions, under each frame of a target whose rows (3G,) have these places.

    It counts from the first frame of the first row.
    """
    middle = (ROW_FRAMES - 1) / 2  # the middle of a row lies between its two frames
    at = (np.arange(len(places) * ROW_FRAMES) - middle) / ROW_FRAMES
    # beyond the first and last row time passes at its usual pace
    edge = np.concatenate([[places[0] - 1], places, [places[-1] + 1]])
    found: np.ndarray = np.interp(at, np.arange(-1, len(places) + 1), edge)
    return found * ROW_FRAMES + middle


@dataclass(frozen=True)
class Laid:
    """A prompt in a target's time, row by row of 40 ms."""

    places: np.ndarray
    """(3G,) row of the prompt, in fractions, under each row of the target."""
    known: np.ndarray
    """(3G,) bool: False where the prompt has nothing like it, for example a laugh."""

    def mel(self, mel: Tensor, lead: float) -> Tensor:
        """Mel (80, 6G) of the prompt in the target's time; zero where it has no such place.

        mel (80, F) of the prompt at 50 Hz; its first code begins `lead` frames into it.
        """
        frames = np.clip(frame_places(self.places) + lead, 0, mel.shape[1] - 1)
        low = np.minimum(frames.astype(np.int64), mel.shape[1] - 2 if mel.shape[1] > 1 else 0)
        part = torch.from_numpy((frames - low).astype(np.float32))
        left, right = mel[:, low], mel[:, np.minimum(low + 1, mel.shape[1] - 1)]
        return (left + (right - left) * part) * torch.from_numpy(np.repeat(self.known, ROW_FRAMES))

    def rows(self, prompt: Tensor) -> Tensor:
        """Decoder rows (3G, 2) of the prompt (3P, 2) in the target's time."""
        return prompt[torch.from_numpy(np.rint(self.places).astype(np.int64))]
