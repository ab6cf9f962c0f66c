"""Source-filter vocoder of nano: an 80-channel mel at 50 Hz to a wave at 24 kHz.

Pulses at the pitch and white noise, both with a flat spectrum, are shaped in the STFT domain: a
network at 50 and 200 Hz reads from the mel, for every bin, how loud either is (DDSP,
arXiv:2001.04643; blocks of ConvNeXt, arXiv:2201.03545; minimum phase after Oppenheim and Schafer).
What is heard is a product of source and gain, so it is learnt in hours on two cores where HiFT,
whose source and mel meet in sums, is not (docs/decisions/0011).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .hift import F0Predictor


@dataclass(frozen=True, kw_only=True)
class SourceFilterConfig:
    """Sizes of the vocoder."""

    mel: int = 80
    """Mel channels."""
    channels: int = 256
    """Width of the network."""
    hidden: int = 768
    """Hidden width of its blocks."""
    blocks: int = 4
    """Blocks at 50 Hz."""
    fine_blocks: int = 2
    """Blocks at the rate of the STFT."""
    f0_channels: int = 128
    """Channels of the pitch predictor."""
    sample_rate: int = 24000
    """Output rate in Hz."""
    frame_samples: int = 480
    """Samples per mel frame."""
    n_fft: int = 480
    """Size of the STFT."""
    hop_samples: int = 120
    """Hop of the STFT; a whole part of frame_samples."""
    voiced_threshold_hz: float = 45.0
    """A frame counts as voiced when its pitch is above this."""
    phase: bool = False
    """Whether the network also turns the phase of the pulses, bin by bin. A voice's own pulses are
    not of minimum phase: the opening of the folds runs backwards in time."""
    detail: bool = False
    """Whether each mel frame says what is new in each of its STFT frames. Without it the fine
    blocks see the line between two frames and cannot tell where inside a frame a burst lies."""
    peak: float = 0.99
    """The wave is clamped to plus and minus this."""


def fill_pitch(f0_hz: Tensor, threshold_hz: float) -> Tensor:
    """Pitch (B, F) in Hz with unvoiced frames filled, linear between voiced neighbours.

    A row without a voiced frame stays 0. Gains decide what is voiced; a pulse train that continues
    costs nothing where its gain is low and mends gaps of the predictor.
    """
    voiced = f0_hz > threshold_hz
    place = torch.arange(f0_hz.shape[-1], device=f0_hz.device).expand_as(f0_hz)
    none = -1
    before = torch.where(voiced, place, none).cummax(-1).values
    after = f0_hz.shape[-1] - 1 - place.flip(-1)
    after = torch.where(voiced.flip(-1), after, none).cummax(-1).values.flip(-1)
    after = torch.where(after == none, none, f0_hz.shape[-1] - 1 - after)
    left = torch.where(before == none, after, before)
    right = torch.where(after == none, before, after)
    low, high = (f0_hz.gather(-1, at.clamp(min=0)) for at in (left, right))
    share = (place - left) / (right - left).clamp(min=1)
    return torch.where(left == none, 0.0, low + (high - low) * share)


def pulse_train(f0_hz: Tensor, *, sample_rate: int, frame_samples: int) -> Tensor:
    """Band-limited pulses (B, frame_samples * F) of mean power 1 at the pitch (B, F) in Hz.

    The sum of all harmonics below half the sample rate, in closed form. The phase runs in float64
    on the CPU, as in HiFT; between the middles of two frames the pitch is linear. Rows with pitch
    0 are silent.
    """
    pitch = F.interpolate(
        f0_hz.detach().to("cpu", torch.float64)[:, None],
        scale_factor=frame_samples,
        mode="linear",
        align_corners=False,
    )[:, 0]
    turns = (pitch / sample_rate).cumsum(-1) % 1.0
    count = (sample_rate / 2 / pitch.clamp(min=1.0)).floor()  # harmonics
    angle = math.pi * turns
    below = angle.sin()
    near = below.abs() < 1e-6
    kernel = ((2 * count + 1) * angle).sin() / torch.where(near, 1.0, below)
    total = torch.where(near, 2 * count, kernel - 1) / 2
    pulses = total * (2 / count).sqrt() * (pitch > 0)
    return pulses.to(f0_hz.device, torch.float32)


def minimum_phase(log_gain: Tensor) -> Tensor:
    """Phase (..., bins) in radians of the minimum-phase filter with log gains (..., bins)."""
    size = 2 * (log_gain.shape[-1] - 1)
    cepstrum = torch.fft.irfft(log_gain, size)
    fold = torch.zeros(size, device=log_gain.device)
    fold[0] = fold[size // 2] = 1
    fold[1 : size // 2] = 2
    phase: Tensor = torch.fft.rfft(cepstrum * fold).imag
    return phase


class Block(nn.Module):
    """Depthwise convolution of width 7, LayerNorm, Linear, GELU, Linear, residual."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.up = nn.Linear(channels, hidden)
        self.down = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        h = self.norm(self.depthwise(x.transpose(1, 2)).transpose(1, 2))
        out: Tensor = x + self.down(F.gelu(self.up(h)))
        return out


