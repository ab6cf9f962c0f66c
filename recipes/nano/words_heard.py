"""Frozen Whisper encoder as a loss: do two waves sound alike to somebody who listens for words?

Reads a CTranslate2 folder (float16 or float32 weights), so it needs no other package. The
gradient goes to the wave; crops may be short, positions begin at zero.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stepedit_core.audio.mel import mel_filters

FFT, HOP, BINS, RATE = 600, 240, 80, 24_000
"""Whisper's 25 and 10 ms, counted in samples of 24 kHz; bins are 40 Hz apart in both."""
LOUDER = 1.5**2
"""Power of this longer window over that of Whisper's 400 samples."""
DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def read_weights(path: Path) -> dict[str, Tensor]:
    """Encoder weights of a CTranslate2 model.bin as float32, by their names without "encoder/"."""
    data = path.read_bytes()
    at = 0

    def number(kind: str) -> int:
        nonlocal at
        value = struct.unpack_from(f"<{kind}", data, at)[0]
        at += struct.calcsize(kind)
        return int(value)

    def text() -> str:
        nonlocal at
        size = number("H")
        value = data[at : at + size - 1].decode()
        at += size
        return value

    number("I"), text(), number("I")
    found = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        dtype, size = DTYPES[number("B")], number("I")
        if name.startswith("encoder/") and dtype in (np.float16, np.float32):
            values = np.frombuffer(data, dtype, size // np.dtype(dtype).itemsize, at)
            found[name.removeprefix("encoder/")] = torch.from_numpy(
                values.reshape(shape).astype(np.float32)
            )
        at += size
    return found


class Layer(nn.Module):
    """Pre-norm attention and feed-forward."""

    def __init__(self, w: dict[str, Tensor], heads: int) -> None:
        super().__init__()
        self.w, self.heads = w, heads

    def norm(self, x: Tensor, name: str) -> Tensor:
        """LayerNorm with the weights under `name`."""
        return functional.layer_norm(
            x, x.shape[-1:], self.w[f"{name}/gamma"], self.w[f"{name}/beta"]
        )

    def linear(self, x: Tensor, name: str) -> Tensor:
        """Linear layer with the weights under `name`."""
        return functional.linear(x, self.w[f"{name}/weight"], self.w[f"{name}/bias"])

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        b, t, c = x.shape
        qkv = self.linear(self.norm(x, "self_attention/layer_norm"), "self_attention/linear_0")
        q, k, v = qkv.view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        scores = (q * (c // self.heads) ** -0.5) @ k.transpose(-1, -2)
        mixed = (scores.float().softmax(-1).to(v) @ v).transpose(1, 2).reshape(b, t, c)
        x = x + self.linear(mixed, "self_attention/linear_1")
        inner = functional.gelu(self.linear(self.norm(x, "ffn/layer_norm"), "ffn/linear_0"))
        return x + self.linear(inner, "ffn/linear_1")


class WordsHeard(nn.Module):
    """Features after some layers of a frozen Whisper encoder."""

    def __init__(
        self,
        folder: Path,
        *,
        layers: tuple[int, ...] = (2, 4, 6),
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__()
        found = read_weights(folder / "model.bin")
        self.w = {name: value.to(device) for name, value in found.items()}
        heads = self.w["conv1/weight"].shape[0] // 64
        self.layers = layers
        self.stack = [
            Layer(
                {
                    name.split("/", 1)[1]: value
                    for name, value in self.w.items()
                    if name.startswith(f"layer_{i}/")
                },
                heads,
            )
            for i in range(max(layers))
        ]
        self.filters = mel_filters(RATE, FFT, BINS, 0.0, 8_000.0).to(device)

    def mel(self, wave: Tensor) -> Tensor:
        """Whisper's log mel (B, 80, N // 240) of wave (B, N) at 24 kHz."""
        found = torch.stft(
            wave, FFT, HOP, window=torch.hann_window(FFT, device=wave.device), return_complex=True
        )
        power = (found.real.square() + found.imag.square())[..., :-1] / LOUDER
        mel = (self.filters @ power).clamp(min=1e-10).log10()
        top = mel.detach().amax((1, 2), keepdim=True)
        return (mel.maximum(top - 8.0) + 4.0) / 4.0

    def forward(self, wave: Tensor) -> list[Tensor]:
        """Features (B, T, C), each row of mean 0 and variance 1, after every one of `layers`."""
        x = self.mel(wave)
        x = functional.gelu(
            functional.conv1d(x, self.w["conv1/weight"], self.w["conv1/bias"], 1, 1)
        )
        x = functional.gelu(
            functional.conv1d(x, self.w["conv2/weight"], self.w["conv2/bias"], 2, 1)
        )
        x = x.transpose(1, 2)
        x = x + self.w["position_encodings/encodings"][: x.shape[1]]
        found = []
        for number, layer in enumerate(self.stack, start=1):
            x = layer(x)
            if number in self.layers:
                found.append(functional.layer_norm(x.float(), x.shape[-1:]))
        return found
