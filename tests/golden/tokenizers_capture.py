"""Capture tests/golden/tokenizers_*.safetensors from the reference implementations.

    EDITX_OFFICIAL_REPO=<checkout, 2025-12> S3TOKENIZER_REPO=<checkout> \
        python tests/golden/tokenizers_capture.py

Own code; the references are imported: torchaudio, librosa, openai-whisper, kaldi-native-fbank from
packages, the rest from the two paths. Network weights are not stored: tests rebuild them with
`seeded_state`, whose legacy NumPy generator is frozen by NumPy's own policy. Rewrites the manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import types
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

HERE = Path(__file__).parent
SEED = 20261122
LINGUISTIC = {"d_model": 32, "heads": 2, "layers": 4, "ffn": 48, "codebook_size": 64}
SEMANTIC = {
    "n_mels": 16,
    "d_model": 32,
    "heads": 2,
    "layers": 3,
    "ffn": 128,
    "codebook_size": 64,
}
RATES = (
    (24_000, 16_000),
    (44_100, 16_000),
    (44_100, 24_000),
    (48_000, 24_000),
    (22_050, 24_000),
    (8_000, 16_000),
    (192_000, 16_000),
    (16_001, 16_000),
)
PIECE = 3_840
REST = 240
WHOLE = 6
HIDDEN_RESTS = (0, 3, 4, 8, 12, 15)
"""Rests, in 240 samples, whose last chunk has 4 (and none after it), 4, 1, 2, 3 and 4 frames."""


def seeded_state(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """float32 tensors of the named shapes, all different, so that every wiring mistake shows."""
    generator = np.random.RandomState(seed)
    state = {}
    for name in sorted(shapes):
        shape = shapes[name]
        draw = generator.standard_normal(shape) if shape else np.zeros(())
        if name.endswith("running_var"):
            draw = 1 + 0.2 * np.abs(draw)
        elif len(shape) > 1:
            draw = draw / np.sqrt(np.prod(shape[1:]))
        elif name.endswith("weight"):
            draw = 1 + 0.1 * draw
        else:
            draw = 0.1 * draw
        tracked = name.endswith("num_batches_tracked")
        state[name] = torch.tensor(draw, dtype=torch.int64 if tracked else torch.float32)
    return state


def shapes_of(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Shapes of a module's state, by name."""
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def golden(name: str) -> dict[str, Tensor]:
    """Tensors of tokenizers_<name>.safetensors; int16 waves come as float32 in -1..1."""
    tensors = load_file(HERE / f"tokenizers_{name}.safetensors")
    return {k: _float(v) if v.dtype == torch.int16 else v for k, v in tensors.items()}


def _noise(*shape: int, seed: int) -> Tensor:
    draw = np.random.RandomState(SEED + seed).standard_normal(shape)
    return torch.tensor(draw, dtype=torch.float32)


def _buzz(count: int, rate: int, seed: int) -> Tensor:
    """(count,) int16: a gliding buzz with pauses and some noise, of the level of speech."""
    t = np.arange(count) / rate
    phase = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.7 * t)) / rate
    wave = sum(np.sin(k * phase) / k for k in range(1, 12))
    wave = wave * np.clip(0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * t), 0, None)
    wave = wave + 0.02 * np.random.RandomState(SEED + seed).standard_normal(count)
    return torch.tensor(np.round(wave / np.abs(wave).max() * 0.6 * 32_767), dtype=torch.int16)


def _float(wave: Tensor) -> Tensor:
    return wave.float() / 32_768


def _official() -> None:
    """Make the official checkout importable without the packages it never uses here."""
    repo = os.environ["EDITX_OFFICIAL_REPO"]
    sys.path[:0] = [repo, os.environ["S3TOKENIZER_REPO"]]
    package = types.ModuleType("funasr_detach")
    package.__path__ = [f"{repo}/funasr_detach"]
    sys.modules["funasr_detach"] = package
    sys.modules["funasr"] = types.ModuleType("funasr")
    if not torch.cuda.is_available():
        torch.Tensor.cuda = lambda self, *_a, **_k: self


def capture_resample() -> dict[str, Tensor]:
    """torchaudio.transforms.Resample with its defaults, 901 samples of noise."""
    import torchaudio

    wave = _noise(901, seed=1)
    out = {f"{a}_{b}": torchaudio.transforms.Resample(a, b)(wave) for a, b in RATES}
    return {"wave": wave, **out}


def capture_trim() -> dict[str, Tensor]:
    """Official energy_norm_fn and trim_silence (librosa.effects.trim) on two waves."""
    from utils import energy_norm_fn, trim_silence

    out = {}
    edges = {"late": (5_000, 4_000), "early": (200, 100)}
    for name, (before, after) in edges.items():
        wave = torch.nn.functional.pad(_buzz(6_000, 16_000, seed=2), (before, after))
        level = energy_norm_fn(_float(wave))
        out[f"{name}_wave"] = wave
        out[f"{name}_trimmed"] = torch.from_numpy(trim_silence(level.numpy(), 16_000).copy())
    return out


