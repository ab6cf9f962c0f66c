"""BigVGAN-v2 vocoder: an 80-channel mel at 50 Hz to a wave at 24 kHz (480 samples a frame).

Source: spec 9.2 (arXiv:2206.04658; no checkpoint of this size is released). Names follow the
class's own state dict with weight norm folded (spec 11.4).

The anti-aliased activation (upsample by two, activation, downsample by two) keeps the even and odd
samples of the doubled rate as two rows: both filters become short convolutions between one and two
rows, and nothing is interleaved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

TAPS = 12
EDGE = 3


@dataclass(frozen=True, kw_only=True)
class BigVGANConfig:
    """Sizes of the vocoder; the defaults are those of the official class (spec 9.2)."""

    mel: int = 80
    """Mel channels."""
    base_channels: int = 512
    """Channels after the first convolution; each stage halves them."""
    upsample_rates: tuple[int, ...] = (5, 4, 3, 2, 2, 2)
    """Factor of each stage."""
    upsample_kernels: tuple[int, ...] = (11, 8, 7, 4, 4, 4)
    """Kernel of each transposed convolution."""
    resblock_kernels: tuple[int, ...] = (3, 7, 11)
    """Kernels of the parallel residual blocks of each stage."""
    dilations: tuple[int, ...] = (1, 3, 5)
    """Dilations inside every residual block."""
    edge: str = "reflect"
    """Padding of the mel by three frames at both ends: "reflect" here, "constant" in BigVGAN-v2."""


def sinc_taps() -> Tensor:
    """Kaiser-windowed sinc for a factor of two: (12,) float32, cutoff 1/4, width 0.3, sum 1."""
    half = TAPS // 2
    attenuation_db = 2.285 * (half - 1) * math.pi * 4 * 0.3 + 7.95
    beta = 0.1102 * (attenuation_db - 8.7)  # Kaiser's formula above 50 dB; it is 51.0 dB here
    taps = np.kaiser(TAPS, beta) * np.sinc(0.5 * (np.arange(-half, half) + 0.5))
    return torch.tensor((taps / taps.sum()).tolist(), dtype=torch.float32)


class Taps(nn.Module):
    """One constant filter under its released name, (1, 1, 12)."""

    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", sinc_taps().view(1, 1, TAPS))


class Downsample(nn.Module):
    """The filter ``lowpass.filter``."""

    def __init__(self) -> None:
        super().__init__()
        self.lowpass = Taps()


class SnakeBeta(nn.Module):
    """x + sin(e^alpha x)^2 / e^beta, one alpha and one beta a channel, log scale."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, T) to the same shape."""
        alpha = self.alpha.exp()[:, None]
        gain = 1 / (self.beta.exp() + 1e-9)[:, None]
        if torch.is_grad_enabled():
            return torch.addcmul(x, torch.sin(x * alpha).square(), gain)
        wave = (x * alpha).sin_().square_()
        return torch.addcmul(x, wave, gain, out=wave)


class AliasFree(nn.Module):
    """Snake at twice the rate, between two 12-tap low-pass filters."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.act = SnakeBeta(channels)
        self.upsample = Taps()
        self.downsample = Downsample()

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, T) to the same shape."""
        channels, length = x.shape[1:]
        low = 2 * self.upsample.filter.expand(channels, 1, TAPS)
        padded = F.pad(x, (EDGE, EDGE), mode="replicate")
        up = F.conv_transpose1d(padded, low, stride=2, groups=channels)
        # input n lies at 2n + 2 EDGE of the doubled rate, the middle of the filter 5.5 after it
        first = 2 * EDGE + TAPS // 2 - 1
        up = self.act(up[..., first : first + 2 * length])
        up = F.pad(up, (TAPS // 2 - 1, TAPS // 2), mode="replicate")
        down = self.downsample.lowpass.filter.expand(channels, 1, TAPS)
        return F.conv1d(up, down, stride=2, groups=channels)


class AMPBlock(nn.Module):
    """For each dilation: activation, dilated conv, activation, conv, residual."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=d, padding=d * (kernel - 1) // 2)
            for d in dilations
        )
        self.convs2 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, padding=(kernel - 1) // 2) for _ in dilations
        )
        self.activations = nn.ModuleList(AliasFree(channels) for _ in range(2 * len(dilations)))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, T) to the same shape."""
        layers = zip(
            self.activations[::2], self.convs1, self.activations[1::2], self.convs2, strict=True
        )
        for act1, conv1, act2, conv2 in layers:
            x = x + conv2(act2(conv1(act1(x))))
        return x


class BigVGAN(nn.Module):
    """Upsampling stages with averaged residual blocks; no source signal, no noise."""

    def __init__(self, config: BigVGANConfig | None = None) -> None:
        super().__init__()
        c = config if config is not None else BigVGANConfig()
        self.config = c
        self.conv_pre = nn.Conv1d(c.mel, c.base_channels, 2 * EDGE + 1)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        channels = c.base_channels
        for up, kernel in zip(c.upsample_rates, c.upsample_kernels, strict=True):
            half = channels // 2
            conv = nn.ConvTranspose1d(channels, half, kernel, up, (kernel - up) // 2)
            self.ups.append(nn.Sequential(conv))
            self.resblocks.extend(AMPBlock(half, k, c.dilations) for k in c.resblock_kernels)
            channels = half
        self.activation_post = AliasFree(channels)
        self.conv_post = nn.Conv1d(channels, 1, 7, padding=3, bias=False)
        self._init_weights()

    def _init_weights(self) -> None:
        """Small normal weights, as in HiFi-GAN."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv1d | nn.ConvTranspose1d) and name != "conv_pre":
                nn.init.normal_(module.weight, std=0.01)

    def forward(self, mel: Tensor) -> Tensor:
        """Map mel (B, mel, F), F > 3, to a wave (B, 480 F) in [-1, 1]."""
        kernels = len(self.config.resblock_kernels)
        x = self.conv_pre(F.pad(mel, (EDGE, EDGE), mode=self.config.edge))
        for stage, up in enumerate(self.ups):
            x = up(x)
            blocks = self.resblocks[stage * kernels : (stage + 1) * kernels]
            x = sum(block(x) for block in blocks) / kernels
        wave: Tensor = self.conv_post(self.activation_post(x))
        return wave.squeeze(1).clamp(-1.0, 1.0)