class SourceFilter(nn.Module):
    """Pitch predictor, gain network, pulses and noise through the gains."""

    window: Tensor
    mel_mean: Tensor
    mel_std: Tensor

    def __init__(self, config: SourceFilterConfig | None = None) -> None:
        super().__init__()
        c = config if config is not None else SourceFilterConfig()
        self.config = c
        self.f0_predictor = F0Predictor(c.mel, c.f0_channels)
        self.register_buffer("mel_mean", torch.zeros(c.mel))
        self.register_buffer("mel_std", torch.ones(c.mel))
        self.conv_in = nn.Conv1d(c.mel, c.channels, 7, padding=3)
        self.blocks = nn.ModuleList(Block(c.channels, c.hidden) for _ in range(c.blocks))
        if c.detail:
            self.detail = nn.Linear(c.channels, c.frame_samples // c.hop_samples * c.channels)
            nn.init.zeros_(self.detail.weight)
            nn.init.zeros_(self.detail.bias)
        self.fine_blocks = nn.ModuleList(Block(c.channels, c.hidden) for _ in range(c.fine_blocks))
        self.norm = nn.LayerNorm(c.channels)
        self.out = nn.Linear(c.channels, c.n_fft + 2)
        if c.phase:
            self.turn = nn.Linear(c.channels, c.n_fft // 2 + 1)
            nn.init.zeros_(self.turn.weight)
            nn.init.zeros_(self.turn.bias)
        self.register_buffer("window", torch.hann_window(c.n_fft), persistent=False)

    def gains(self, mel: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map mel (B, mel, F) -> log gains (B, T, n_fft + 2), of the pulses, then of the noise.

        T = frame_samples / hop_samples * F + 1 frames of a centred STFT. Second, where the config
        asks for it, the angle (B, T, n_fft / 2 + 1) in radians by which the pulses are turned.
        """
        c = self.config
        white = (mel - self.mel_mean[:, None]) / self.mel_std[:, None]
        x = self.conv_in(white).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        # STFT frame t is centred on sample hop * t, mel frame k on sample frame_samples * (k + 1/2)
        ratio = c.frame_samples // c.hop_samples
        wide = F.pad(x.transpose(1, 2), (1, 1), mode="replicate")
        count = ratio * mel.shape[-1]
        fine = F.interpolate(wide, size=count + ratio + 1, mode="linear", align_corners=True)
        fine = fine[..., ratio // 2 : ratio // 2 + count + 1].transpose(1, 2)
        if c.detail:
            own = self.detail(x).reshape(x.shape[0], count, c.channels)
            fine = fine + F.pad(own, (0, 0, 0, 1))
        x = fine
        for block in self.fine_blocks:
            x = block(x)
        x = self.norm(x)
        return self.out(x), math.pi * torch.tanh(self.turn(x).float()) if c.phase else None

    def decode(self, mel: Tensor, f0_hz: Tensor, noise: Tensor) -> Tensor:
        """Wave (B, N) from mel (B, mel, F), pitch (B, F) in Hz and standard normal noise (B, N).

        N = frame_samples * F. The spectra are float32 in any precision.
        """
        return self.render(*self.gains(mel), f0_hz, noise).to(mel.dtype)

    def render(self, gains: Tensor, turn: Tensor | None, f0_hz: Tensor, noise: Tensor) -> Tensor:
        """Wave (B, N) float32 from what `gains` returns, pitch (B, F) and noise (B, N)."""
        c = self.config
        bins = c.n_fft // 2 + 1
        of_pulses, of_noise = gains[..., :bins].float(), gains[..., bins:].float()
        pulses = pulse_train(
            fill_pitch(f0_hz.float(), c.voiced_threshold_hz),
            sample_rate=c.sample_rate,
            frame_samples=c.frame_samples,
        )
        spectra = torch.stft(
            torch.cat((pulses, noise)),
            c.n_fft,
            c.hop_samples,
            window=self.window.float(),
            return_complex=True,
        )
        voiced, breath = spectra.transpose(1, 2).chunk(2)
        phase = minimum_phase(of_pulses)
        voiced = voiced * torch.polar(of_pulses.exp(), phase if turn is None else phase + turn)
        shaped = (voiced + breath * of_noise.exp()).transpose(1, 2)
        wave = torch.istft(
            shaped, c.n_fft, c.hop_samples, window=self.window.float(), length=noise.shape[-1]
        )
        return wave.clamp(-c.peak, c.peak)

    def forward(self, mel: Tensor, *, generator: torch.Generator) -> Tensor:
        """Map mel (B, mel, F) -> wave (B, frame_samples * F).

        The noise is drawn by `generator` on the CPU in float32, then moved: the draw is the same
        on every device.
        """
        shape = (mel.shape[0], self.config.frame_samples * mel.shape[-1])
        noise = torch.randn(shape, generator=generator).to(mel.device)
        return self.decode(mel, self.f0_predictor(mel), noise)
