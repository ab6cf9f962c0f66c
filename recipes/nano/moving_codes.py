"""A codebook that follows an encoder by moving averages (van den Oord et al. 2017, appendix A)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recipes.nano.train_linguistic import kmeans

DEAD = 0.02
"""Average rows of a step below which a code has fallen out of use."""


class MovingCodes:
    """The rows (K, D) of a model's codebook, changed in place; they start by k-means.

    `start_at` is the step whose rows, with those of the 60 before it, start the codebook.
    """

    def __init__(self, codebook: Tensor, *, keep: float, start_at: int) -> None:
        self.codebook, self.keep, self.start_at = codebook, keep, start_at
        self.sums = torch.zeros_like(codebook)
        self.counts = torch.zeros(len(codebook), device=codebook.device)
        self.started = False
        self.recent: list[Tensor] = []

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs beside the codebook itself."""
        return {"sums": self.sums, "counts": self.counts, "started": self.started}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.sums, self.counts = (state[k].to(self.codebook) for k in ("sums", "counts"))
        self.started = state["started"]

    @property
    def used(self) -> float:
        """Share of the codes that are in use."""
        return float((self.counts > DEAD).float().mean())

    def __call__(
        self, step: int, live: Tensor, rng: np.random.Generator, *, restart: bool
    ) -> tuple[Tensor, Tensor]:
        """Rows (N, D) as their codes, gradients passing through, and the commitment loss.

        Before the codebook starts they come back as they are. With `restart`, codes that fell out of
        use move to live rows.
        """
        if not self.started:
            self._gather(step, live.detach(), rng)
            return live, live.new_zeros(())
        with torch.no_grad():
            rows = live.detach()
            codes = torch.cdist(rows, self.codebook).argmin(1)
            chosen = self.codebook[codes]
            hot = torch.bincount(codes, minlength=len(self.counts)).float()
            self.counts.mul_(self.keep).add_(hot, alpha=1 - self.keep)
            new = torch.zeros_like(self.sums).index_add_(0, codes, rows)
            self.sums.mul_(self.keep).add_(new, alpha=1 - self.keep)
            self.codebook.copy_(self.sums / self.counts.clamp(min=1e-4)[:, None])
            dead = (self.counts < DEAD).nonzero()[:, 0]
            if len(dead) and restart:
                fresh = rows[torch.from_numpy(rng.integers(0, len(rows), len(dead)))]
                self.codebook[dead] = fresh
                self.sums[dead] = fresh * 0.1
                self.counts[dead] = 0.1
        loss = functional.mse_loss(live, chosen) * live.shape[-1]
        return live + (chosen - live).detach(), loss

    def _gather(self, step: int, rows: Tensor, rng: np.random.Generator) -> None:
        """Keep the last rows before the start; k-means of them at the start."""
        if step < self.start_at - 60:
            return
        self.recent.append(rows)
        if step + 1 >= self.start_at and sum(map(len, self.recent)) >= len(self.counts):
            centres = kmeans(torch.cat(self.recent)[:90_000], len(self.counts), 12, rng)
            self.codebook.copy_(centres)
            self.counts.fill_(1.0)
            self.sums.copy_(centres)
            self.started = True
            self.recent.clear()
