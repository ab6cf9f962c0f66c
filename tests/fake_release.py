"""A release with the published file formats, names and graph structure, and random weights.

`write(folder)` makes the two folders at toy sizes in about a second. By hand, at the released
sizes (9 GB on the disk, 6 GB of memory, some minutes), or with fewer layers in the language model:

    python -m tests.fake_release FOLDER --full [--layers 4] [--tokenizer tokenizer.model]
"""

from __future__ import annotations

import argparse
import io
import json
import re
import warnings
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import sentencepiece
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from stepedit_core.bundle.saving import Entry, stream_module
from stepedit_core.bundle.weights import build_empty
from stepedit_core.models.flow import Flow
from stepedit_core.models.hift import HiFT
from stepedit_core.models.linguistic import LinguisticTokenizer
from stepedit_core.models.llm import LMConfig, Step1LM
from stepedit_core.models.paraformer import Paraformer, ParaformerConfig
from stepedit_core.models.quantized import is_matrix
from stepedit_core.models.semantic import SemanticTokenizer
from stepedit_core.models.speaker import SpeakerEncoder
from stepedit_core.release.convert import Sizes
from stepedit_core.vocab import AUDIO_CODES
from tests import tiny_bundle

TINY = Sizes(
    **{
        k: tiny_bundle.manifest().components[k]
        for k in ("flow", "vocoder", "linguistic", "semantic", "speaker")
    },
    recogniser=ParaformerConfig(d_model=32, heads=2, layers=2, ffn=48, units=30),
)
PARAFORMER = "dengcunqin/speech_paraformer-large_asr_nat-zh-cantonese-en-16k-vocab8501-online"


def tokenizer_model() -> bytes:
    """A SentencePiece model with the control ids and the audio pieces <audio_0> to <audio_5119>."""
    return tiny_bundle.train_tokenizer(
        "Make the following audio more happy sad style whisper hello world corresponding to is",
        320 + AUDIO_CODES,
        [f"<audio_{i}>" for i in range(AUDIO_CODES)],
    )


def tiny_lm(tokenizer: bytes, four_bits: bool = False) -> LMConfig:
    """A toy language model with a row for every piece; packed ones have whole groups of 128."""
    pieces = sentencepiece.SentencePieceProcessor(model_proto=tokenizer).get_piece_size()
    small = asdict(tiny_bundle.manifest().components["llm"])
    if four_bits:
        small |= {"hidden_size": 128, "intermediate_size": 256}
    return LMConfig(**{**small, "vocab_size": pieces})


