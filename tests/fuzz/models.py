"""Families of a bundle's files: bundle.json, weights, tokenizer, adapters, tokens."""

from __future__ import annotations

import hashlib
import json
import random
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from stepedit_core.bundle.manifest import parse_manifest
from stepedit_core.files.tokens import load_tokens, save_tokens
from stepedit_core.models.llm import Step1LM
from stepedit_core.models.lora import LoraConfig, attach, load_adapter, save_adapter
from stepedit_core.registry.registry import Registry
from stepedit_core.text.tokenizer import TextTokenizer
from stepedit_core.types import DualCodes
from tests import tiny_bundle
from tests.fuzz.changes import Change, json_at, named, of_bytes, of_json_file, text_of
from tests.fuzz.family import Family

BUNDLE = "tiny/bundle.json"
PARTS = ("llm", "flow", "vocoder", "linguistic", "semantic", "speaker", "scorer")
HUGE = 10**6


def read_bundle(folder: Path) -> object:
    """Everything that a run loads."""
    bundle = Registry([folder], {}).load(str(folder / "tiny"), device="cpu")
    bundle.text.encode("hello world")
    return bundle.load_all()


def honest(folder: Path, file: str) -> None:
    """Have bundle.json give the size and digest that a changed file has."""
    path = folder / "tiny" / file
    if not path.is_file():
        return
    about = json.loads((folder / BUNDLE).read_text("utf-8"))
    data = path.read_bytes()
    about["files"][file] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / BUNDLE).write_text(json.dumps(about), "utf-8")


def with_honest_list(change: Change, file: str) -> Change:
    """A change of a file that bundle.json agrees with: made so by its author."""

    def spoil(folder: Path) -> None:
        change.spoil(folder)
        honest(folder, file)

    return Change(f"{change.name}, listed", spoil, change.wrong)


def weights(rng: random.Random) -> Change:
    """The bytes of a part's weights."""
    file = f"{rng.choice(PARTS)}.safetensors"
    change = of_bytes(f"tiny/{file}", rng)
    return with_honest_list(change, file) if rng.random() < 0.7 else change


def config(part: str, key: str, value: object) -> Change:
    """One value of a part's config."""
    return json_at(BUNDLE, ("components", part, key), value)


def header(part: str, change: str) -> Change:
    """The header of a weights file, agreed with by bundle.json."""
    file = f"{part}.safetensors"

    def spoil(folder: Path) -> None:
        path = folder / "tiny" / file
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        head = json.loads(data[8 : 8 + size])
        name = next(n for n in head if n != "__metadata__")
        text = json.dumps(head)
        if change == "deep":
            text = '{"a":' * 100_000
        elif change == "huge shape":
            head[name]["shape"] = [10**9, 10**9]
            text = json.dumps(head)
        elif change == "negative shape":
            head[name]["shape"] = [-1, *head[name]["shape"][1:]]
            text = json.dumps(head)
        elif change == "text in shape":
            head[name]["shape"] = ["1" * 5000]
            text = json.dumps(head)
        elif change == "escape in name":
            head["\x1b[31m\u202e" + "x" * 2000] = head.pop(name)
            text = json.dumps(head)
        elif change == "overlap":
            for entry in head.values():
                entry["data_offsets"] = head[name]["data_offsets"]
            text = json.dumps(head)
        elif change == "dtype":
            head[name]["dtype"] = "\x1b]0;x\x07"
            text = json.dumps(head)
        raw = text.encode()
        path.write_bytes(len(raw).to_bytes(8, "little") + raw + data[8 + size :])
        honest(folder, file)

    return named(f"{file}: {change}", spoil)


def not_finite(part: str, value: float) -> Change:
    """A weight that is not a number."""
    file = f"{part}.safetensors"

    def spoil(folder: Path) -> None:
        path = folder / "tiny" / file
        state = load_file(path)
        name = next(n for n, t in state.items() if t.is_floating_point() and t.numel() > 3)
        state[name].view(-1)[1] = value
        save_file(state, path)
        honest(folder, file)

    return named(f"{file}: a weight of {value}", spoil)


def lm() -> Step1LM:
    """The tiny language model, empty of meaning."""
    return Step1LM(tiny_bundle.manifest().components["llm"])


def make_adapter(folder: Path) -> None:
    """An adapter of the tiny language model."""
    config = LoraConfig(rank=2, alpha=4.0, targets=("q_proj",))
    save_adapter(attach(lm(), config, torch.Generator()), folder / "a.safetensors", config, "")


