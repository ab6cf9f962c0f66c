"""Flow decoder: token pairs at 25 Hz, a prompt mel and a speaker vector to a mel at 50 Hz.

Source: spec 8 (CosyVoice-300M-25Hz flow, optimal-transport flow matching, arXiv:2210.02747).
Parameter names are those of flow.pt, 605 tensors (spec 11.2). Noise is an argument, so a result
depends on the caller's seed only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .flow_dit import DiT
from .flow_encoder import EncoderSizes, FlowEncoder


@dataclass(frozen=True, kw_only=True)
class FlowConfig:
    """Sizes of the flow decoder; the defaults are the release (spec 8.2, 8.3)."""

    vocab: int = 5121
    """Rows of the shared token table: 1024 linguistic codes, PAD, 4096 semantic codes."""
    embed_dim: int = 256
    """Width of one token vector; the two codebooks are concatenated to twice this."""
    encoder_dim: int = 512
    """Width of the token encoder."""
    encoder_heads: int = 8
    """Attention heads of the token encoder."""
    encoder_ffn: int = 2048
    """Hidden width of the feed-forward layers of the token encoder."""
    encoder_blocks: int = 6
    """Encoder blocks at 25 Hz."""
    encoder_up_blocks: int = 4
    """Encoder blocks at 50 Hz."""
    lookahead: int = 3
    """Tokens of look-ahead of the first convolution."""
    dropout: float = 0.1
    """Dropout of the token encoder in training."""
    guidance_scale: float = 1.0
    """Factor on the guidance that is asked for; a small model needs more."""
    noise_scale: float = 1.0
    """Deviation of the noise that sampling starts from; below 1 it is smoother, less varied."""
    prompt_guide: bool = False
    """Whether the prompt's mel is also laid along the target, where both say the same (decision
    0013); the release does not."""
    contrast_scale: float = 0.0
    """Where the prompt is laid along, a second guidance away from the prompt's own tokens, as a
    factor on the guidance that is asked for (decision 0014); the release has none."""
    difference_order: int = 1
    """Order of the solver of decoding by difference: 1 is Euler's, 2 takes half the steps (decision
    0040)."""
    dit_dim: int = 512
    """Width of the velocity estimator."""
    dit_depth: int = 16
    """Blocks of the velocity estimator."""
    dit_heads: int = 8
    """Attention heads of the velocity estimator."""
    dit_head_dim: int = 64
    """Width of one head of the velocity estimator."""
    dit_mlp_ratio: float = 4.0
    """Hidden width of the MLP over the width of the velocity estimator."""
    speaker_dim: int = 192
    """Length of a speaker vector."""
    mel: int = 80
    """Mel channels."""


class TokenEmbedding(nn.Module):
    """One table for both codebooks; the two vectors of a pair are concatenated."""

    def __init__(self, vocab: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim)

    def forward(self, pairs: Tensor) -> Tensor:
        """Map pairs (B, T, 2) int64 -> (B, T, 2 * dim)."""
        out: Tensor = self.embedding(pairs)
        return out.flatten(2)


def step_times(steps: int) -> tuple[Tensor, Tensor]:
    """Times and lengths of the Euler steps, both (steps,) float32 on the CPU, spec 8.4.

    The grid is 1 - cos(tau * pi / 2). Each length leads from the running sum, not from the grid
    value, to the next grid value, so that rounding does not add up.
    """
    grid = 1 - torch.cos(torch.linspace(0, 1, steps + 1) * 0.5 * torch.pi)
    times = torch.empty(steps)
    lengths = torch.empty(steps)
    t = grid[0]
    for step in range(steps):
        times[step] = t
        lengths[step] = grid[step + 1] - t
        t = t + lengths[step]
    return times, lengths


class PromptGuide(NamedTuple):
    """A prompt laid along a target of Q tokens that says the same."""

    mel: Tensor
    """(B, mel, 2Q), zero where the prompt has no such place."""
    pairs: Tensor
    """(B, Q, 2) int64, the prompt's tokens."""
    known: Tensor
    """(B, Q) bool, True where the prompt has such a place."""


@dataclass(frozen=True, kw_only=True)
class Euler:
    """How a mel is integrated from noise, and who watches."""

    steps: int = 10
    guidance: float = 0.7
    """Weight of classifier-free guidance; 0 is off."""
    contrast: float | None = None
    """Weight of the guidance away from the prompt's own codes; None takes the config's."""
    on_step: Callable[[int, int], None] | None = None
    """Called with (done, steps) after every step; may raise to cancel."""