def randomise(module: nn.Module, seed: int) -> nn.Module:
    """Every parameter and statistic drawn from the seed, in a range that keeps signals alive."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if not value.is_floating_point():
                continue
            draw = torch.randn(value.shape, generator=generator)
            if "running_var" in name or name.endswith("alpha"):
                value.copy_(0.5 + draw.abs())
            elif name.endswith(("norm.weight", "bn1.weight", "bn2.weight")) and value.ndim == 1:
                value.copy_(1.0 + 0.1 * draw)
            else:
                fan = value[0].numel() if value.ndim > 1 else 25
                value.copy_(draw * fan**-0.5)
    return module.eval()


def write(
    folder: Path,
    *,
    sizes: Sizes = TINY,
    shards: int = 2,
    year: str = "2025",
    seed: int = 0,
    tokenizer: bytes = b"",
    lm: LMConfig | None = None,
    four_bits: bool = False,
) -> dict[str, nn.Module]:
    """Write Step-Audio-EditX/ and Step-Audio-Tokenizer/ under `folder`; returns the networks.

    With `lm`, a config of any size, the language model is drawn and written tensor by tensor as one
    shard, and is not among the networks. With `four_bits` its matrices are packed as in
    Step-Audio-EditX-AWQ-4bit, and the network has the numbers that were packed.
    """
    tokenizer = tokenizer or tokenizer_model()
    model_folder = folder / "Step-Audio-EditX"
    decoder = model_folder / "CosyVoice-300M-25Hz"
    tokens = folder / "Step-Audio-Tokenizer"
    paraformer = tokens / PARAFORMER
    for path in (decoder, paraformer):
        path.mkdir(parents=True)
    networks: dict[str, nn.Module] = {
        **({} if lm else {"llm": randomise(Step1LM(tiny_lm(tokenizer, four_bits)), seed)}),
        "flow": randomise(Flow(sizes.flow), seed + 1),
        "vocoder": randomise(HiFT(sizes.vocoder), seed + 2),
        "linguistic": randomise(LinguisticTokenizer(sizes.linguistic), seed + 3),
        "semantic": randomise(SemanticTokenizer(sizes.semantic), seed + 4),
        "speaker": randomise(SpeakerEncoder(sizes.speaker), seed + 5),
        "recogniser": randomise(Paraformer(sizes.recogniser), seed + 7),
    }
    (model_folder / "tokenizer.model").write_bytes(tokenizer)
    settings = {"chat_template": "..."} if year == "2026" else {}
    (model_folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if lm:
        _stream_lm(model_folder, lm, seed)
    else:
        _write_lm(model_folder, networks["llm"], shards, four_bits)
    torch.save(networks["flow"].state_dict(), decoder / "flow.pt")
    torch.save(weight_normed(networks["vocoder"]), decoder / "hift.pt")
    (decoder / "campplus.onnx").write_bytes(speaker_graph(networks["speaker"]))
    (decoder / "speech_tokenizer_v1.onnx").write_bytes(b"never opened")
    (tokens / "speech_tokenizer_v1.onnx").write_bytes(semantic_graph(networks["semantic"]))
    _write_paraformer(tokens, paraformer, networks["linguistic"], networks["recogniser"])
    return networks


def _write_config(folder: Path, lm: LMConfig) -> None:
    config = {
        "architectures": ["Step1ForCausalLM"],
        "model_type": "step1",
        "bos_token_id": 1,
        "pad_token_id": 0,
        "eos_token_id": 3,
        "torch_dtype": "bfloat16",
        **asdict(lm),
    }
    (folder / "config.json").write_text(json.dumps(config))


def _stream_lm(folder: Path, lm: LMConfig, seed: int) -> None:
    """One shard, drawn tensor by tensor with the spread that training starts from."""
    _write_config(folder, lm)
    generator = torch.Generator().manual_seed(seed)

    def drawn(name: str, shape: tuple[int, ...]) -> Tensor:
        if len(shape) == 1:
            return torch.ones(shape)
        last = name.endswith(("o_proj.weight", "down_proj.weight"))
        std = 0.02 / (2 * lm.num_hidden_layers) ** 0.5 if last else 0.02
        return torch.randn(shape, generator=generator).mul_(std)

    shapes = {
        name: tuple(value.shape)
        for name, value in build_empty(lambda: Step1LM(lm)).named_parameters()
    }
    rows = [
        Entry(name=name, shape=shape, dtype=torch.bfloat16, make=partial(drawn, name, shape))
        for name, shape in shapes.items()
    ]
    stream_module(folder / "model-00001.safetensors", rows)
    where = dict.fromkeys(shapes, "model-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))


FOUR_BITS = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "input_activations": None,
            "output_activations": None,
            "weights": {
                "num_bits": 4,
                "type": "int",
                "symmetric": True,
                "strategy": "group",
                "group_size": 128,
                "actorder": None,
            },
        }
    },
}


def packed_matrix(weight: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """What stores a matrix in 4 bits under compressed-tensors, by leaf, and its exact numbers."""
    outputs, inputs = weight.shape
    grouped = weight.view(outputs, -1, 128)
    scale = (grouped.abs().amax(-1) / 7.5).bfloat16()
    whole = (grouped / scale[..., None].float()).round().clamp(-8, 7)
    numbers = (whole + 8).view(outputs, inputs).to(torch.int64)
    packed = torch.stack([numbers[:, k::8] << (4 * k) for k in range(8)]).sum(0)
    signed = torch.where(packed >= 2**31, packed - 2**32, packed).to(torch.int32)
    stored = {"packed": signed, "scale": scale, "shape": torch.tensor([outputs, inputs])}
    return stored, (whole * scale[..., None].float()).view(outputs, inputs)


def _pack(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for name, value in state.items():
        if not is_matrix(name):
            out[name] = value
            continue
        stored, exact = packed_matrix(value.float())
        out |= {f"{name}_{leaf}": tensor for leaf, tensor in stored.items()}
        model.get_parameter(name).data.copy_(exact)
    return out


def _write_lm(folder: Path, model: nn.Module, shards: int, four_bits: bool) -> None:
    _write_config(folder, model.config)
    state = {k: v.to(torch.bfloat16).contiguous() for k, v in model.state_dict().items()}
    if four_bits:
        state = _pack(state, model)
        config = json.loads((folder / "config.json").read_text())
        config["quantization_config"] = FOUR_BITS
        (folder / "config.json").write_text(json.dumps(config))
    names = sorted(state)
    where = {name: f"model-{1 + i % shards:05d}.safetensors" for i, name in enumerate(names)}
    for shard in sorted(set(where.values())):
        save_file(
            {n: state[n] for n in names if where[n] == shard}, folder / shard, {"format": "pt"}
        )
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))


def weight_normed(vocoder: nn.Module) -> dict[str, Tensor]:
    """State of the vocoder with torch's own weight norm on the layers of spec 11.3.

    The networks's weights are replaced by what the norm makes of random magnitudes.
    """
    assert isinstance(vocoder, HiFT)
    twin = HiFT(vocoder.config)
    twin.load_state_dict(vocoder.state_dict())
    for name, module in list(twin.named_modules()):
        plain = name.startswith("source_downs")
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d) and not plain:
            weight_norm(module)
            g = module.parametrizations.weight.original0
            g.data.mul_(torch.linspace(0.5, 1.5, g.numel()).view(g.shape))
            dict(vocoder.named_modules())[name].weight.data.copy_(module.weight.data)
    return dict(twin.state_dict())


def units(count: int) -> list[str]:
    """As many text units as asked for, in the order of their ids."""
    pieces = [f"{chr(97 + i % 26)}{i}{'@@' * (i % 3 == 0)}" for i in range(count - 5)]
    return ["<blank>", "<s>", "</s>", *pieces, chr(0x4F60), "<unk>"]


def _write_paraformer(
    tokens: Path, paraformer: Path, model: nn.Module, recogniser: nn.Module
) -> None:
    """The encoder of `model` with the predictor and decoder of `recogniser`, in one file."""
    assert isinstance(model, LinguisticTokenizer)
    assert isinstance(recogniser, Paraformer)
    config = recogniser.config
    np.save(tokens / "linguistic_tokenizer.npy", model.codebook.numpy())
    state = {k: v for k, v in model.state_dict().items() if k.startswith("encoder.")}
    state |= recogniser.state_dict()
    state["decoder.embed.0.weight"] = torch.ones(config.units, config.d_model)
    (paraformer / "tokens.json").write_text(json.dumps(units(config.units)), "utf-8")
    # torch names the folder inside the zip after the file: pytorch_model/, as published
    torch.save(state, paraformer / "pytorch_model.pt")
    (paraformer / "pytorch_model.pt").rename(paraformer / "model.pt")
    parts = []
    for tag, values in (("AddShift", model.cmvn_shift), ("Rescale", model.cmvn_rescale)):
        numbers = " ".join(f"{v:.9g}" for v in values.tolist())
        size = len(values)
        parts.append(f"<{tag}> {size} {size}\n<LearnRateCoef> 0 [ {numbers} ]\n")
    (paraformer / "am.mvn").write_text(
        f"<Nnet>\n<Splice> 560 560\n[ 0 ]\n{''.join(parts)}</Nnet>\n"
    )


def exported(module: nn.Module, inputs: dict[str, Tensor], axis: dict[str, int]) -> onnx.ModelProto:
    """The graph torch's tracing exporter makes, whose node names are those of the release.

    axis names the dimension of an input that may have any size.
    """
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            file,
            input_names=list(inputs),
            dynamic_axes={name: {place: "T"} for name, place in axis.items()},
            dynamo=False,
        )
    return onnx.load_from_string(file.getvalue())


def speaker_graph(model: nn.Module) -> bytes:
    """campplus.onnx: the exporter folds batch norms after convolutions into them."""
    width = model.config.features
    return exported(model, {"input": torch.randn(1, 220, width)}, {"input": 1}).SerializeToString()


class _Codebook(nn.Module):
    """Squared distances of unit vectors to the codebook, as vector-quantize-pytorch has them."""

    def __init__(self, codebook: Tensor) -> None:
        super().__init__()
        self.embed = nn.Parameter(codebook.clone())

    def forward(self, x: Tensor) -> Tensor:
        """(1, T, D) -> (1, T)."""
        x = nn.functional.normalize(x, dim=-1)[0]
        lengths = x.square().sum(1, keepdim=True)
        return -(lengths - 2 * (x @ self.embed.t()) + self.embed.t().square().sum(0, keepdim=True))


class _Released(nn.Module):
    """The tokenizer under the names of speech_tokenizer_v1.onnx."""

    def __init__(self, model: SemanticTokenizer) -> None:
        super().__init__()
        self.encoders = model.encoders
        self.quantizer = nn.Module()
        self.quantizer.rq = nn.Module()
        self.quantizer.rq.model = nn.Module()
        self.quantizer.rq.model.layers = nn.ModuleList([nn.Module()])
        self.quantizer.rq.model.layers[0]._codebook = _Codebook(model.codebook)

    def forward(self, feats: Tensor, length: Tensor) -> Tensor:
        """(1, M, T) and (1,) -> codes (T',)."""
        codebook = self.quantizer.rq.model.layers[0]._codebook
        distances: Tensor = codebook(self.encoders(feats, length))
        return distances.argmax(-1)


def semantic_graph(model: nn.Module) -> bytes:
    """speech_tokenizer_v1.onnx: the published node names start below `encoders`."""
    assert isinstance(model, SemanticTokenizer)
    feats = torch.randn(1, model.config.n_mels, 60)
    inputs = {"feats": feats, "length": torch.tensor([60], dtype=torch.int32)}
    graph = exported(_Released(model), inputs, {"feats": 2})
    for node in graph.graph.node:
        node.name = re.sub("^/encoders/", "/", node.name)
        node.name = re.sub("^/_codebook/", "/quantizer/rq/model/layers.0/_codebook/", node.name)
    return graph.SerializeToString()


def main() -> None:
    """By hand: see the top of the file."""
    parser = argparse.ArgumentParser(description="Write a release of random weights.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--full", action="store_true", help="at the released sizes")
    parser.add_argument("--layers", type=int, default=32, help="of the language model")
    parser.add_argument("--tokenizer", type=Path, help="the released tokenizer.model")
    parser.add_argument("--year", choices=("2025", "2026"), default="2026")
    given = parser.parse_args()
    text = given.tokenizer.read_bytes() if given.tokenizer else b""
    if given.full:
        lm = replace(LMConfig(), num_hidden_layers=given.layers)
        write(given.folder, sizes=Sizes(), year=given.year, tokenizer=text, lm=lm)
    else:
        write(given.folder, year=given.year, tokenizer=text)


if __name__ == "__main__":
    main()
