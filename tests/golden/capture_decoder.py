"""Capture tests/golden/decoder_*.npz from the official decoder modules and from NVIDIA's BigVGAN.

    EDITX_OFFICIAL_REPO=<checkout of Step-Audio-EditX> python tests/golden/capture_decoder.py
    python tests/golden/capture_decoder.py nvidia        (with the package bigvgan 2.4.1)

Own code; the official modules are imported. Only outputs are stored: weights and inputs come from
NumPy's legacy generator, which NumPy's own policy freezes. State dicts are drawn by the released
names with weight norm folded, and unfolded for the official modules.
"""

from __future__ import annotations

import json
import os
import sys
import types
import warnings
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import numpy as np

HERE = Path(__file__).parent
SEED = 20261122

FLOW = {
    "vocab": 41,
    "embed_dim": 16,
    "encoder_dim": 32,
    "encoder_heads": 2,
    "encoder_ffn": 48,
    "encoder_blocks": 2,
    "encoder_up_blocks": 1,
    "dit_dim": 32,
    "dit_depth": 2,
    "dit_heads": 2,
    "dit_head_dim": 16,
    "speaker_dim": 12,
    "mel": 16,
}
WHOLE = FLOW | {"mel": 80}
HIFT = {"base_channels": 32, "f0_channels": 16}
BIGVGAN = {"base_channels": 64}
NVIDIA = {"base_channels": 16, "upsample_rates": (4, 2), "upsample_kernels": (8, 4), "mel": 20}

TOKEN_LENGTHS = (1, 4, 21)
"""Pairs of each sequence given to the token encoder."""
PROMPT_PAIRS = 9
PAIRS = 21
FRAMES = 12
"""Mel frames of the vocoder cases."""
LONG_FRAMES = 250
"""Frames of the pitch track of the float64 source case."""
STEPS = 10