class FlowMatching(nn.Module):
    """The velocity estimator and its Euler sampler."""

    def __init__(self, estimator: DiT) -> None:
        super().__init__()
        self.estimator = estimator

    def sample(
        self,
        mu: Tensor,
        spk: Tensor,
        cond: Tensor,
        *,
        noise: Tensor,
        euler: Euler,
        plain: Tensor | None = None,
    ) -> Tensor:
        """Integrate from noise to a mel, both (B, mel, F).

        mu, cond (B, mel, F); spk (B, mel), projected. The velocity is
        ``(1 + guidance) * conditional - guidance * unconditional``; all conditions of the second
        are zero, the speaker after its projection (spec 13, trap 9). With `plain`, another mu,
        ``contrast * (conditional - conditional on plain)`` is added.
        """
        steps, guidance = euler.steps, euler.guidance
        batch = noise.shape[0]
        contexts = [self.estimator.context(mu, spk, cond)]
        weights = [1.0 + guidance]
        if guidance:
            contexts.append(self.estimator.in_proj.bias.expand_as(contexts[0]))
            weights.append(-guidance)
        if plain is not None:
            contexts.append(self.estimator.context(plain, spk, cond))
            contrast = euler.contrast or 0.0
            weights[0] += contrast
            weights.append(-contrast)
        branches, context = len(contexts), torch.cat(contexts)
        times, lengths = step_times(steps)
        modulations = self.estimator.modulations(times.to(noise.device))
        x = noise
        for step in range(steps):
            rows = (x.repeat(branches, 1, 1) if batch > 1 else x).to(context.dtype)
            said = self.estimator.velocity(rows, context, modulations.row(step)).to(x.dtype)
            v = weights[0] * said[:batch]
            for branch in range(1, branches):
                v = v + weights[branch] * said[branch * batch : (branch + 1) * batch]
            x = x + float(lengths[step]) * v
            if euler.on_step is not None:
                euler.on_step(step + 1, steps)
        return x


class Flow(nn.Module):
    """Token embedding, encoder, speaker projection and flow-matching decoder."""

    def __init__(self, config: FlowConfig | None = None) -> None:
        super().__init__()
        c = config if config is not None else FlowConfig()
        self.config = c
        self.input_embedding = TokenEmbedding(c.vocab, c.embed_dim)
        self.spk_embed_affine_layer = nn.Linear(c.speaker_dim, c.mel)
        self.encoder = FlowEncoder(
            EncoderSizes(
                input_dim=2 * c.embed_dim,
                dim=c.encoder_dim,
                heads=c.encoder_heads,
                ffn=c.encoder_ffn,
                blocks=c.encoder_blocks,
                up_blocks=c.encoder_up_blocks,
                lookahead=c.lookahead,
                dropout=c.dropout,
            )
        )
        self.encoder_proj = nn.Linear(c.encoder_dim, c.mel)
        self.decoder = FlowMatching(
            DiT(
                mel=c.mel,
                dim=c.dit_dim,
                depth=c.dit_depth,
                heads=c.dit_heads,
                head_dim=c.dit_head_dim,
                mlp_ratio=c.dit_mlp_ratio,
            )
        )

    def encode(self, pairs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Token pairs (B, T, 2) int64 -> mu (B, mel, 2T).

        mask (B, T) bool, True on real tokens, padding at the end; mu is zero on padding.
        """
        vectors = self.input_embedding(pairs)
        if mask is not None:
            vectors = vectors * mask[..., None]
        mu: Tensor = self.encoder_proj(self.encoder(vectors, mask)).transpose(1, 2)
        if mask is not None:
            mu = mu * mask.repeat_interleave(2, dim=1)[:, None]
        return mu

    def project_speaker(self, spk: Tensor) -> Tensor:
        """Speaker vectors (B, speaker_dim) of any length -> (B, mel)."""
        out: Tensor = self.spk_embed_affine_layer(F.normalize(spk, dim=1))
        return out

    def sample(
        self,
        pairs: Tensor,
        prompt_mel: Tensor,
        spk: Tensor,
        *,
        noise: Tensor,
        euler: Euler | None = None,
        guide: PromptGuide | None = None,
    ) -> Tensor:
        """Mel (B, mel, F - 2P) of the tokens that follow the prompt.

        pairs (B, P + Q, 2) int64, prompt pairs first; prompt_mel (B, mel, 2P), already resized to
        the prompt tokens; spk (B, speaker_dim); noise (B, mel, F) standard normal, F = 2 (P + Q);
        guide is the prompt in the target's time, for a model with `prompt_guide`. The config scales
        guidance and noise.
        """
        euler = euler or Euler()
        contrast = euler.contrast
        if contrast is None:
            contrast = euler.guidance * self.config.contrast_scale
        mu = self.encode(pairs)
        prompt = prompt_mel.shape[-1]
        cond = torch.zeros_like(mu)
        cond[..., :prompt] = prompt_mel
        plain = None
        if guide is not None:
            cond[..., prompt:] = guide.mel
            own = torch.where(guide.known[..., None], guide.pairs, pairs[:, prompt // 2 :])
            if contrast and not torch.equal(own, pairs[:, prompt // 2 :]):
                plain = self.encode(torch.cat((pairs[:, : prompt // 2], own), dim=1))
        mel = self.decoder.sample(
            mu,
            self.project_speaker(spk),
            cond,
            noise=noise * self.config.noise_scale,
            euler=replace(
                euler, guidance=euler.guidance * self.config.guidance_scale, contrast=contrast
            ),
            plain=plain,
        )
        return mel[..., prompt:]