def capture_frontend() -> dict[str, Tensor]:
    """Official matcha mel, torchaudio and kaldi-native-fbank filter banks, Whisper's log-mel."""
    import kaldi_native_fbank as knf
    import torchaudio.compliance.kaldi as kaldi
    import whisper
    from stepvocoder.cosyvoice2.matcha.audio import mel_spectrogram

    wave_24k, wave_16k = _buzz(18_000, 24_000, seed=3), _buzz(12_000, 16_000, seed=4)
    mel = mel_spectrogram(_float(wave_24k)[None], 1920, 80, 24_000, 480, 1920, 0, 8_000)
    fbank = kaldi.fbank(_float(wave_16k)[None], num_mel_bins=80, dither=0, sample_frequency=16_000)
    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = 80
    online = knf.OnlineFbank(options)
    online.accept_waveform(16_000, _float(wave_16k).tolist())
    frames = np.stack([online.get_frame(i) for i in range(online.num_frames_ready)])
    return {
        "wave_24k": wave_24k,
        "wave_16k": wave_16k,
        "prompt_mel": mel[0],
        "speaker_fbank": fbank - fbank.mean(dim=0, keepdim=True),
        "kaldi_native_fbank": torch.from_numpy(frames),
        "whisper_log_mel": whisper.log_mel_spectrogram(_float(wave_16k), n_mels=128),
    }


def capture_linguistic() -> dict[str, Tensor]:
    """SANMEncoderChunkOpt in the official infer_encoder loop, dither 0, for every rest length."""
    from funasr_detach.frontends.wav_frontend import WavFrontendOnline
    from funasr_detach.models.paraformer_streaming.model import ParaformerStreaming
    from funasr_detach.models.scama.encoder import SANMEncoderChunkOpt

    d, heads, layers, ffn, entries = LINGUISTIC.values()
    encoder = SANMEncoderChunkOpt(
        input_size=560,
        output_size=d,
        attention_heads=heads,
        linear_units=ffn,
        num_blocks=layers,
        input_layer="pe_online",
        normalize_before=True,
        kernel_size=11,
        sanm_shfit=0,
        selfattention_layer_type="sanm",
        chunk_size=[12, 15],
        stride=[8, 10],
        pad_left=[0, 0],
        encoder_att_look_back_factor=[4, 4],
        decoder_att_look_back_factor=[1, 1],
    ).eval()
    encoder.load_state_dict(seeded_state(shapes_of(encoder), SEED))
    shell = ParaformerStreaming.__new__(ParaformerStreaming)
    torch.nn.Module.__init__(shell)
    shell.encoder, shell.specaug, shell.normalize = encoder, None, None
    shell.eval()
    frontend = WavFrontendOnline(fs=16_000, window="hamming", lfr_m=7, lfr_n=6, dither=0.0)
    frontend.cmvn_file = "given"
    frontend.cmvn = torch.stack([_noise(560, seed=5) - 10, 0.2 + 0.02 * _noise(560, seed=6)])
    frontend.cmvn = frontend.cmvn.numpy()
    codebook = 0.5 * _noise(entries, d, seed=7)
    settings: dict[str, Any] = {
        "chunk_size": [0, 4, 5],
        "encoder_chunk_look_back": 4,
        "decoder_chunk_look_back": 1,
        "device": "cpu",
        "encoder_conf": {"output_size": d},
        "frontend_conf": {"n_mels": 80, "lfr_m": 7},
    }

    def encode(wave: Tensor) -> Tensor:
        result, _, _ = shell.infer_encoder(
            [wave], key=["x"], frontend=frontend, cache={}, is_final=True, **settings
        )
        return result[0]["enc_out"][0]

    wave = _buzz(PIECE * WHOLE + REST * 15, 16_000, seed=8)
    features: list[Tensor] = []
    forward = frontend.forward

    def spy(*args: Any, **named: Any) -> tuple[Tensor, Tensor]:
        made, lengths = forward(*args, **named)
        features.append(made[0].clone())
        return made, lengths

    with mock.patch.object(frontend, "forward", spy):
        hidden = {15: encode(_float(wave))}
    counts = []
    for rest in range(16):
        rows = encode(_float(wave[: PIECE * WHOLE + REST * rest]))
        counts.append(rows.shape[0])
        if rest in HIDDEN_RESTS:
            hidden[rest] = rows
    codes = torch.cdist(hidden[15], codebook).argmin(dim=1)
    out = {f"hidden_{rest}": rows for rest, rows in hidden.items()}
    out["hidden_short"] = encode(_float(wave[: REST * 9]))
    return {
        "wave": wave,
        "cmvn": torch.from_numpy(frontend.cmvn),
        "codebook": codebook,
        "features": torch.cat(features),
        "counts": torch.tensor(counts),
        "codes": codes,
        **out,
    }


