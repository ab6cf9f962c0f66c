"""Our side of a side-by-side benchmark with the official code: one function for each operation.

Each `build_<operation>(...)` makes one of our networks at the released sizes with random weights,
frozen as a loaded bundle is, and returns a callable that does one whole operation. A harness that
has the official side under the same names and parameters times both in turn. The inputs come from
its module `ops`, where that can be imported.

    STEPEDIT_LM    precision of the language model: bf16 (default), fp32, fp16, int8, int4
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from stepedit_core.audio.fbank import linguistic_features
from stepedit_core.bundle.precision import TABLE
from stepedit_core.bundle.weights import build_empty, fill
from stepedit_core.models.bigvgan import BigVGAN, BigVGANConfig
from stepedit_core.models.flow import Flow
from stepedit_core.models.hift import HiFT, HiFTConfig
from stepedit_core.models.linguistic import LinguisticConfig, LinguisticTokenizer
from stepedit_core.models.llm import LMConfig, Step1LM
from stepedit_core.models.llm_cache import KVCache
from stepedit_core.models.semantic import SemanticConfig, SemanticTokenizer
from stepedit_core.models.speaker import SpeakerConfig, SpeakerEncoder
from stepedit_core.pipelines.sampling import draw, prompt_cuts
from stepedit_core.types import Sampling
from stepedit_core.vocab import Vocabulary

CPU = torch.device("cpu")
VOCABULARY = Vocabulary(audio_offset=65536, codebook="step-audio-1")


def _inputs(operation: str, **params: Any) -> Any:
    """What the harness feeds to both sides."""
    return getattr(importlib.import_module("ops"), f"inputs_{operation}")(**params)


def _random(module: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Frozen weights of a spread that keeps signals alive."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.ndim > 1 and value.is_floating_point():
                value.normal_(0.0, value[0].numel() ** -0.5, generator=generator)
            elif "running_var" in name:
                value.fill_(1.0)
    return module.eval().requires_grad_(False).to(dtype)


def build_vq02(seconds: float) -> Callable[[], Tensor]:
    """Codes of a 16 kHz wave, the filter bank included."""
    model = _random(LinguisticTokenizer(LinguisticConfig()))
    wave = _inputs("vq02", seconds=seconds)[0]
    return torch.inference_mode()(lambda: model.encode(linguistic_features(wave)[None]))


def build_vq06(seconds: float, backend: str = "") -> Callable[[], Tensor]:
    """Codes of a log-mel of 128 bins."""
    model = _random(SemanticTokenizer(SemanticConfig()))
    mel = _inputs("vq06", seconds=seconds)
    return torch.inference_mode()(lambda: model.encode(mel))


def build_campplus(seconds: float, backend: str = "") -> Callable[[], Tensor]:
    """Speaker vector of 80-bin features."""
    model = _random(SpeakerEncoder(SpeakerConfig()))
    features = _inputs("campplus", seconds=seconds)
    return torch.inference_mode()(lambda: model(features))


def build_flow(prompt_groups: int, out_groups: int, dtype: str = "float32") -> Callable[[], Tensor]:
    """Mel of the generated tokens: encoder, ten steps with guidance."""
    floats = getattr(torch, dtype)
    model = _random(Flow(), floats)
    assert isinstance(model, Flow)
    x = _inputs("flow", prompt_groups=prompt_groups, out_groups=out_groups)
    pairs = torch.cat([x["prompt_token"], x["token"]], 1)
    mel = x["prompt_feat"].transpose(1, 2).to(floats)
    frames = 6 * (prompt_groups + out_groups)
    noise = torch.randn(1, 80, frames, generator=torch.Generator().manual_seed(1)).to(floats)
    speaker = x["embedding"].to(floats)
    return torch.inference_mode()(lambda: model.sample(pairs, mel, speaker, noise=noise))


def build_flow_encoder(prompt_groups: int, out_groups: int) -> Callable[[], Tensor]:
    """Conditions of the sampler."""
    model = _random(Flow())
    assert isinstance(model, Flow)
    x = _inputs("flow", prompt_groups=prompt_groups, out_groups=out_groups)
    pairs = torch.cat([x["prompt_token"], x["token"]], 1)
    return torch.inference_mode()(lambda: model.encode(pairs))


def build_hift(frames: int, dtype: str = "float32") -> Callable[[], Tensor]:
    """Wave of a mel."""
    floats = getattr(torch, dtype)
    model, mel = _random(HiFT(HiFTConfig()), floats), _inputs("mel", frames=frames).to(floats)
    noise = torch.Generator()
    return torch.inference_mode()(lambda: model(mel, generator=noise.manual_seed(0)))


def build_bigvgan(frames: int) -> Callable[[], Tensor]:
    """Wave of a mel."""
    model, mel = _random(BigVGAN(BigVGANConfig())), _inputs("mel", frames=frames)
    return torch.inference_mode()(lambda: model(mel))


class OurLM:
    """`prefill(ids)` gives the first id, `decode(n)` the next n, sampled slot by slot."""

    def __init__(self, precision: str, layers: int) -> None:
        row = TABLE[precision]
        dtype = getattr(torch, row.dtype)
        empty = build_empty(lambda: Step1LM(LMConfig(num_hidden_layers=layers)))
        generator = torch.Generator().manual_seed(0)
        drawn = (
            (
                name,
                torch.ones(shape.shape, dtype=dtype)
                if shape.ndim == 1
                else torch.empty(shape.shape, dtype=dtype).normal_(0, 0.02, generator=generator),
            )
            for name, shape in empty.named_parameters()
        )
        self.model = fill(empty, drawn, device=CPU, dtype=dtype, quantize=row.quantize)
        self.cache: KVCache | None = None
        self.hidden = torch.empty(0)
        self.position = 0

    def prefill(self, ids: Tensor) -> int:
        """First id after a prompt (1, L)."""
        prompt = ids[0].tolist()
        with torch.inference_mode():
            self.cache = self.model.new_cache(1, len(prompt) + 1024)
            cuts = [prompt_cuts(prompt, VOCABULARY)]
            self.hidden = self.model.prefill_hidden([prompt], self.cache, cuts=cuts)
        self.position = 0
        return self._take()

    def _take(self) -> int:
        first, last = VOCABULARY.legal_range(self.position)
        logits = self.model.logits(self.hidden, first, last).float()
        self.newest = first + draw(logits, Sampling(top_k=50), [torch.Generator()])[0]
        self.position += 1
        return self.newest

    def decode(self, n: int) -> None:
        """Write n further ids."""
        assert self.cache is not None
        with torch.inference_mode():
            for _ in range(n):
                self.hidden = self.model.step_hidden(torch.tensor([self.newest]), self.cache)
                self._take()


def build_lm(bias: str = "", layers: int = 32) -> OurLM:
    """The language model in the precision of $STEPEDIT_LM."""
    return OurLM(os.environ.get("STEPEDIT_LM", "bf16"), layers)
