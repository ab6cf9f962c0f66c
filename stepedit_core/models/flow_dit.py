"""DiT velocity estimator of the flow decoder: 80 mel channels at 50 Hz.

Source: spec 8.3 (DiT with a causal convolution branch, adaptive LayerNorm); parameter names are
those of flow.pt (spec 11.2, ``decoder.estimator.*``). There is no positional encoding: locality
comes from the convolutions alone. Attention sees the whole utterance.

The work of one call is cut in parts, because the sampler repeats it: ``modulations`` depends on the
time only and ``context`` on the conditions only, so both are computed once for a sampling run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .packed import Linear
from .rows import side_by_side

TIME_SCALE = 1000.0
TIME_FREQUENCIES = 256
NORM_EPS = 1e-6


@dataclass(frozen=True, kw_only=True)
class Modulation:
    """Adaptive LayerNorm values of one time, for every block and the final layer.

    ``blocks`` has depth tensors (T, 1, 9 * dim), ``final`` is (T, 1, 2 * dim); T is the batch,
    or 1 when all rows share one time.
    """

    blocks: tuple[Tensor, ...]
    final: Tensor

    def row(self, index: int) -> Modulation:
        """The values of one time, T = 1."""
        part = slice(index, index + 1)
        return Modulation(blocks=tuple(b[part] for b in self.blocks), final=self.final[part])


def modulated_norm(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """LayerNorm without weights, then ``x * (1 + scale) + shift``.

    x (B, F, dim), shift and scale (T, 1, dim), T = B or 1; returns (B, F, dim).
    With one row of modulation the two steps are one LayerNorm with weights.
    """
    dim = x.shape[-1]
    if scale.shape[0] == 1:
        return F.layer_norm(x, (dim,), 1 + scale.view(dim), shift.view(dim), NORM_EPS)
    return torch.addcmul(shift, F.layer_norm(x, (dim,), eps=NORM_EPS), 1 + scale)


class TimeEmbedder(nn.Module):
    """Time in [0, 1] to a vector: 256 sinusoids of 1000 t, Linear, SiLU, Linear."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(Linear(TIME_FREQUENCIES, dim), nn.SiLU(), Linear(dim, dim))

    def forward(self, t: Tensor) -> Tensor:
        """Map t (T,) to (T, dim) in the dtype of the weights.

        The angles are float32: half precision would lose the time itself.
        """
        half = TIME_FREQUENCIES // 2
        index = torch.arange(half, device=t.device)
        angle = (t.float() * TIME_SCALE)[:, None] * torch.exp(-math.log(10000.0) * index / half)
        wave = torch.cat((angle.cos(), angle.sin()), dim=-1)
        out: Tensor = self.mlp(wave.to(next(self.mlp.parameters()).dtype))
        return out


class Attention(nn.Module):
    """Multi-head self-attention with LayerNorm on the queries and keys of each head."""

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * head_dim
        self.to_q = Linear(dim, inner)
        self.to_k = Linear(dim, inner)
        self.to_v = Linear(dim, inner)
        self.q_norm = nn.LayerNorm(head_dim)
        self.k_norm = nn.LayerNorm(head_dim)
        self.proj = Linear(inner, dim)

    def _heads(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -1, (self.heads, -1))  # (B, F, H, head_dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map x (B, F, dim), mask (B, 1, 1, F) bool or None -> (B, F, dim)."""
        q = self.q_norm(self._heads(self.to_q(x))).transpose(1, 2)
        k = self.k_norm(self._heads(self.to_k(x))).transpose(1, 2)
        v = self._heads(self.to_v(x)).transpose(1, 2)
        if mask is None and q.dtype == torch.bfloat16 and q.device.type == "cpu":
            out = _by_products(q, k, v)
        else:
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        projected: Tensor = self.proj(out.transpose(1, 2).flatten(2))
        return projected


def _by_products(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of (B, H, F, head_dim) as two products and a softmax between, a row at a time.

    torch's own for CPUs runs bfloat16 at 60 GFLOP/s, this at 90: oneDNN has the products.
    """
    scaled = q * q.shape[-1] ** -0.5
    rows = [
        torch.matmul(torch.matmul(a, b.transpose(-1, -2)).softmax(-1), c)
        for a, b, c in zip(scaled, k, v, strict=True)
    ]
    return torch.stack(rows)


class CausalConv(nn.Conv1d):
    """Conv1d over time of (B, F, C) with zeros on the left."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, C) -> (B, F, C)."""
        h = F.pad(x.transpose(1, 2), (self.kernel_size[0] - 1, 0))
        return super().forward(h).transpose(1, 2)


class ConvBranch(nn.Module):
    """Causal conv 3, LayerNorm, Mish, causal conv 3. The list positions give the released names."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Identity(),
            CausalConv(dim, dim, 3),
            nn.Identity(),
            nn.LayerNorm(dim),
            nn.Mish(),
            nn.Identity(),
            CausalConv(dim, dim, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, dim) -> (B, F, dim)."""
        out: Tensor = self.block(x)
        return out


class MLP(nn.Module):
    """Linear, GELU (tanh form), Linear."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(dim, hidden)
        self.fc2 = Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, dim) -> (B, F, dim)."""
        out: Tensor = self.fc2(self.fc1.gelu(x))
        return out


class AdaptiveBlock(nn.Module):
    """Attention, then convolution, then MLP, each gated and modulated by the time.

    The nine parts of the modulation stand in the order attention, MLP, convolution (spec 13,
    trap 10).
    """

    def __init__(self, dim: int, heads: int, head_dim: int, mlp_ratio: float) -> None:
        super().__init__()
        self.attn = Attention(dim, heads, head_dim)
        self.mlp = MLP(dim, int(dim * mlp_ratio))
        self.conv = ConvBranch(dim)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), Linear(dim, 9 * dim))

    def forward(self, x: Tensor, modulation: Tensor, mask: Tensor | None) -> Tensor:
        """Map x (B, F, dim), modulation (B or 1, 1, 9 * dim), mask (B, 1, 1, F) -> (B, F, dim)."""
        a_shift, a_scale, a_gate, m_shift, m_scale, m_gate, c_shift, c_scale, c_gate = (
            modulation.chunk(9, dim=-1)
        )
        x = torch.addcmul(x, a_gate, self.attn(modulated_norm(x, a_shift, a_scale), mask))
        x = torch.addcmul(x, c_gate, self.conv(modulated_norm(x, c_shift, c_scale)))
        return torch.addcmul(x, m_gate, self.mlp(modulated_norm(x, m_shift, m_scale)))