def capture_semantic() -> dict[str, Tensor]:
    """S3Tokenizer of the v1 25 Hz shape on a padded batch of two."""
    from s3tokenizer.model import ModelConfig, S3Tokenizer

    config = ModelConfig(
        n_mels=SEMANTIC["n_mels"],
        n_audio_state=SEMANTIC["d_model"],
        n_audio_head=SEMANTIC["heads"],
        n_audio_layer=SEMANTIC["layers"],
        n_codebook_size=SEMANTIC["codebook_size"],
    )
    model = S3Tokenizer("speech_tokenizer_v1_25hz", config).eval()
    names = {
        name: name.replace("encoder.", "encoders.", 1).replace(
            "quantizer._codebook.embed", "codebook"
        )
        for name in model.state_dict()
        if not name.endswith("positional_embedding")
    }
    shapes = {ours: tuple(model.state_dict()[name].shape) for name, ours in names.items()}
    state = seeded_state(shapes, SEED)
    state["codebook"] = torch.nn.functional.normalize(state["codebook"], dim=-1)
    model.load_state_dict({name: state[ours] for name, ours in names.items()}, strict=False)
    mel, lengths = (
        (0.5 * _noise(2, SEMANTIC["n_mels"], 203, seed=9)).half(),
        torch.tensor([203, 77]),
    )
    hidden, counts = model.encoder(mel.float(), lengths)
    codes, _ = model.quantize(mel.float(), lengths)
    return {
        "mel": mel,
        "lengths": lengths,
        "hidden": torch.nn.functional.normalize(hidden, dim=-1),
        "counts": counts,
        "codes": codes,
        "positions": model.encoder.positional_embedding[:60],
    }


def capture_speaker() -> dict[str, Tensor]:
    """CAM++ of the official tree at full size, in inference and in training mode."""
    from funasr_detach.models.campplus import model as official

    features = _noise(3, 230, 80, seed=10).half()
    full = official.CAMPPlus(feat_dim=80, embedding_size=192, memory_efficient=False).eval()
    full.load_state_dict(seeded_state(shapes_of(full), SEED))
    small_head = partial(official.FCM, m_channels=8)
    with mock.patch.object(official, "FCM", small_head):
        small = official.CAMPPlus(
            feat_dim=80,
            embedding_size=24,
            growth_rate=8,
            bn_size=2,
            init_channels=16,
            memory_efficient=False,
        )
    small.load_state_dict(seeded_state(shapes_of(small), SEED))
    small.train()
    out = {
        "features": features,
        "embedding": full(features.float()),
        "training_embedding": small(features.float()),
    }
    out["running_mean"] = small.xvector.out_nonlinear.batchnorm.running_mean.clone()
    return out


TOLERANCES = {
    "resample": "2e-6 (size 3): float32 sums in another order",
    "trim": "1e-6: one rounding of the peak; bounds exact",
    "frontend": "mels 2e-5, log of float32 sums; filter banks 5e-4, since the logarithm of a bin "
    "near the floor multiplies the rounding of its FFT",
    "linguistic": "features 1e-4 and hidden 5e-5 (size 4): filter banks as in frontend; counts "
    "and codes exact",
    "semantic": "hidden 1e-6 (unit vectors), counts and codes exact",
    "speaker": "1e-5 (size 0.4) for inference, 55 layers of float32 sums; 1e-4 (size 1.4) for "
    "training mode, whose batch statistics of three clips divide by small deviations",
}
CAPTURES = {
    "resample": capture_resample,
    "trim": capture_trim,
    "frontend": capture_frontend,
    "linguistic": capture_linguistic,
    "semantic": capture_semantic,
    "speaker": capture_speaker,
}
PACKAGES = ("torch", "torchaudio", "librosa", "openai-whisper", "kaldi-native-fbank", "numpy")


def main() -> None:
    """Write the golden files and their manifest."""
    _official()
    torch.set_num_threads(1)
    versions = {name: version(name) for name in PACKAGES}
    versions["stepfun-ai/Step-Audio-EditX"] = "aacb90a (2025-12-22)"
    versions["xingchensong/S3Tokenizer"] = "2abe1c5"
    manifest = {}
    for name, capture in CAPTURES.items():
        with torch.no_grad():
            tensors = {key: value.contiguous() for key, value in capture().items()}
        path = HERE / f"tokenizers_{name}.safetensors"
        save_file(tensors, path)
        path.chmod(0o644)
        manifest[path.name] = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "seed": SEED,
            "tolerance": TOLERANCES[name],
            "capture": f"tests/golden/tokenizers_capture.py: {capture.__doc__}",
            "oracle": versions,
        }
    text = json.dumps(manifest, indent=2) + "\n"
    (HERE / "tokenizers.manifest.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
