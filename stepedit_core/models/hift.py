"""HiFT vocoder: an 80-channel mel at 50 Hz to a wave at 24 kHz (480 samples a frame).

Source: spec 9.1 (neural source filter with an inverse-STFT head, arXiv:2309.09493). Parameter names
are those of hift.pt with weight norm folded, 246 tensors (spec 11.3). Noise is an argument or comes
from the caller's generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class HiFTConfig:
    """Sizes of the vocoder; the defaults are the release (spec 9.1)."""

    mel: int = 80
    """Mel channels."""
    base_channels: int = 512
    """Channels after the first convolution; each stage halves them."""
    f0_channels: int = 512
    """Channels of the pitch predictor."""
    sample_rate: int = 24000
    """Output rate in Hz."""
    harmonics: int = 9
    """Sines of the source: the fundamental and eight overtones."""
    sine_amplitude: float = 0.1
    """Amplitude of each sine; a third of it is the noise level of unvoiced frames."""
    noise_std: float = 0.003
    """Noise level of voiced frames."""
    voiced_threshold_hz: float = 10.0
    """A frame is voiced when its pitch is above this."""
    upsample_rates: tuple[int, ...] = (8, 5, 3)
    """Factor of each stage."""
    upsample_kernels: tuple[int, ...] = (16, 11, 7)
    """Kernel of each transposed convolution."""
    n_fft: int = 16
    """Size of the STFT of the source and of the output."""
    hop_samples: int = 4
    """Hop of both."""
    resblock_kernels: tuple[int, ...] = (3, 7, 11)
    """Kernels of the parallel residual blocks of each stage."""
    source_kernels: tuple[int, ...] = (7, 7, 11)
    """Kernel of the source block of each stage."""
    dilations: tuple[int, ...] = (1, 3, 5)
    """Dilations inside every residual block."""
    leaky_slope: float = 0.1
    """Slope of the stage activations; the last activation has slope 0.01."""
    peak: float = 0.99
    """The wave is clamped to plus and minus this."""

    @property
    def frame_samples(self) -> int:
        """Samples per mel frame."""
        return prod(self.upsample_rates) * self.hop_samples


def snake(x: Tensor, alpha: Tensor) -> Tensor:
    """Return x + sin(alpha x)^2 / alpha, for x (B, C, 1, T) and alpha (C,), arXiv:2006.08195."""
    rate = alpha[:, None, None]
    return torch.addcmul(x, (x * rate).sin_().square_(), 1 / (rate + 1e-9))


class TimeConv(nn.Conv1d):
    """Conv1d on x (B, C, 1, T) with the channels last in memory.

    The same sums as Conv1d: with the channels last oneDNN reaches 210 GFLOP/s on two cores for
    every kernel here, with the time last 84 to 220.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, 1, T) -> (B, C', 1, T')."""
        weight = self.weight[:, :, None].contiguous(memory_format=torch.channels_last)
        return F.conv2d(
            x,
            weight,
            self.bias,
            (1, self.stride[0]),
            (0, int(self.padding[0])),
            (1, self.dilation[0]),
        )


class TimeUpsampling(nn.ConvTranspose1d):
    """ConvTranspose1d on x (B, C, 1, T) with the channels last in memory."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, C, 1, T) -> (B, C', 1, stride T)."""
        weight = self.weight[:, :, None]
        stride, padding = (1, self.stride[0]), (0, int(self.padding[0]))
        return F.conv_transpose2d(x, weight, self.bias, stride, padding)


class Snake(nn.Module):
    """Has alpha, one value a channel, linear scale."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, 1, T) -> (B, C, 1, T)."""
        return snake(x, self.alpha)


class ResBlock(nn.Module):
    """For each dilation: snake, dilated conv, snake, conv, residual."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            TimeConv(channels, channels, kernel, dilation=d, padding=d * (kernel - 1) // 2)
            for d in dilations
        )
        self.convs2 = nn.ModuleList(
            TimeConv(channels, channels, kernel, padding=(kernel - 1) // 2) for _ in dilations
        )
        self.activations1 = nn.ModuleList(Snake(channels) for _ in dilations)
        self.activations2 = nn.ModuleList(Snake(channels) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, 1, T) -> (B, C, 1, T)."""
        layers = zip(self.activations1, self.convs1, self.activations2, self.convs2, strict=True)
        for act1, conv1, act2, conv2 in layers:
            x = x + conv2(act2(conv1(act1(x))))
        return x


