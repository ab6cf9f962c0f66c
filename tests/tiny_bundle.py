"""A complete bundle at toy sizes with random weights, built in a folder within two seconds.

Used by every test of pipelines, command and nodes: the same classes as nano and the release, a
SentencePiece model with the control ids the prompts need, prompt layout nano. What it says is
noise; that two runs say the same noise is what the tests look at.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import sentencepiece
import torch
from torch import nn

from stepedit_core.bundle.manifest import Manifest
from stepedit_core.bundle.parts import build_part
from stepedit_core.bundle.write import write_bundle
from stepedit_core.models.flow import FlowConfig
from stepedit_core.models.hift import HiFTConfig
from stepedit_core.models.linguistic import LinguisticConfig
from stepedit_core.models.llm import LMConfig
from stepedit_core.models.scorer import ScorerConfig
from stepedit_core.models.semantic import SemanticConfig
from stepedit_core.models.speaker import SpeakerConfig
from stepedit_core.vocab import AUDIO_CODES

NAME = "tiny"
EDIT_OPTIONS = {
    "emotion": ("happy", "sad", "remove"),
    "style": ("whisper", "remove"),
    "speed": ("faster", "slower"),
    "sounds": ("Laughter", "Sigh"),
    "denoise": (),
    "trim_silence": (),
    "clone": (),
}


def train_tokenizer(text: str, size: int, symbols: Sequence[str] = ()) -> bytes:
    """A SentencePiece model with <s>, <|EOT|> and <|BOT|> at 1, 3 and 4, and given symbols."""
    words = text.split()
    lines = [" ".join(words[i:] + words[:i]) for i in range(len(words))]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=size,
        model_type="unigram",
        byte_fallback=True,
        hard_vocab_limit=False,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        control_symbols=["<|EOT|>", "<|BOT|>"],
        user_defined_symbols=list(symbols),
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
        num_threads=1,
    )
    return model.getvalue()


@lru_cache(maxsize=1)
def tokenizer_model() -> bytes:
    """A tokenizer of about 400 pieces."""
    return train_tokenizer(
        "emotion happy sad remove style whisper speed faster slower sounds denoise clone the "
        "quick brown fox jumps over a lazy dog and says hello to every good morning world [Sigh]",
        320,
    )


def manifest(
    name: str = NAME,
    *,
    scorer: bool = True,
    codebook: str = "tiny-1",
    larger: Mapping[str, object] | None = None,
) -> Manifest:
    """What bundle.json of the tiny bundle says, without the files; `larger` replaces parts."""
    pieces = sentencepiece.SentencePieceProcessor(model_proto=tokenizer_model()).get_piece_size()
    components: dict[str, object] = {
        "llm": LMConfig(
            vocab_size=pieces + AUDIO_CODES,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_attention_groups=2,
            max_seq_len=4096,
        ),
        "flow": FlowConfig(
            embed_dim=16,
            encoder_dim=32,
            encoder_heads=2,
            encoder_ffn=32,
            encoder_blocks=1,
            encoder_up_blocks=1,
            dit_dim=32,
            dit_depth=2,
            dit_heads=2,
            dit_head_dim=16,
            dit_mlp_ratio=1.0,
        ),
        "vocoder": HiFTConfig(base_channels=16, f0_channels=8),
        "linguistic": LinguisticConfig(d_model=32, heads=2, layers=2, ffn=32),
        "semantic": SemanticConfig(d_model=32, heads=2, layers=1, ffn=32),
        "speaker": SpeakerConfig(
            head_channels=4, channels=8, growth=4, bottleneck=8, blocks=(1, 1, 1)
        ),
    }
    if scorer:
        components["scorer"] = ScorerConfig(
            edits=("emotion happy", "emotion sad", "style whisper", "speed faster"),
            code_dim=4,
            hidden_size=16,
            layers=1,
            heads=2,
            ffn=16,
        )
    components |= dict(larger or {})
    return Manifest(
        name=name,
        licence="Apache-2.0",
        description="Random weights for tests.",
        card={"data": "none"},
        codebook=codebook,
        edit_vocabulary="nano",
        edit_options=EDIT_OPTIONS,
        prompt_layout="nano",
        audio_offset=pieces,
        components=components,
    )


def random_part(about: Manifest, part: str, seed: int = 0) -> nn.Module:
    """A part with random weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        module = build_part(about, part, empty=False)
        for name, buffer in module.named_buffers():
            if name == "codebook":
                buffer.normal_()
        for parameter in module.parameters():
            # gates start at zero, which would let nothing through
            parameter.data += 0.05 * torch.randn_like(parameter)
        if part == "speaker":
            # batch statistics as if trained: without them the vector vanishes
            for norm in module.modules():
                if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                    norm.momentum = 1.0
            with torch.no_grad():
                module.train()(2.0 * torch.randn(4, 120, 80))
    return module.eval()


def write(
    folder: Path,
    name: str = NAME,
    *,
    scorer: bool = True,
    codebook: str = "tiny-1",
    seed: int = 0,
    larger: Mapping[str, object] | None = None,
) -> Path:
    """Build the bundle at folder / name and return that path."""
    about = manifest(name, scorer=scorer, codebook=codebook, larger=larger)
    model = folder / f"{name}.tokenizer.model"
    folder.mkdir(parents=True, exist_ok=True)
    model.write_bytes(tokenizer_model())
    parts = {part: random_part(about, part, seed) for part in about.parts}
    write_bundle(folder / name, about, parts, model)
    model.unlink()
    return folder / name
