"""Speaker encoder CAM++: mean-free Kaldi frames at 100 Hz to one vector per clip.

Source: arXiv:2303.00332 and the public 3D-Speaker checkpoint, whose state_dict names these are.
The release runs an ONNX export of it with batch norms folded into the convolutions (spec 11.7); a
folded bias goes into the batch norm that follows: mean 0, variance 1 - eps, weight 1, that bias.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SEGMENT = 100
"""Frames (of 20 ms) that share one local context."""


@dataclass(frozen=True, kw_only=True)
class SpeakerConfig:
    """Sizes of CAM++."""

    features: int = 80
    """Filter-bank bins of the input."""
    embedding: int = 192
    """Width of the speaker vector."""
    head_channels: int = 32
    """Channels of the convolutions over frequency and time."""
    channels: int = 128
    """Channels after the first convolution over time."""
    growth: int = 32
    """Channels that each dense layer adds."""
    bottleneck: int = 128
    """Channels inside a dense layer."""
    blocks: tuple[int, ...] = (12, 24, 16)
    """Dense layers of each block."""
    dilations: tuple[int, ...] = (1, 2, 2)
    """Dilation of each block."""


def _norm_relu(channels: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(batchnorm=nn.BatchNorm1d(channels), relu=nn.ReLU()))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions; a stride shortens frequency only."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, stride=(stride, 1), padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut.append(nn.Conv2d(channels, channels, 1, stride=(stride, 1), bias=False))
            self.shortcut.append(nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F, T) to (B, C, ceil(F / stride), T)."""
        y = self.bn1(self.conv1(x)).relu()
        out: Tensor = self.bn2(self.conv2(y)) + self.shortcut(x)
        return out.relu()


class Head(nn.Module):
    """Convolutions over frequency and time; frequency shrinks to an eighth."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.layer1 = nn.Sequential(ResidualBlock(channels, 2), ResidualBlock(channels, 1))
        self.layer2 = nn.Sequential(ResidualBlock(channels, 2), ResidualBlock(channels, 1))
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=(2, 1), padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, T) to (B, C * features / 8, T), channel by channel."""
        x = self.bn1(self.conv1(x[:, None])).relu()
        out: Tensor = self.bn2(self.conv2(self.layer2(self.layer1(x))))
        return out.relu().flatten(1, 2)


class ContextGate(nn.Module):
    """Context-aware mask: each channel is scaled by what the whole clip and its segment hold."""

    def __init__(self, width: int, out: int, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(
            width, out, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.linear1 = nn.Conv1d(width, width // 2, 1)
        self.linear2 = nn.Conv1d(width // 2, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, T) to (B, out, T)."""
        means = F.avg_pool1d(x, SEGMENT, SEGMENT, ceil_mode=True)
        segment = means.repeat_interleave(SEGMENT, dim=-1)[..., : x.shape[-1]]
        context = x.mean(-1, keepdim=True) + segment
        gate = self.linear2(self.linear1(context).relu()).sigmoid()
        out: Tensor = self.linear_local(x) * gate
        return out


class DenseLayer(nn.Module):
    """Batch norm, bottleneck, gated convolution."""

    def __init__(self, width: int, config: SpeakerConfig, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _norm_relu(width)
        self.linear1 = nn.Conv1d(width, config.bottleneck, 1, bias=False)
        self.nonlinear2 = _norm_relu(config.bottleneck)
        self.cam_layer = ContextGate(config.bottleneck, config.growth, dilation)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, T) to (B, growth, T)."""
        out: Tensor = self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))
        return out


class DenseBlock(nn.Module):
    """Layers tdnnd1, tdnnd2, ..., each reading all channels before it."""

    def __init__(self, width: int, layers: int, config: SpeakerConfig, dilation: int) -> None:
        super().__init__()
        for i in range(layers):
            layer = DenseLayer(width + i * config.growth, config, dilation)
            self.add_module(f"tdnnd{i + 1}", layer)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, T) to (B, width + layers * growth, T)."""
        for layer in self.children():
            x = torch.cat([x, layer(x)], dim=1)
        return x


class Transit(nn.Module):
    """Batch norm, ReLU and a 1x1 convolution that halves the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.nonlinear = _norm_relu(width)
        self.linear = nn.Conv1d(width, width // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, T) to (B, width // 2, T)."""
        out: Tensor = self.linear(self.nonlinear(x))
        return out


class Subsample(nn.Module):
    """Convolution over time that halves the frame rate."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(width, out, 5, stride=2, padding=2, bias=False)
        self.nonlinear = _norm_relu(out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, T) to (B, out, ceil(T / 2))."""
        out: Tensor = self.nonlinear(self.linear(x))
        return out


class StatsPool(nn.Module):
    """Mean and unbiased standard deviation over time."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to (B, 2C)."""
        return torch.cat([x.mean(-1), x.std(-1, unbiased=True)], dim=-1)


class Embedding(nn.Module):
    """Projection and batch norm without affine part."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(width, out, 1, bias=False)
        self.nonlinear = nn.Sequential(OrderedDict(batchnorm=nn.BatchNorm1d(out, affine=False)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) to (B, out)."""
        out: Tensor = self.nonlinear(self.linear(x[..., None])[..., 0])
        return out


class SpeakerEncoder(nn.Module):
    """CAM++; training mode uses and updates batch statistics, so call eval() for inference."""

    def __init__(self, config: SpeakerConfig) -> None:
        super().__init__()
        self.config = config
        self.head = Head(config.head_channels)
        width = config.channels
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["tdnn"] = Subsample(config.head_channels * (config.features // 8), width)
        for i, (layers, dilation) in enumerate(zip(config.blocks, config.dilations, strict=True)):
            parts[f"block{i + 1}"] = DenseBlock(width, layers, config, dilation)
            width += layers * config.growth
            parts[f"transit{i + 1}"] = Transit(width)
            width //= 2
        parts["out_nonlinear"] = _norm_relu(width)
        parts["stats"] = StatsPool()
        parts["dense"] = Embedding(2 * width, config.embedding)
        self.xvector = nn.Sequential(parts)

    def forward(self, features: Tensor) -> Tensor:
        """Speaker vector (B, 192), not normalised, of features (B, T, 80) minus their mean.

        T must be at least 3, since the pooling needs two frames of 20 ms.
        """
        out: Tensor = self.xvector(self.head(features.transpose(1, 2)))
        return out