class F0Predictor(nn.Module):
    """Pitch of each frame: five convolutions with ELU, a linear layer, absolute value."""

    def __init__(self, mel: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index in range(5):
            layers += [nn.Conv1d(channels if index else mel, channels, 3, padding=1), nn.ELU()]
        self.condnet = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, 1)

    def forward(self, mel: Tensor) -> Tensor:
        """Map mel (B, mel, F) -> pitch in Hz (B, F)."""
        out: Tensor = self.classifier(self.condnet(mel).transpose(1, 2))
        return out.squeeze(-1).abs()


class SourceMixer(nn.Module):
    """Mixes the sines into one excitation."""

    def __init__(self, harmonics: int) -> None:
        super().__init__()
        self.l_linear = nn.Linear(harmonics, 1)

    def forward(self, sines: Tensor) -> Tensor:
        """Map sines (B, H, N) -> (B, 1, N)."""
        weight = self.l_linear.weight
        mixed = torch.matmul(weight, sines.to(weight.dtype)) + self.l_linear.bias
        return torch.tanh(mixed)


def harmonic_sines(
    f0_hz: Tensor, *, harmonics: int, sample_rate: int, frame_samples: int
) -> Tensor:
    """Sines of the multiples of a pitch given by frame: f0_hz (B, F) -> (B, H, frame_samples * F).

    The phase is known at the middle of each frame, where the pitch steps are summed, and linear
    between; the first and last half frame hold it (spec 9.1). The sum runs in float64 on the CPU
    and is wrapped to one turn: a float32 sum loses the phase as the clip grows, differently on each
    device. The result is float32 on the device of f0_hz.
    """
    step = f0_hz.detach().to("cpu", torch.float64)[:, None]
    step = step * torch.arange(1, harmonics + 1)[:, None] / sample_rate % 1  # turns a sample
    turns = step * frame_samples
    start = turns.cumsum(dim=-1) % 1
    start = torch.cat((start[..., :1], start), dim=-1)  # at the left end of each segment
    slope = F.pad(turns[..., 1:], (1, 1))  # nothing moves in the two half segments at the ends
    start = start.to(f0_hz.device, torch.float32)
    slope = slope.to(f0_hz.device, torch.float32)
    part = (torch.arange(frame_samples, device=f0_hz.device) + 0.5) / frame_samples
    phase = torch.addcmul(start[..., None], slope[..., None], part).flatten(-2)
    half = frame_samples // 2
    return torch.sin(phase[..., half:-half] * (2 * torch.pi))