def adapter_config(text: str) -> Change:
    """An adapter whose metadata has another config."""

    def spoil(folder: Path) -> None:
        path = folder / "a.safetensors"
        about = {"kind": "stepedit-lora-1", "config": text, "base": ""}
        if text == "absent":
            del about["config"]
        save_file(load_file(path), path, metadata=about)

    return named(f"adapter config {text[:40]}", spoil)


def tensors(file: str, change: str) -> Change:
    """A safetensors file with one tensor of another kind; metadata kept."""

    def spoil(folder: Path) -> None:
        from safetensors import safe_open

        path = folder / file
        with safe_open(path, "pt") as opened:
            about = opened.metadata()
        state = load_file(path)
        name = sorted(state)[0]
        if change == "float":
            state[name] = state[name].float() + 0.5
        elif change == "two dimensions":
            state[name] = state[name][None]
        elif change == "scalar":
            state[name] = state[name].flatten()[0].clone()
        elif change == "empty":
            state = {n: t[:0].contiguous() for n, t in state.items()}
        elif change == "absent":
            del state[name]
        elif change == "another":
            state["zzz"] = torch.zeros(3)
        elif change == "negative":
            state[name] = torch.full_like(state[name], -1)
        elif change == "large":
            state[name] = torch.full_like(state[name], 30_000)
        elif change == "nan":
            state[name] = torch.full(state[name].shape, float("nan"))
        elif change == "short":
            state[name] = state[name][1:].contiguous()
        save_file(state, path, metadata=about)

    return named(f"{file} {change}", spoil)


def make_tokens(folder: Path) -> None:
    """Codes of four groups."""
    codes = DualCodes(linguistic=torch.arange(8), semantic=torch.arange(12), codebook="tiny-1")
    save_tokens(codes, folder / "t.safetensors")


def codebook(name: str) -> Change:
    """Tokens that call their codebook something else."""

    def spoil(folder: Path) -> None:
        path = folder / "t.safetensors"
        save_file(load_file(path), path, {"kind": "stepedit-tokens-1", "codebook": name})

    return named(f"codebook {name[:12]!a}", spoil)


def read_tokens(folder: Path) -> object:
    """As Load Tokens does before anything else."""
    codes = load_tokens(folder / "t.safetensors")
    tiny_bundle.manifest().vocabulary.check_codebook(codes)
    return codes