def seeded_state(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """float32 weights of the named shapes, none of them trivial, so that wiring mistakes show.

    Matrices and kernels N(0, 0.5 / fan in), norm weights 1 + N(0, 0.01), Snake parameters and the
    biases of the adaptive norms N(., 0.09), other vectors N(0, 0.01). The pitch head is set to give
    about 60 +- 60 Hz, so that voiced and unvoiced frames both occur.
    """
    state = np.random.RandomState(seed)
    weights = {}
    for name in sorted(shapes):
        shape = shapes[name]
        if name.endswith(".filter"):
            continue
        draw = state.standard_normal(shape)
        if name == "f0_predictor.classifier.bias":
            draw = np.full(shape, 60.0)
        elif name == "f0_predictor.classifier.weight":
            draw = draw * 60.0
        elif len(shape) > 1:
            draw = draw * np.sqrt(0.5 / np.prod(shape[1:]))
        elif "activations" in name and "act." not in name:  # HiFT: alpha is linear
            draw = 1 + 0.3 * draw
        elif ".act." in name or "adaLN" in name:
            draw = 0.3 * draw
        else:
            norm = name.endswith("weight")
            draw = float(norm) + 0.1 * draw
        weights[name] = draw.astype(np.float32)
    return weights


def normal(seed: int, *shape: int) -> np.ndarray:
    """Seeded standard normal values, float32."""
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def pairs(seed: int, length: int) -> np.ndarray:
    """Token pairs (1, length, 2) int64."""
    return np.random.RandomState(seed).randint(0, FLOW["vocab"], (1, length, 2)).astype(np.int64)


def pitch_track(frames: int) -> np.ndarray:
    """Pitch (1, frames) float32 in Hz: glides, unvoiced frames, both sides of the threshold."""
    track = 180 + 120 * np.sin(np.arange(frames) * 0.37) + 40 * np.sin(np.arange(frames) * 1.9)
    track[3::7] = 0.0
    track[4::7] = (9.99, 10.01) * (len(track[4::7]) // 2) + (0.0,) * (len(track[4::7]) % 2)
    return track[None].astype(np.float32)


def unfold(weights: Mapping[str, np.ndarray], names: set[str]) -> dict[str, np.ndarray]:
    """Weight-normed form, under either naming of PyTorch, of those that ``names`` has so."""
    out = {}
    for name, value in weights.items():
        stem = name.removesuffix(".weight")
        norm = np.sqrt((value.astype(np.float64) ** 2).sum(axis=tuple(range(1, value.ndim))))
        norm = norm.reshape(-1, *(1,) * (value.ndim - 1)).astype(np.float32)
        if f"{stem}.parametrizations.weight.original0" in names:
            out[f"{stem}.parametrizations.weight.original0"] = norm
            out[f"{stem}.parametrizations.weight.original1"] = value
        elif f"{stem}.weight_g" in names:
            out[f"{stem}.weight_g"], out[f"{stem}.weight_v"] = norm, value
        else:
            out[name] = value
    return out


def _load(module, shapes, seed):
    """Give the official module the seeded weights; every tensor but constant filters is covered."""
    import torch

    own = module.state_dict()
    weights = unfold(seeded_state(shapes, seed), set(own))
    missing, unexpected = module.load_state_dict(
        {name: torch.from_numpy(value) for name, value in weights.items()}, strict=False
    )
    left = [name for name in missing if not name.endswith(".filter")]
    if left or unexpected:
        raise SystemExit(f"names differ: missing {left}, unexpected {unexpected}")
    return module.eval().requires_grad_(False)


def _shapes(module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def official_flow(sizes: Mapping[str, int]):
    """The official flow decoder with seeded weights, its sampler's noise still to be set."""
    from stepvocoder.cosyvoice2.embedding.dual_codebook import DualCodebookEmbedding
    from stepvocoder.cosyvoice2.flow.decoder_dit import DiT
    from stepvocoder.cosyvoice2.flow.flow import CausalMaskedDiffWithXvec
    from stepvocoder.cosyvoice2.flow.flow_matching import CausalConditionalCFM
    from stepvocoder.cosyvoice2.transformer.upsample_encoder_v2 import UpsampleConformerEncoderV2

    from stepedit_core.models.flow import Flow, FlowConfig

    encoder = UpsampleConformerEncoderV2(
        input_size=2 * sizes["embed_dim"],
        output_size=sizes["encoder_dim"],
        num_blocks=sizes["encoder_blocks"],
        num_up_blocks=sizes["encoder_up_blocks"],
        attention_heads=sizes["encoder_heads"],
        linear_units=sizes["encoder_ffn"],
        pre_lookahead_len=3,
    )
    dit = DiT(
        in_channels=4 * sizes["mel"],
        out_channels=sizes["mel"],
        depth=sizes["dit_depth"],
        num_heads=sizes["dit_heads"],
        head_dim=sizes["dit_head_dim"],
        hidden_size=sizes["dit_dim"],
    )
    model = CausalMaskedDiffWithXvec(
        input_size=2 * sizes["embed_dim"],
        output_size=sizes["mel"],
        spk_embed_dim=sizes["speaker_dim"],
        vocab_size=sizes["vocab"],
        encoder=encoder,
        decoder=CausalConditionalCFM(dit, inference_cfg_rate=0.7),
        input_embedding=DualCodebookEmbedding(sizes["vocab"], 2 * sizes["embed_dim"]),
    )
    return _load(model, _shapes(Flow(FlowConfig(**sizes))), SEED)


def mel_of(model, sizes: Mapping[str, int], seed: int):
    """Official mel of seeded pairs, prompt and speaker, from seeded noise."""
    import torch

    frames, mel = 2 * PAIRS, sizes["mel"]
    model.decoder.rand_noise[:, :, :frames] = torch.from_numpy(normal(seed, 1, mel, frames))
    tokens = torch.from_numpy(pairs(seed + 1, PAIRS))
    return model.inference(
        token=tokens[:, PROMPT_PAIRS:],
        token_len=torch.tensor([PAIRS - PROMPT_PAIRS]),
        prompt_token=tokens[:, :PROMPT_PAIRS],
        prompt_token_len=torch.tensor([PROMPT_PAIRS]),
        prompt_feat=torch.from_numpy(normal(seed + 2, 1, mel, 2 * PROMPT_PAIRS)).mT,
        prompt_feat_len=torch.tensor([2 * PROMPT_PAIRS]),
        embedding=torch.from_numpy(normal(seed + 3, 1, sizes["speaker_dim"])),
        n_timesteps=STEPS,
    )


def capture_flow() -> dict[str, np.ndarray]:
    """Encoder, velocity, sampler and the whole of the official flow decoder."""
    import torch

    model = official_flow(FLOW)
    dit = model.decoder.estimator
    out = {}
    for length in TOKEN_LENGTHS:
        tokens = torch.from_numpy(pairs(SEED + length, length))
        hidden, _ = model.encoder(model.input_embedding(tokens), torch.tensor([length]))
        out[f"mu_{length}"] = model.encoder_proj(hidden).transpose(1, 2).numpy()
    frames, mel = 2 * PAIRS, FLOW["mel"]
    x, mu, cond = (torch.from_numpy(normal(SEED + k, 2, mel, frames)) for k in (30, 31, 32))
    spk = torch.from_numpy(normal(SEED + 33, 2, mel))
    t = torch.tensor([0.1, 0.8])
    out["velocity"] = dit(x, torch.ones(2, 1, frames), mu, t, spk, cond).numpy()
    states, forward = [], dit.forward

    def spy(state, *rest):
        states.append(state[:1].clone())
        return forward(state, *rest)

    with mock.patch.object(dit, "forward", spy):
        whole = mel_of(model, FLOW, SEED + 40)
    out["mel"] = whole.numpy()
    out["states"] = torch.cat(states).numpy()
    return out


def official_hift():
    """The official HiFT with seeded weights."""
    from stepvocoder.cosyvoice2.hifigan.f0_predictor import ConvRNNF0Predictor
    from stepvocoder.cosyvoice2.hifigan.generator import HiFTGenerator

    from stepedit_core.models.hift import HiFT, HiFTConfig

    model = HiFTGenerator(
        base_channels=HIFT["base_channels"],
        sampling_rate=24000,
        upsample_rates=[8, 5, 3],
        upsample_kernel_sizes=[16, 11, 7],
        source_resblock_kernel_sizes=[7, 7, 11],
        source_resblock_dilation_sizes=[[1, 3, 5]] * 3,
        f0_predictor=ConvRNNF0Predictor(1, 80, HIFT["f0_channels"]),
    )
    return _load(model, _shapes(HiFT(HiFTConfig(**HIFT))), SEED)


def official_source(model, f0_hz, noise):
    """Official excitation (1, 1, N) of a pitch (1, F); noise (1, N, 9) is that of its sines."""
    import torch

    def given(like):
        return noise if like.shape[-1] == 9 else torch.zeros_like(like)

    with mock.patch("torch.randn_like", given):
        return model.m_source(model.f0_upsamp(f0_hz[:, None]).mT)[0].mT


def capture_hift() -> dict[str, np.ndarray]:
    """Pitch, source and wave of the official HiFT; the source also in float64 on a long track."""
    import torch

    model = official_hift()
    mel = torch.from_numpy(normal(SEED + 1, 1, 80, FRAMES))
    noise = torch.from_numpy(normal(SEED + 2, 1, 9, 480 * FRAMES)).mT
    f0 = model.f0_predictor(mel)
    excitation = official_source(model, f0, noise)
    track = torch.from_numpy(pitch_track(FRAMES))
    out = {
        "f0": f0.numpy(),
        "source": official_source(model, track, noise).numpy(),
        "wave_of_source": model.decode(mel, official_source(model, track, noise)).numpy(),
        "wave": model.decode(mel, excitation).numpy(),
    }
    long_track = torch.from_numpy(pitch_track(LONG_FRAMES))
    silence = torch.zeros(1, 480 * LONG_FRAMES, 9)
    single = official_source(model, long_track, silence).numpy()
    model.m_source.double()
    double = official_source(model, long_track.double(), silence.double()).numpy()
    out["long_source_every_16th"] = double[..., ::16].astype(np.float32)
    out["official_float32_drift"] = np.abs(single - double).max()[None]
    return out


def capture_whole() -> dict[str, np.ndarray]:
    """Codes, prompt and speaker to the wave: the official flow decoder, then the official HiFT."""
    import torch

    mel = mel_of(official_flow(WHOLE), WHOLE, SEED + 60)
    vocoder = official_hift()
    noise = torch.from_numpy(normal(SEED + 64, 1, 9, 480 * mel.shape[-1])).mT
    source = official_source(vocoder, vocoder.f0_predictor(mel), noise)
    return {"mel": mel.numpy(), "wave": vocoder.decode(mel, source).numpy()}


def capture_bigvgan() -> dict[str, np.ndarray]:
    """Wave of the official BigVGAN class on a mel reflect-padded by 3 + 3 frames."""
    import torch
    from stepvocoder.cosyvoice2.bigvgan.bigvgan import BigVGAN as Official

    from stepedit_core.models.bigvgan import BigVGAN, BigVGANConfig

    model = Official(upsample_initial_channel=BIGVGAN["base_channels"])
    _load(model, _shapes(BigVGAN(BigVGANConfig(**BIGVGAN))), SEED)
    mel = torch.from_numpy(normal(SEED + 1, 1, 80, FRAMES))
    padded = torch.nn.functional.pad(mel, (3, 3), mode="reflect")
    return {"wave": model(padded).squeeze(1).numpy()}


def capture_nvidia() -> dict[str, np.ndarray]:
    """Wave of NVIDIA's BigVGAN-v2 class, which pads the mel with zeros."""
    for name in ("matplotlib", "matplotlib.pylab", "librosa", "librosa.filters", "librosa.util"):
        stub = types.ModuleType(name)
        stub.use = stub.mel = stub.normalize = lambda *_: None
        sys.modules.setdefault(name, stub)
    import torch
    from bigvgan.bigvgan import BigVGAN as Nvidia
    from bigvgan.env import AttrDict

    from stepedit_core.models.bigvgan import BigVGAN, BigVGANConfig

    model = Nvidia(
        AttrDict(
            num_mels=NVIDIA["mel"],
            upsample_initial_channel=NVIDIA["base_channels"],
            upsample_rates=NVIDIA["upsample_rates"],
            upsample_kernel_sizes=NVIDIA["upsample_kernels"],
            resblock="1",
            resblock_kernel_sizes=(3, 7, 11),
            resblock_dilation_sizes=((1, 3, 5),) * 3,
            activation="snakebeta",
            snake_logscale=True,
            use_bias_at_final=False,
            use_tanh_at_final=False,
        )
    )
    _load(model, _shapes(BigVGAN(BigVGANConfig(**NVIDIA))), SEED)
    mel = torch.from_numpy(normal(SEED + 1, 1, NVIDIA["mel"], FRAMES))
    return {"wave": model(mel).squeeze(1).numpy()}


def main() -> None:
    """Write the golden files named on the command line, or all those of the official code."""
    warnings.filterwarnings("ignore")
    sys.path.insert(0, str(HERE.parents[1]))
    if "EDITX_OFFICIAL_REPO" in os.environ:
        sys.path.insert(0, os.environ["EDITX_OFFICIAL_REPO"])
    import torch

    cases = {
        "flow": capture_flow,
        "hift": capture_hift,
        "whole": capture_whole,
        "bigvgan": capture_bigvgan,
        "nvidia": capture_nvidia,
    }
    torch.set_num_threads(1)
    for name in sys.argv[1:] or ("flow", "hift", "whole", "bigvgan"):
        with torch.no_grad():
            arrays = cases[name]()
        np.savez_compressed(HERE / f"decoder_{name}.npz", **arrays)
        summary = {key: [list(v.shape), float(np.abs(v).max())] for key, v in arrays.items()}
        sys.stdout.write(f"{name} {json.dumps(summary)}\n")


if __name__ == "__main__":
    main()