class HiFT(nn.Module):
    """Pitch predictor, harmonic source, upsampling filter network and inverse STFT."""

    window: Tensor

    def __init__(self, config: HiFTConfig | None = None) -> None:
        super().__init__()
        c = config if config is not None else HiFTConfig()
        self.config = c
        self.f0_predictor = F0Predictor(c.mel, c.f0_channels)
        self.m_source = SourceMixer(c.harmonics)
        self.conv_pre = TimeConv(c.mel, c.base_channels, 7, padding=3)
        self.ups = nn.ModuleList()
        self.source_downs = nn.ModuleList()
        self.source_resblocks = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        channels = c.base_channels
        rate = prod(c.upsample_rates)
        spectrum = c.n_fft + 2
        stages = zip(c.upsample_rates, c.upsample_kernels, c.source_kernels, strict=True)
        for up, kernel, source_kernel in stages:
            half, rate = channels // 2, rate // up
            self.ups.append(TimeUpsampling(channels, half, kernel, up, (kernel - up) // 2))
            self.source_downs.append(
                TimeConv(spectrum, half, 1)
                if rate == 1
                else TimeConv(spectrum, half, 2 * rate, rate, rate // 2)
            )
            self.source_resblocks.append(ResBlock(half, source_kernel, c.dilations))
            self.resblocks.extend(ResBlock(half, k, c.dilations) for k in c.resblock_kernels)
            channels = half
        self.conv_post = TimeConv(channels, spectrum, 7, padding=3)
        self.register_buffer("window", torch.hann_window(c.n_fft), persistent=False)
        self._init_weights()

    def _init_weights(self) -> None:
        """Small normal weights, as in HiFi-GAN."""
        parts = ("ups.", "resblocks.", "source_resblocks.", "conv_post.")
        for name, parameter in self.named_parameters():
            if name.startswith(parts) and name.endswith(".weight"):
                nn.init.normal_(parameter, std=0.01)

    def source(self, f0_hz: Tensor, noise: Tensor) -> Tensor:
        """Excitation (B, 1, N) from the pitch (B, F) in Hz, N = 480 F.

        noise (B, H, N) is standard normal; it is scaled here. The sines carry no gradient.
        """
        c = self.config
        with torch.no_grad():
            sines = harmonic_sines(
                f0_hz,
                harmonics=c.harmonics,
                sample_rate=c.sample_rate,
                frame_samples=c.frame_samples,
            )
            voiced = (f0_hz > c.voiced_threshold_hz).float()[:, None]
            level = voiced * c.noise_std + (1 - voiced) * (c.sine_amplitude / 3)
            voiced = (voiced * c.sine_amplitude).repeat_interleave(c.frame_samples, dim=-1)
            level = level.repeat_interleave(c.frame_samples, dim=-1)
            sines = torch.addcmul(sines * voiced, level, noise)
        out: Tensor = self.m_source(sines)
        return out

    def decode(self, mel: Tensor, source: Tensor) -> Tensor:
        """Wave (B, N) from mel (B, mel, F) and the excitation (B, 1, N), N = 480 F."""
        c = self.config
        bins = c.n_fft // 2 + 1
        spectrum = torch.stft(
            source.squeeze(1).float(),
            c.n_fft,
            c.hop_samples,
            window=self.window.float(),
            return_complex=True,
        )
        spectrum = torch.cat((spectrum.real, spectrum.imag), dim=1).to(mel.dtype)
        x = self.filter(mel, spectrum).float()
        magnitude = torch.exp(x[:, :bins]).clamp(max=1e2)
        phase = torch.sin(x[:, bins:])  # the network gives the sine of the phase angle, spec 9.1
        wave = torch.istft(
            torch.polar(magnitude, phase), c.n_fft, c.hop_samples, window=self.window.float()
        )
        return wave.clamp(-c.peak, c.peak).to(mel.dtype)

    def filter(self, mel: Tensor, spectrum: Tensor) -> Tensor:
        """Map mel (B, mel, F) and the source spectrum to log-magnitude and phase rows.

        spectrum (B, n_fft + 2, 120 F + 1), real rows first; the result has the same shape.
        """
        c = self.config
        kernels = len(c.resblock_kernels)
        spectrum = spectrum[:, :, None].contiguous(memory_format=torch.channels_last)
        x = self.conv_pre(mel[:, :, None].contiguous(memory_format=torch.channels_last))
        for stage, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, c.leaky_slope))
            if stage == len(self.ups) - 1:
                x = torch.cat((x[..., 1:2], x), dim=-1)  # reflected by one
            x = x + self.source_resblocks[stage](self.source_downs[stage](spectrum))
            blocks = self.resblocks[stage * kernels : (stage + 1) * kernels]
            x = sum(block(x) for block in blocks) / kernels
        out: Tensor = self.conv_post(F.leaky_relu(x)).squeeze(2)
        return out

    def forward(self, mel: Tensor, *, generator: torch.Generator) -> Tensor:
        """Map mel (B, mel, F) -> wave (B, 480 F).

        The noise is drawn by ``generator`` on the CPU in float32, then moved: the draw is the same
        on every device.
        """
        c = self.config
        shape = (mel.shape[0], c.harmonics, c.frame_samples * mel.shape[-1])
        noise = torch.randn(shape, generator=generator).to(mel.device)
        return self.decode(mel, self.source(self.f0_predictor(mel), noise))