MODELS = (
    Family(
        name="bundle.json",
        make=tiny_bundle.write,
        read=read_bundle,
        drawn=(partial(of_json_file, BUNDLE, free=("card", "description", "licence")),),
        named=(
            *(
                config("llm", key, HUGE)
                for key in ("num_hidden_layers", "hidden_size", "vocab_size")
            ),
            *(
                config("llm", key, -1)
                for key in ("num_attention_heads", "num_hidden_layers", "max_seq_len")
            ),
            *(
                config("llm", key, 0)
                for key in ("num_attention_heads", "num_attention_groups", "hidden_size")
            ),
            config("llm", "rms_norm_eps", -1.0),
            config("llm", "rms_norm_eps", 1e300),
            *(
                config("flow", key, HUGE)
                for key in ("dit_depth", "encoder_blocks", "dit_dim", "vocab")
            ),
            *(
                config("flow", key, -1)
                for key in ("dit_heads", "encoder_heads", "lookahead", "mel")
            ),
            config("flow", "dit_mlp_ratio", 1e12),
            config("flow", "noise_scale", -5.0),
            config("flow", "guidance_scale", 1e30),
            config("vocoder", "upsample_rates", [8, 5, 10**9]),
            config("vocoder", "upsample_rates", []),
            config("vocoder", "upsample_rates", [3] * HUGE),
            config("vocoder", "dilations", [1] * 10_000),
            config("vocoder", "n_fft", 10**9),
            config("vocoder", "hop_samples", 0),
            config("vocoder", "harmonics", 10**9),
            config("vocoder", "sample_rate", 8),
            config("linguistic", "layers", HUGE),
            config("linguistic", "heads", 0),
            config("linguistic", "kernel", -3),
            config("linguistic", "chunk", 0),
            config("semantic", "layers", HUGE),
            config("semantic", "heads", -1),
            config("semantic", "max_positions", 10**9),
            config("speaker", "blocks", [HUGE, 1, 1]),
            config("speaker", "blocks", []),
            config("speaker", "growth", -1),
            config("speaker", "dilations", [0, 0, 0]),
            config("scorer", "layers", HUGE),
            config("scorer", "heads", 0),
            config("scorer", "edits", []),
            config("scorer", "edits", ["emotion happy"] * 4),
            config("scorer", "calibration", [[1.0, 2.0], [0.0, 5.0]]),
            config("scorer", "dropout", 5.0),
            json_at(BUNDLE, ("candidates",), 10**9),
            json_at(BUNDLE, ("candidates",), 0),
            json_at(BUNDLE, ("audio_offset",), -5),
            json_at(BUNDLE, ("audio_offset",), 10**9),
            json_at(BUNDLE, ("end_id",), -1),
            json_at(BUNDLE, ("end_id",), 10**9),
            json_at(BUNDLE, ("name",), ""),
            json_at(BUNDLE, ("name",), "../x"),
            json_at(BUNDLE, ("name",), "\x1b[31mred"),
            json_at(BUNDLE, ("name",), "x" * 10_000),
            json_at(BUNDLE, ("codebook",), ""),
            json_at(BUNDLE, ("edit_options",), {"emotion": [""]}),
            json_at(BUNDLE, ("edit_options",), {"nonsense": ["happy"]}),
            json_at(BUNDLE, ("files", "llm.safetensors", "sha256"), "zz"),
            json_at(BUNDLE, ("files", "llm.safetensors", "size"), -1),
            text_of(BUNDLE, '{"name": "a", "name": "b"}', name="a key twice"),
            text_of(BUNDLE, " " * 2**21, name="two megabytes of spaces"),
            text_of(BUNDLE, '{"a":' * 100_000, name="100,000 deep"),
            text_of(BUNDLE, "1" * 900_000, name="a long number"),
        ),
    ),
    Family(
        name="weights",
        make=tiny_bundle.write,
        read=read_bundle,
        drawn=(weights,),
        named=(
            *(
                header("llm", change)
                for change in (
                    "deep",
                    "huge shape",
                    "negative shape",
                    "text in shape",
                    "escape in name",
                    "overlap",
                    "dtype",
                )
            ),
            *(not_finite(part, float(v)) for part in PARTS for v in ("nan", "inf")),
        ),
    ),
    Family(
        name="tokenizer",
        make=lambda folder: (folder / "tokenizer.model").write_bytes(tiny_bundle.tokenizer_model()),
        read=lambda folder: TextTokenizer(folder / "tokenizer.model").encode("hello <|EOT|> world"),
        drawn=(partial(of_bytes, "tokenizer.model"),),
        named=tuple(
            text_of("tokenizer.model", text, name=f"tokenizer.model = {text[:20]!a}")
            for text in ("", "x", "\x00" * 100, "\x0a" * 1000, "{}", "a" * 10**6, "\x0a\x00")
        ),
    ),
    Family(
        name="adapter",
        make=make_adapter,
        read=lambda folder: load_adapter(lm(), folder / "a.safetensors"),
        drawn=(partial(of_bytes, "a.safetensors"),),
        named=(
            *map(
                adapter_config,
                (
                    "absent",
                    "",
                    "{",
                    "[]",
                    "[" * 100_000,
                    '{"rank": 0}',
                    '{"rank": -1}',
                    '{"rank": 1000000000}',
                    '{"rank": 2, "alpha": NaN, "targets": ["q_proj"]}',
                    '{"rank": 2, "alpha": 1e300, "targets": ["q_proj"]}',
                    '{"rank": 2, "alpha": 4, "targets": []}',
                    '{"rank": 2, "alpha": 4, "targets": ["\\ud800"]}',
                    '{"rank": 2, "alpha": 4, "targets": ["q_proj", "k_proj"]}',
                    '{"rank": 2, "rank": 3, "alpha": 4, "targets": ["q_proj"]}',
                ),
            ),
            *(
                tensors("a.safetensors", change)
                for change in ("two dimensions", "scalar", "absent", "another", "nan", "short")
            ),
        ),
    ),
    Family(
        name="tokens",
        make=make_tokens,
        read=read_tokens,
        drawn=(partial(of_bytes, "t.safetensors"),),
        named=(
            *(
                tensors("t.safetensors", change)
                for change in (
                    "float",
                    "two dimensions",
                    "scalar",
                    "empty",
                    "absent",
                    "another",
                    "negative",
                    "large",
                    "nan",
                    "short",
                )
            ),
            *map(codebook, ("", "x" * 10_000, "\x1b[31m")),
        ),
    ),
    Family(
        name="manifest text",
        make=tiny_bundle.write,
        read=lambda folder: parse_manifest((folder / BUNDLE).read_text("utf-8", "surrogatepass")),
        drawn=(partial(of_json_file, BUNDLE, free=("card", "description", "licence"), torn=False),),
    ),
)
