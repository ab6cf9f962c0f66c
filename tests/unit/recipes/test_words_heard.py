"""The frozen encoder of the words loss beside torch's own layers, from a small file."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from torch import nn

from recipes.nano.words_heard import WordsHeard

WIDTH, HIDDEN = 128, 256


def write_model(path: Path, weights: dict[str, np.ndarray]) -> None:
    """Version 6 of the format: a head, then name, shape, type and bytes of every variable."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    data = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(weights))
    kinds = {np.dtype(np.float16): 4, np.dtype(np.int8): 1}
    for name, value in weights.items():
        raw = value.tobytes()
        shape = struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        data += text(name) + shape + struct.pack("<BI", kinds[value.dtype], len(raw)) + raw
    path.write_bytes(data)


def random_weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "conv1/weight": (WIDTH, 80, 3),
        "conv2/weight": (WIDTH, WIDTH, 3),
        "position_encodings/encodings": (1500, WIDTH),
    }
    for i in range(2):
        at = f"layer_{i}"
        shapes |= {
            f"{at}/self_attention/linear_0/weight": (3 * WIDTH, WIDTH),
            f"{at}/self_attention/linear_1/weight": (WIDTH, WIDTH),
            f"{at}/ffn/linear_0/weight": (HIDDEN, WIDTH),
            f"{at}/ffn/linear_1/weight": (WIDTH, HIDDEN),
            f"{at}/self_attention/layer_norm/gamma": (WIDTH,),
            f"{at}/self_attention/layer_norm/beta": (WIDTH,),
            f"{at}/ffn/layer_norm/gamma": (WIDTH,),
            f"{at}/ffn/layer_norm/beta": (WIDTH,),
        }
    biases = {n.replace("weight", "bias"): s[:1] for n, s in shapes.items() if n.endswith("weight")}
    found = {
        f"encoder/{name}": (rng.standard_normal(shape) * shape[-1] ** -0.5).astype(np.float16)
        for name, shape in {**shapes, **biases}.items()
    }
    return {
        "decoder/layer_norm/gamma": np.ones(3, np.float16),
        "encoder/num_heads": np.int8(2),
        **found,
    }


def by_torch(
    weights: dict[str, np.ndarray], wave: torch.Tensor, listener: WordsHeard
) -> torch.Tensor:
    """Both convolutions and layers made of torch's modules."""
    w = {
        k.removeprefix("encoder/"): torch.from_numpy(v.astype(np.float32))
        for k, v in weights.items()
        if v.ndim
    }
    x = listener.mel(wave)
    for name, stride in (("conv1", 1), ("conv2", 2)):
        weight, bias = w[f"{name}/weight"], w[f"{name}/bias"]
        x = nn.functional.gelu(nn.functional.conv1d(x, weight, bias, stride, 1))
    x = x.transpose(1, 2)
    x = x + w["position_encodings/encodings"][: x.shape[1]]
    for i in range(2):
        layer = nn.TransformerEncoderLayer(
            WIDTH, 2, HIDDEN, 0.0, "gelu", batch_first=True, norm_first=True
        ).eval()
        names = {
            "self_attn.in_proj_weight": "self_attention/linear_0/weight",
            "self_attn.in_proj_bias": "self_attention/linear_0/bias",
            "self_attn.out_proj.weight": "self_attention/linear_1/weight",
            "self_attn.out_proj.bias": "self_attention/linear_1/bias",
            "linear1.weight": "ffn/linear_0/weight",
            "linear1.bias": "ffn/linear_0/bias",
            "linear2.weight": "ffn/linear_1/weight",
            "linear2.bias": "ffn/linear_1/bias",
            "norm1.weight": "self_attention/layer_norm/gamma",
            "norm1.bias": "self_attention/layer_norm/beta",
            "norm2.weight": "ffn/layer_norm/gamma",
            "norm2.bias": "ffn/layer_norm/beta",
        }
        layer.load_state_dict({k: w[f"layer_{i}/{v}"] for k, v in names.items()})
        x = layer(x)
    return nn.functional.layer_norm(x, x.shape[-1:])


def test_features_are_those_of_the_layers_in_the_file(tmp_path: Path) -> None:
    weights = random_weights()
    write_model(tmp_path / "model.bin", weights)
    listener = WordsHeard(tmp_path, layers=(1, 2))
    wave = 0.1 * torch.randn(2, 9600, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = listener(wave)
        expected = by_torch(weights, wave, listener)
    assert [f.shape for f in found] == [(2, 20, WIDTH)] * 2
    torch.testing.assert_close(found[1], expected, atol=2e-5, rtol=0)


def test_the_gradient_reaches_the_wave_and_nothing_else(tmp_path: Path) -> None:
    write_model(tmp_path / "model.bin", random_weights())
    listener = WordsHeard(tmp_path, layers=(2,))
    assert not list(listener.parameters())
    wave = (0.1 * torch.randn(1, 4800)).requires_grad_()
    listener(wave)[0].square().mean().backward()
    assert wave.grad is not None
    assert bool(wave.grad.isfinite().all())
    assert float(wave.grad.abs().sum()) > 0