class FinalLayer(nn.Module):
    """Modulated norm and projection to the mel channels."""

    def __init__(self, dim: int, mel: int) -> None:
        super().__init__()
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), Linear(dim, 2 * dim))
        self.linear = Linear(dim, mel)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """Map x (B, F, dim), modulation (B or 1, 1, 2 * dim) -> (B, F, mel)."""
        shift, scale = modulation.chunk(2, dim=-1)
        out: Tensor = self.linear(modulated_norm(x, shift, scale))
        return out


class DiT(nn.Module):
    """Velocity of the flow, given a noisy mel, the time and the conditions."""

    def __init__(
        self, *, mel: int, dim: int, depth: int, heads: int, head_dim: int, mlp_ratio: float
    ) -> None:
        super().__init__()
        self.mel = mel
        self.t_embedder = TimeEmbedder(dim)
        self.in_proj = nn.Linear(4 * mel, dim)
        self.blocks = nn.ModuleList(
            AdaptiveBlock(dim, heads, head_dim, mlp_ratio) for _ in range(depth)
        )
        self.final_layer = FinalLayer(dim, mel)
        self._init_weights()

    def _init_weights(self) -> None:
        """adaLN-zero: every block starts as the identity and the velocity starts at zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for name, parameter in self.named_parameters():
            if "adaLN_modulation" in name or name == "final_layer.linear.weight":
                nn.init.zeros_(parameter)
            elif name in ("t_embedder.mlp.0.weight", "t_embedder.mlp.2.weight"):
                nn.init.normal_(parameter, std=0.02)

    def modulations(self, t: Tensor) -> Modulation:
        """Adaptive LayerNorm values of the times t (T,)."""
        c = F.silu(self.t_embedder(t))[:, None]  # (T, 1, dim); the SiLU of every adaLN_modulation.0
        return Modulation(
            blocks=tuple(
                block.adaLN_modulation[1](c)
                for block in self.blocks
                if isinstance(block, AdaptiveBlock)
            ),
            final=self.final_layer.adaLN_modulation[1](c),
        )

    def context(self, mu: Tensor, spk: Tensor, cond: Tensor) -> Tensor:
        """The part of in_proj that does not depend on x, with the bias.

        mu, cond (B, mel, F), spk (B, mel) -> (B, F, dim).
        """
        _, w_mu, w_spk, w_cond = self.in_proj.weight.chunk(4, dim=1)
        frames = torch.cat((mu, cond), dim=1).transpose(1, 2)
        hidden = F.linear(frames, torch.cat((w_mu, w_cond), dim=1), self.in_proj.bias)
        return hidden + F.linear(spk, w_spk)[:, None]

    def velocity(
        self, x: Tensor, context: Tensor, modulation: Modulation, mask: Tensor | None = None
    ) -> Tensor:
        """Map x (B or 1, mel, F), context (B, F or 1, dim), mask (B, F) bool -> (B, mel, F).

        On one thread of a CPU the rows run apart, so that spare threads can take some.
        """
        rows = context.shape[0]
        one = x.device.type == "cpu" and torch.get_num_threads() == 1
        if rows > 1 and one and mask is None and not torch.is_grad_enabled():
            return side_by_side(
                lambda row: self._velocity(
                    x if x.shape[0] == 1 else x[row : row + 1],
                    context[row : row + 1],
                    modulation,
                    None,
                ),
                rows,
            )
        return self._velocity(x, context, modulation, mask)

    def _velocity(
        self, x: Tensor, context: Tensor, modulation: Modulation, mask: Tensor | None
    ) -> Tensor:
        """All rows as one batch."""
        h = F.linear(x.transpose(1, 2), self.in_proj.weight[:, : self.mel]) + context
        keys = None if mask is None else mask[:, None, None, :]
        for block, values in zip(self.blocks, modulation.blocks, strict=True):
            h = block(h, values, keys)
        out: Tensor = self.final_layer(h, modulation.final).transpose(1, 2)
        return out

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        mu: Tensor,
        spk: Tensor,
        cond: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Velocity (B, mel, F) at the times t (B,) or (1,) in [0, 1].

        x, mu, cond (B, mel, F); spk (B, mel), already projected; mask (B, F) bool, True on real
        frames, padding at the end. Values on padded frames mean nothing.
        """
        return self.velocity(x, self.context(mu, spk, cond), self.modulations(t), mask)
